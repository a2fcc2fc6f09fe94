//! A reader of Python pickles that only ever makes data.
//!
//! A pickle is a program for a stack machine, and Python's own reader calls whatever
//! function the program names. This one knows the opcodes of `None`, booleans, integers,
//! text, lists, tuples, dictionaries and the memo (protocols 2 to 4), and refuses every
//! other one by name. It runs in a loop, never recursively; values live in one list and
//! refer to each other by position, so that neither reading nor dropping a deeply nested
//! pickle can overflow the stack.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

mod opcode;
mod write;

use opcode::Op;
pub(crate) use write::PickleWriter;

/// Longest pickle that is read, in bytes.
pub const MAX_PICKLE_BYTES: usize = 16 << 20;
/// Most values of a pickle.
const MAX_VALUES: usize = 1 << 20;
/// Most entries of the machine's stack: nesting plus the longest list that is appended
/// at once (Python appends 1000 at a time).
const MAX_STACK: usize = 8192;

/// Why a pickle is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PickleError {
    /// The pickle would run code.
    #[error("pickle contains code ({what}) and is not read; only plain data is accepted")]
    Code {
        /// The opcode, with what it names if it names something.
        what: String,
    },
    /// An opcode of data that plans never hold, or none at all.
    #[error("pickle opcode {name} at byte {offset} is not one that plans use")]
    UnknownOpcode {
        /// Name or number of the opcode.
        name: String,
        /// Where in the pickle.
        offset: usize,
    },
    /// The pickle ends too early.
    #[error("pickle ends in the middle, at byte {offset}; the file is cut short")]
    Truncated {
        /// Where in the pickle.
        offset: usize,
    },
    /// Too long, too deeply nested, or too many values.
    #[error("pickle is too large: more than {limit}")]
    TooLarge {
        /// The limit that is exceeded.
        limit: &'static str,
    },
    /// An opcode finds something else on the stack than it needs.
    #[error("pickle is broken at byte {offset}: {reason}")]
    Broken {
        /// Where in the pickle.
        offset: usize,
        /// What is wrong.
        reason: &'static str,
    },
}

/// Position of a value in its pickle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ValueId(usize);

/// One value. Containers hold positions, not values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    /// `None`
    None,
    /// `True` or `False`
    Bool(bool),
    /// An integer of at most 64 bits.
    Int(i64),
    /// Text, as it stands in the file.
    Text(&'a str),
    /// A list.
    List(Vec<ValueId>),
    /// A tuple.
    Tuple(Vec<ValueId>),
    /// A dictionary: keys and values in turn, repeated keys kept.
    Dict(Vec<(ValueId, ValueId)>),
}

/// A pickle that has been read.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    root: ValueId,
}

impl<'a> Pickle<'a> {
    /// The value that the pickle is.
    pub(crate) fn root(&self) -> &Value<'a> {
        self.value(self.root)
    }

    /// A value that another one refers to.
    pub(crate) fn value(&self, id: ValueId) -> &Value<'a> {
        &self.values[id.0]
    }

    /// Reads a pickle. Bytes after its end are ignored, as Python does.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, PickleError> {
        if bytes.len() > MAX_PICKLE_BYTES {
            let limit = "16 MiB";
            return Err(PickleError::TooLarge { limit });
        }
        let mut machine = Machine {
            bytes,
            offset: 0,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: BTreeMap::new(),
        };
        loop {
            if let Some(root) = machine.step()? {
                let values = machine.values;
                return Ok(Self { values, root });
            }
        }
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    /// Next byte to read.
    offset: usize,
    values: Vec<Value<'a>>,
    stack: Vec<ValueId>,
    /// Stack heights at the open marks.
    marks: Vec<usize>,
    memo: BTreeMap<u32, ValueId>,
}

impl<'a> Machine<'a> {
    /// Runs one opcode; the result at the end.
    fn step(&mut self) -> Result<Option<ValueId>, PickleError> {
        let at = self.offset;
        let [code] = self.take_array()?;
        match Op::from_byte(code) {
            Op::Stop => return self.pop().map(Some),
            Op::Proto => self.protocol()?,
            Op::Frame => drop(self.take(8)?),
            Op::Mark => self.mark()?,
            Op::None => self.push_new(Value::None)?,
            Op::Bool(value) => self.push_new(Value::Bool(value))?,
            Op::Int(n_bytes) => self.int(n_bytes)?,
            Op::Long1 => self.long()?,
            Op::Text(n_bytes) => self.text(n_bytes)?,
            Op::EmptyList => self.push_new(Value::List(Vec::new()))?,
            Op::EmptyTuple => self.push_new(Value::Tuple(Vec::new()))?,
            Op::EmptyDict => self.push_new(Value::Dict(Vec::new()))?,
            Op::TupleOf(n) => self.tuple_of(n)?,
            Op::TupleFromMark => {
                let items = self.pop_mark()?;
                self.push_new(Value::Tuple(items))?;
            }
            Op::Append => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            Op::Appends => {
                let items = self.pop_mark()?;
                self.append(&items)?;
            }
            Op::SetItem => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(&[key, value])?;
            }
            Op::SetItems => {
                let items = self.pop_mark()?;
                self.set_items(&items)?;
            }
            Op::Put(n_bytes) => self.put(n_bytes)?,
            Op::Memoize => self.memoize()?,
            Op::Get(n_bytes) => self.get(n_bytes)?,
            Op::Code(name) => return Err(self.code(name)),
            Op::Unknown => {
                let name = opcode::name_of(code);
                return Err(PickleError::UnknownOpcode { name, offset: at });
            }
        }
        Ok(None)
    }

    fn broken(&self, reason: &'static str) -> PickleError {
        let offset = self.offset;
        PickleError::Broken { offset, reason }
    }

    fn take(&mut self, n_bytes: usize) -> Result<&'a [u8], PickleError> {
        let rest = &self.bytes[self.offset..];
        let taken = rest.get(..n_bytes).ok_or(PickleError::Truncated {
            offset: self.bytes.len(),
        })?;
        self.offset += n_bytes;
        Ok(taken)
    }

    fn take_array<const LEN: usize>(&mut self) -> Result<[u8; LEN], PickleError> {
        let mut array = [0; LEN];
        array.copy_from_slice(self.take(LEN)?);
        Ok(array)
    }

    /// An unsigned little-endian number of 1, 2 or 4 bytes.
    fn take_number(&mut self, n_bytes: usize) -> Result<u32, PickleError> {
        let bytes = self.take(n_bytes)?.iter().rev();
        Ok(bytes.fold(0, |number, &byte| number << 8 | u32::from(byte)))
    }

    fn push(&mut self, id: ValueId) -> Result<(), PickleError> {
        if self.stack.len() == MAX_STACK {
            let limit = "8192 values nested or waiting";
            return Err(PickleError::TooLarge { limit });
        }
        self.stack.push(id);
        Ok(())
    }

    fn push_new(&mut self, value: Value<'a>) -> Result<(), PickleError> {
        if self.values.len() == MAX_VALUES {
            let limit = "1048576 values";
            return Err(PickleError::TooLarge { limit });
        }
        self.values.push(value);
        self.push(ValueId(self.values.len() - 1))
    }

    /// The lowest stack height that may be popped to.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<ValueId, PickleError> {
        if self.stack.len() <= self.floor() {
            return Err(self.broken("an opcode needs more values than there are"));
        }
        let popped = self.stack.pop();
        popped.ok_or_else(|| self.broken("the stack is empty"))
    }

    fn top(&self) -> Result<ValueId, PickleError> {
        let top = self.stack.get(self.floor()..).and_then(<[_]>::last);
        top.copied()
            .ok_or_else(|| self.broken("the stack is empty"))
    }

    fn mark(&mut self) -> Result<(), PickleError> {
        if self.marks.len() == MAX_STACK {
            let limit = "8192 marks";
            return Err(PickleError::TooLarge { limit });
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    /// Everything above the last mark.
    fn pop_mark(&mut self) -> Result<Vec<ValueId>, PickleError> {
        let Some(height) = self.marks.pop() else {
            return Err(self.broken("an opcode needs a mark and there is none"));
        };
        Ok(self.stack.split_off(height))
    }

    fn protocol(&mut self) -> Result<(), PickleError> {
        let [version] = self.take_array()?;
        if (2..=4).contains(&version) {
            Ok(())
        } else {
            Err(self.broken("its protocol is not 2, 3 or 4"))
        }
    }

    fn int(&mut self, n_bytes: usize) -> Result<(), PickleError> {
        let number = self.take_number(n_bytes)?;
        // Only the widest form has a sign.
        let value = if n_bytes == 4 {
            i64::from(number.cast_signed())
        } else {
            i64::from(number)
        };
        self.push_new(Value::Int(value))
    }

    fn long(&mut self) -> Result<(), PickleError> {
        let n_bytes = self.take_number(1)? as usize;
        let bytes = self.take(n_bytes)?;
        if n_bytes > 8 {
            return Err(self.broken("an integer has more than 64 bits"));
        }
        let is_negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut padded = [if is_negative { 0xff } else { 0 }; 8];
        padded[..n_bytes].copy_from_slice(bytes);
        self.push_new(Value::Int(i64::from_le_bytes(padded)))
    }

    fn text(&mut self, n_bytes: usize) -> Result<(), PickleError> {
        let length = self.take_number(n_bytes)? as usize;
        let bytes = self.take(length)?;
        match core::str::from_utf8(bytes) {
            Ok(text) => self.push_new(Value::Text(text)),
            Err(_) => Err(self.broken("text is not UTF-8")),
        }
    }

    fn tuple_of(&mut self, n_items: usize) -> Result<(), PickleError> {
        let Some(height) = self.stack.len().checked_sub(n_items) else {
            return Err(self.broken("a tuple needs more values than there are"));
        };
        if height < self.floor() {
            return Err(self.broken("a tuple reaches below a mark"));
        }
        let items = self.stack.split_off(height);
        self.push_new(Value::Tuple(items))
    }

    fn append(&mut self, items: &[ValueId]) -> Result<(), PickleError> {
        let ValueId(list) = self.top()?;
        match &mut self.values[list] {
            Value::List(list) => list.extend_from_slice(items),
            _ => return Err(self.broken("something is appended to what is not a list")),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[ValueId]) -> Result<(), PickleError> {
        let (pairs, rest) = items.as_chunks::<2>();
        let ValueId(dict) = self.top()?;
        match &mut self.values[dict] {
            Value::Dict(entries) if rest.is_empty() => {
                entries.extend(pairs.iter().map(|&[key, value]| (key, value)));
                Ok(())
            }
            _ => Err(self.broken("an entry is set in what is not a dictionary")),
        }
    }

    fn put(&mut self, n_bytes: usize) -> Result<(), PickleError> {
        let key = self.take_number(n_bytes)?;
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn memoize(&mut self) -> Result<(), PickleError> {
        // A memo has fewer entries than the pickle has bytes.
        let key = self.memo.len() as u32;
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn get(&mut self, n_bytes: usize) -> Result<(), PickleError> {
        let key = self.take_number(n_bytes)?;
        match self.memo.get(&key) {
            Some(&id) => self.push(id),
            None => Err(self.broken("the memo has no such entry")),
        }
    }

    /// The error for an opcode that runs code; GLOBAL and INST say what they name.
    fn code(&self, name: &str) -> PickleError {
        let mut what = name.to_string();
        if matches!(name, "GLOBAL" | "INST") {
            let rest = &self.bytes[self.offset..];
            let lines = rest.splitn(3, |&byte| byte == b'\n').take(2);
            for line in lines {
                let line = &line[..line.len().min(40)];
                what.push(' ');
                what.extend(line.escape_ascii().map(char::from));
            }
        }
        PickleError::Code { what }
    }
}

#[cfg(test)]
mod tests;
