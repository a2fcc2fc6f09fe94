//! The machine that a pickle is a program for, as far as tensors need it.
//!
//! Python calls whatever function a pickle names. This machine knows a short list of names
//! ([`objects`](super::objects)) and makes their values itself; any other name ends the
//! reading. It runs in a loop, never recursively; values live in one list and refer to each
//! other by position, so that a deeply nested pickle can overflow nothing. `dfa-core` has a
//! stricter reader, for plans, that knows no names at all.

use std::collections::{BTreeMap, HashMap};

use super::TorchFileError;
use super::objects::Known;
use super::view::{NumberType, View};

/// Most values of a pickle.
const MAX_VALUES: usize = 1 << 22;
/// Most entries of the stack.
const MAX_STACK: usize = 1 << 16;

/// Position of a value in its pickle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ValueId(usize);

/// One value. Containers hold positions, not values.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    Int(i64),
    Text(&'a str),
    List(Vec<ValueId>),
    Tuple(Vec<ValueId>),
    /// Keys and values in turn, repeated keys kept.
    Dict(Vec<(ValueId, ValueId)>),
    Known(Known),
    Storage {
        number: NumberType,
        name: &'a str,
        len: u64,
    },
    Tensor(Box<View>),
    /// Anything that says nothing about tensors: `None`, numbers with a point, settings.
    Other,
}

/// A pickle that has been read.
pub(super) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    root: ValueId,
}

impl<'a> Pickle<'a> {
    /// Reads a pickle; what follows its end is not looked at.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, TorchFileError> {
        let mut machine = Machine {
            bytes,
            offset: 0,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        };
        loop {
            if let Some(root) = machine.step()? {
                let values = machine.values;
                return Ok(Self { values, root });
            }
        }
    }

    pub(super) fn root(&self) -> ValueId {
        self.root
    }

    /// The entries of a dictionary that are tensors under a text; the last of a name counts.
    pub(super) fn tensors_in(&self, dict: ValueId) -> BTreeMap<String, View> {
        let tensors = self.entries(dict).filter_map(|(key, value)| {
            match (&self.values[key.0], &self.values[value.0]) {
                (Value::Text(name), Value::Tensor(view)) => {
                    Some(((*name).to_owned(), (**view).clone()))
                }
                _ => None,
            }
        });
        tensors.collect()
    }

    /// The last entry of a name.
    pub(super) fn entry(&self, dict: ValueId, name: &str) -> Option<ValueId> {
        let is_it = |key: ValueId| matches!(self.values[key.0], Value::Text(text) if text == name);
        let mut entries = self.entries(dict).filter(|&(key, _)| is_it(key));
        entries.next_back().map(|(_, value)| value)
    }

    fn entries(&self, dict: ValueId) -> impl DoubleEndedIterator<Item = (ValueId, ValueId)> {
        let entries: &[_] = match &self.values[dict.0] {
            Value::Dict(entries) => entries,
            _ => &[],
        };
        entries.iter().copied()
    }
}

pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    /// Next byte to read.
    offset: usize,
    values: Vec<Value<'a>>,
    stack: Vec<ValueId>,
    /// Stack heights at the open marks.
    marks: Vec<usize>,
    memo: HashMap<u64, ValueId>,
}

impl<'a> Machine<'a> {
    /// Runs one opcode; the result at the end.
    fn step(&mut self) -> Result<Option<ValueId>, TorchFileError> {
        let code = self.take(1)?[0];
        match code {
            b'.' => return self.pop().map(Some),
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => self.mark()?,
            b'N' | 0x88 | 0x89 => self.push(Value::Other)?,
            b'G' => {
                self.take(8)?;
                self.push(Value::Other)?;
            }
            b'K' => self.int(1)?,
            b'M' => self.int(2)?,
            b'J' => self.int(4)?,
            0x8a => self.long()?,
            0x8c => self.text(1)?,
            b'X' => self.text(4)?,
            b']' => self.push(Value::List(Vec::new()))?,
            b')' => self.push(Value::Tuple(Vec::new()))?,
            b'}' => self.push(Value::Dict(Vec::new()))?,
            0x85..=0x87 => self.tuple_of(usize::from(code - 0x84))?,
            b't' => {
                let items = self.pop_mark()?;
                self.push(Value::Tuple(items))?;
            }
            b'a' | b'e' => self.append(code == b'a')?,
            b's' | b'u' => self.set_items(code == b's')?,
            b'q' => self.put(1)?,
            b'r' => self.put(4)?,
            0x94 => self.memoize(self.memo.len() as u64)?,
            b'h' => self.get(1)?,
            b'j' => self.get(4)?,
            _ => self.make(code)?,
        }
        Ok(None)
    }

    /// The opcodes that name and make objects.
    fn make(&mut self, code: u8) -> Result<(), TorchFileError> {
        match code {
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.name(module, name)
            }
            0x93 => {
                let (name, module) = (self.pop_text()?, self.pop_text()?);
                self.name(module, name)
            }
            b'Q' => {
                let id = self.pop()?;
                let made = self.storage(id)?;
                self.push(made)
            }
            b'R' | 0x81 => {
                let (arguments, known) = (self.pop()?, self.pop()?);
                let made = self.made(known, arguments)?;
                self.push(made)
            }
            // The state of an object, which no tensor has.
            b'b' => {
                self.pop()?;
                self.top().map(drop)
            }
            _ => Err(self.broken(format!(
                "opcode {code:#04x} is not one of a list of tensors"
            ))),
        }
    }

    fn name(&mut self, module: &str, name: &str) -> Result<(), TorchFileError> {
        match Known::from_name(module, name) {
            Some(known) => self.push(Value::Known(known)),
            None => {
                let shown = |text: &str| text.chars().take(60).collect::<String>();
                let name = format!("{}.{}", shown(module), shown(name));
                let name = name.escape_default().to_string();
                Err(TorchFileError::Code { name })
            }
        }
    }

    pub(super) fn broken(&self, reason: impl Into<String>) -> TorchFileError {
        TorchFileError::BrokenPickle {
            offset: self.offset,
            reason: reason.into(),
        }
    }

    pub(super) fn value(&self, id: ValueId) -> &Value<'a> {
        &self.values[id.0]
    }

    /// The items of a tuple, as the arguments of what is made are.
    pub(super) fn tuple(&self, id: ValueId) -> Result<&[ValueId], TorchFileError> {
        match self.value(id) {
            Value::Tuple(items) => Ok(items),
            _ => Err(self.broken("arguments are not a tuple")),
        }
    }

    fn take(&mut self, n_bytes: usize) -> Result<&'a [u8], TorchFileError> {
        let bytes: &'a [u8] = self.bytes;
        let taken = bytes.get(self.offset..).and_then(|it| it.get(..n_bytes));
        let taken = taken.ok_or_else(|| self.broken("it ends in the middle"))?;
        self.offset += n_bytes;
        Ok(taken)
    }

    /// An unsigned little-endian number of 1, 2 or 4 bytes.
    fn take_number(&mut self, n_bytes: usize) -> Result<u64, TorchFileError> {
        let bytes = self.take(n_bytes)?.iter().rev();
        Ok(bytes.fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn utf8(&self, bytes: &'a [u8]) -> Result<&'a str, TorchFileError> {
        std::str::from_utf8(bytes).map_err(|_| self.broken("text is not UTF-8"))
    }

    fn line(&mut self) -> Result<&'a str, TorchFileError> {
        let rest = &self.bytes[self.offset..];
        let length = rest.iter().position(|&byte| byte == b'\n');
        let length = length.ok_or_else(|| self.broken("it ends in a name"))?;
        let line = self.take(length + 1)?;
        self.utf8(&line[..length])
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), TorchFileError> {
        if self.values.len() == MAX_VALUES {
            return Err(self.broken("it has more values than any list of tensors"));
        }
        self.values.push(value);
        self.push_id(ValueId(self.values.len() - 1))
    }

    fn push_id(&mut self, id: ValueId) -> Result<(), TorchFileError> {
        if self.stack.len() == MAX_STACK {
            return Err(self.broken("it is nested too deeply"));
        }
        self.stack.push(id);
        Ok(())
    }

    /// The lowest stack height that may be popped to.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<ValueId, TorchFileError> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn top(&self) -> Result<ValueId, TorchFileError> {
        let top = self.stack.get(self.floor()..).and_then(<[_]>::last);
        let top = top.copied();
        top.ok_or_else(|| self.broken("an opcode needs more values than there are"))
    }

    fn pop_text(&mut self) -> Result<&'a str, TorchFileError> {
        let id = self.pop()?;
        match *self.value(id) {
            Value::Text(text) => Ok(text),
            _ => Err(self.broken("a name is not text")),
        }
    }

    fn mark(&mut self) -> Result<(), TorchFileError> {
        if self.marks.len() == MAX_STACK {
            return Err(self.broken("it is nested too deeply"));
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    /// Everything above the last mark.
    fn pop_mark(&mut self) -> Result<Vec<ValueId>, TorchFileError> {
        let height = self.marks.pop();
        let height = height.ok_or_else(|| self.broken("an opcode needs a mark"))?;
        Ok(self.stack.split_off(height))
    }

    fn int(&mut self, n_bytes: usize) -> Result<(), TorchFileError> {
        let number = self.take_number(n_bytes)? as u32;
        // Only the widest form has a sign.
        let value = match n_bytes {
            4 => i64::from(number.cast_signed()),
            _ => i64::from(number),
        };
        self.push(Value::Int(value))
    }

    /// Integers of more than 64 bits say nothing about tensors.
    fn long(&mut self) -> Result<(), TorchFileError> {
        let n_bytes = self.take_number(1)? as usize;
        let bytes = self.take(n_bytes)?;
        if n_bytes > 8 {
            return self.push(Value::Other);
        }
        let is_negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut padded = [if is_negative { 0xff } else { 0 }; 8];
        padded[..n_bytes].copy_from_slice(bytes);
        self.push(Value::Int(i64::from_le_bytes(padded)))
    }

    fn text(&mut self, n_bytes: usize) -> Result<(), TorchFileError> {
        let length = self.take_number(n_bytes)? as usize;
        let bytes = self.take(length)?;
        let text = self.utf8(bytes)?;
        self.push(Value::Text(text))
    }

    fn tuple_of(&mut self, n_items: usize) -> Result<(), TorchFileError> {
        let height = self.stack.len().checked_sub(n_items);
        match height.filter(|&height| height >= self.floor()) {
            None => Err(self.broken("a tuple needs more values than there are")),
            Some(height) => {
                let items = self.stack.split_off(height);
                self.push(Value::Tuple(items))
            }
        }
    }

    fn append(&mut self, is_one: bool) -> Result<(), TorchFileError> {
        let items = match is_one {
            true => vec![self.pop()?],
            false => self.pop_mark()?,
        };
        let ValueId(list) = self.top()?;
        match &mut self.values[list] {
            Value::List(list) => list.extend(items),
            // A list of something that is not read.
            Value::Other => {}
            _ => return Err(self.broken("something is appended to what is not a list")),
        }
        Ok(())
    }

    fn set_items(&mut self, is_one: bool) -> Result<(), TorchFileError> {
        let items = match is_one {
            true => {
                let (value, key) = (self.pop()?, self.pop()?);
                vec![key, value]
            }
            false => self.pop_mark()?,
        };
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

    fn put(&mut self, n_bytes: usize) -> Result<(), TorchFileError> {
        let key = self.take_number(n_bytes)?;
        self.memoize(key)
    }

    fn memoize(&mut self, key: u64) -> Result<(), TorchFileError> {
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn get(&mut self, n_bytes: usize) -> Result<(), TorchFileError> {
        let key = self.take_number(n_bytes)?;
        match self.memo.get(&key) {
            Some(&id) => self.push_id(id),
            None => Err(self.broken("the memo has no such entry")),
        }
    }
}
