//! Writes protocol-2 pickles of lists, dictionaries, text and `None`.

use alloc::vec::Vec;

/// A pickle being written. Containers are opened and closed by the caller.
pub(crate) struct PickleWriter {
    bytes: Vec<u8>,
}

impl PickleWriter {
    /// An empty pickle of protocol 2.
    pub(crate) fn new() -> Self {
        Self {
            bytes: alloc::vec![0x80, 2],
        }
    }

    /// Opens a list; what is written until [`end_list`](Self::end_list) is in it.
    pub(crate) fn begin_list(&mut self) {
        self.bytes.extend(b"](");
    }

    /// Closes a list.
    pub(crate) fn end_list(&mut self) {
        self.bytes.push(b'e');
    }

    /// Opens a dictionary: keys and values in turn until [`end_dict`](Self::end_dict).
    pub(crate) fn begin_dict(&mut self) {
        self.bytes.extend(b"}(");
    }

    /// Closes a dictionary.
    pub(crate) fn end_dict(&mut self) {
        self.bytes.push(b'u');
    }

    /// `None`.
    pub(crate) fn none(&mut self) {
        self.bytes.push(b'N');
    }

    /// A short name.
    pub(crate) fn text(&mut self, text: &'static str) {
        self.bytes.push(b'X');
        self.bytes.extend((text.len() as u32).to_le_bytes());
        self.bytes.extend(text.as_bytes());
    }

    /// The finished pickle.
    pub(crate) fn end(mut self) -> Vec<u8> {
        self.bytes.push(b'.');
        self.bytes
    }
}
