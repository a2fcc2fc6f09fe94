//! The opcodes of Python's pickle format, as `pickletools` names them, and which of them
//! are data.

use alloc::string::{String, ToString};

/// What an opcode does here. Numbers in parentheses are sizes of the argument in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Stop,
    Proto,
    Frame,
    Mark,
    None,
    Bool(bool),
    Int(usize),
    Long1,
    Text(usize),
    EmptyList,
    EmptyTuple,
    EmptyDict,
    /// A tuple of the last 1, 2 or 3 values.
    TupleOf(usize),
    TupleFromMark,
    Append,
    Appends,
    SetItem,
    SetItems,
    Put(usize),
    Memoize,
    Get(usize),
    /// Names, makes or fills objects: would run code in Python.
    Code(&'static str),
    /// Data that no plan holds, or no opcode at all.
    Unknown,
}

impl Op {
    pub(super) const fn from_byte(code: u8) -> Self {
        match code {
            b'.' => Self::Stop,
            0x80 => Self::Proto,
            0x95 => Self::Frame,
            b'(' => Self::Mark,
            b'N' => Self::None,
            0x88 => Self::Bool(true),
            0x89 => Self::Bool(false),
            b'K' => Self::Int(1),
            b'M' => Self::Int(2),
            b'J' => Self::Int(4),
            0x8a => Self::Long1,
            0x8c => Self::Text(1),
            b'X' => Self::Text(4),
            b']' => Self::EmptyList,
            b')' => Self::EmptyTuple,
            b'}' => Self::EmptyDict,
            0x85 => Self::TupleOf(1),
            0x86 => Self::TupleOf(2),
            0x87 => Self::TupleOf(3),
            b't' => Self::TupleFromMark,
            b'a' => Self::Append,
            b'e' => Self::Appends,
            b's' => Self::SetItem,
            b'u' => Self::SetItems,
            b'q' => Self::Put(1),
            b'r' => Self::Put(4),
            0x94 => Self::Memoize,
            b'h' => Self::Get(1),
            b'j' => Self::Get(4),
            _ => Self::code_from_byte(code),
        }
    }

    const fn code_from_byte(code: u8) -> Self {
        match code {
            b'c' => Self::Code("GLOBAL"),
            0x93 => Self::Code("STACK_GLOBAL"),
            b'R' => Self::Code("REDUCE"),
            b'b' => Self::Code("BUILD"),
            b'i' => Self::Code("INST"),
            b'o' => Self::Code("OBJ"),
            0x81 => Self::Code("NEWOBJ"),
            0x92 => Self::Code("NEWOBJ_EX"),
            0x82 => Self::Code("EXT1"),
            0x83 => Self::Code("EXT2"),
            0x84 => Self::Code("EXT4"),
            b'P' => Self::Code("PERSID"),
            b'Q' => Self::Code("BINPERSID"),
            _ => Self::Unknown,
        }
    }
}

/// The name of an opcode that is refused as unknown, or its number.
pub(super) fn name_of(code: u8) -> String {
    let name = match code {
        b'0' => "POP",
        b'1' => "POP_MARK",
        b'2' => "DUP",
        b'F' => "FLOAT",
        b'G' => "BINFLOAT",
        b'I' => "INT",
        b'L' => "LONG",
        0x8b => "LONG4",
        b'S' => "STRING",
        b'T' => "BINSTRING",
        b'U' => "SHORT_BINSTRING",
        b'V' => "UNICODE",
        0x8d => "BINUNICODE8",
        b'B' => "BINBYTES",
        b'C' => "SHORT_BINBYTES",
        0x8e => "BINBYTES8",
        0x96 => "BYTEARRAY8",
        b'l' => "LIST",
        b'd' => "DICT",
        b'g' => "GET",
        b'p' => "PUT",
        0x8f => "EMPTY_SET",
        0x90 => "ADDITEMS",
        0x91 => "FROZENSET",
        0x97 => "NEXT_BUFFER",
        0x98 => "READONLY_BUFFER",
        _ => return alloc::format!("{code:#04x}"),
    };
    name.to_string()
}
