//! The header of a safetensors file: which tensor lies where. Checked as a whole before
//! anything of the file is used: no tensor twice, none outside the file, none over
//! another, each as long as its shape and type say.
//!
//! The format: eight bytes with the header's length, little endian; the header, a JSON
//! object from name to dtype, shape and offsets; the data, to the end of the file.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};

/// Bytes of the length before the header.
const LENGTH_BYTES: usize = 8;
/// Longer headers are refused, as the format's authors do.
const LONGEST_HEADER: usize = 100_000_000;
/// The one key of the header that names no tensor.
const METADATA: &str = "__metadata__";

/// How a tensor's elements are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredType {
    /// 32-bit floats.
    F32,
    /// 16-bit IEEE floats.
    F16,
    /// The upper half of 32-bit floats.
    Bf16,
}

impl StoredType {
    /// As candle names it.
    pub(super) fn dtype(self) -> candle_core::DType {
        match self {
            Self::F32 => candle_core::DType::F32,
            Self::F16 => candle_core::DType::F16,
            Self::Bf16 => candle_core::DType::BF16,
        }
    }

    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }
}

/// Where a tensor lies in its file, and what it is.
#[derive(Clone, Debug)]
pub(super) struct TensorEntry {
    /// As the header names it.
    pub(super) dtype: String,
    pub(super) shape: Vec<usize>,
    /// Bytes of the file.
    pub(super) bytes: Range<usize>,
}

impl TensorEntry {
    /// The type, if it is one that a model can be computed with.
    pub(super) fn stored_type(&self) -> Option<StoredType> {
        match self.dtype.as_str() {
            "F32" => Some(StoredType::F32),
            "F16" => Some(StoredType::F16),
            "BF16" => Some(StoredType::Bf16),
            _ => None,
        }
    }

    /// Bits of an element; `None` for a type that is not known here.
    fn element_bits(&self) -> Option<usize> {
        match self.dtype.as_str() {
            "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" => Some(8),
            "I16" | "U16" | "F16" | "BF16" => Some(16),
            "I32" | "U32" | "F32" => Some(32),
            "I64" | "U64" | "F64" | "C64" => Some(64),
            _ => None,
        }
    }
}

/// Reads and checks the header of a whole file.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn read(file: &[u8]) -> Result<BTreeMap<String, TensorEntry>, String> {
    let (text, data_start) = split(file)?;
    let header: Header =
        serde_json::from_slice(text).map_err(|error| format!("its header: {error}"))?;
    let mut tensors = BTreeMap::new();
    for (name, entry) in header.0 {
        let entry = entry.placed(&name, data_start)?;
        if tensors.insert(name.clone(), entry).is_some() {
            return Err(format!("its header names {name:?} twice"));
        }
    }
    check_places(&tensors, data_start, file.len())?;
    Ok(tensors)
}

/// The header's text, and where the data begins.
fn split(file: &[u8]) -> Result<(&[u8], usize), String> {
    let Some((length, rest)) = file.split_first_chunk::<LENGTH_BYTES>() else {
        return Err(format!("it has {} bytes", file.len()));
    };
    let length = u64::from_le_bytes(*length);
    let fitting = usize::try_from(length)
        .ok()
        .filter(|&length| length <= LONGEST_HEADER);
    match fitting.and_then(|length| rest.get(..length)) {
        Some(text) => Ok((text, LENGTH_BYTES + text.len())),
        None => Err(format!(
            "its header should have {length} bytes, but the file has {} bytes in all",
            file.len()
        )),
    }
}

/// Tensors lie one after the other, without gaps, up to the end of the file.
fn check_places(
    tensors: &BTreeMap<String, TensorEntry>,
    data_start: usize,
    file_len: usize,
) -> Result<(), String> {
    let mut by_place: Vec<_> = tensors.iter().collect();
    by_place.sort_by_key(|(_, entry)| (entry.bytes.start, entry.bytes.end));
    let (mut end, mut before) = (data_start, "the header");
    for (name, entry) in by_place {
        let start = entry.bytes.start;
        if start < end {
            return Err(format!(
                "{name:?} begins at byte {start}, inside {before:?}, which ends at {end}"
            ));
        }
        if start > end {
            return Err(format!(
                "{name:?} begins at byte {start}, expected {end}, where {before:?} ends"
            ));
        }
        (end, before) = (entry.bytes.end, name);
    }
    if end != file_len {
        return Err(format!(
            "it has {file_len} bytes, but its header tells of {end}"
        ));
    }
    Ok(())
}

/// One tensor as the header writes it.
#[derive(Deserialize)]
struct RawEntry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

impl RawEntry {
    fn placed(self, name: &str, data_start: usize) -> Result<TensorEntry, String> {
        let (start, end) = self.data_offsets;
        let place = |offset: usize| {
            data_start
                .checked_add(offset)
                .ok_or_else(|| format!("{name:?}: offset {offset} is beyond any file"))
        };
        let entry = TensorEntry {
            dtype: self.dtype,
            shape: self.shape,
            bytes: place(start)?..place(end)?,
        };
        let found = end.checked_sub(start);
        let n_elements = entry
            .shape
            .iter()
            .try_fold(1usize, |n, &side| n.checked_mul(side));
        let expected = match entry.element_bits() {
            Some(bits) => n_elements.and_then(|n| n.checked_mul(bits / 8)),
            None => found,
        };
        if found.is_none() || found != expected {
            let expected = expected.map_or("more than any file holds".into(), |n| n.to_string());
            return Err(format!(
                "{name:?}: {} of shape {:?} takes {expected} bytes, but its offsets are {start} to {end}",
                entry.dtype, entry.shape
            ));
        }
        Ok(entry)
    }
}

/// The header's tensors in the order of the file; a map would swallow a name's second use.
struct Header(Vec<(String, RawEntry)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object from tensor names to dtype, shape and data_offsets")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut tensors = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == METADATA {
                map.next_value::<IgnoredAny>()?;
            } else {
                tensors.push((name, map.next_value()?));
            }
        }
        Ok(Header(tensors))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, n_data: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.bytes());
        bytes.resize(bytes.len() + n_data, 0);
        bytes
    }

    #[test]
    fn headers_that_lie_are_refused_in_words() {
        let tensor = |dtype: &str, shape: &str, start: u64, end: u64| {
            format!("{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":[{start},{end}]}}")
        };
        let check = |header: &str, n_data: usize, expected: &str| {
            let found = read(&file(header, n_data)).err().unwrap_or_default();
            assert!(found.contains(expected), "{header}: {found:?}");
        };
        let a = tensor("F32", "[2]", 0, 8);
        check(&format!("{{\"a\":{a}}}"), 8, "");
        check(&format!("{{\"a\":{a},\"a\":{a}}}"), 8, "names \"a\" twice");
        check(&format!("{{\"a\":{a}}}"), 7, "its header tells of");
        check(&format!("{{\"a\":{a}}}"), 9, "its header tells of");
        let over = tensor("F16", "[2]", 4, 8);
        check(&format!("{{\"a\":{a},\"b\":{over}}}"), 8, "inside \"a\"");
        let apart = tensor("F16", "[2]", 12, 16);
        check(
            &format!("{{\"a\":{a},\"b\":{apart}}}"),
            16,
            "where \"a\" ends",
        );
        let short = tensor("F32", "[3]", 0, 8);
        check(
            &format!("{{\"a\":{short}}}"),
            8,
            "F32 of shape [3] takes 12 bytes",
        );
        let back = tensor("F32", "[0]", 8, 0);
        check(&format!("{{\"a\":{back}}}"), 8, "its offsets are 8 to 0");
        let huge = tensor("F32", "[4294967296,4294967296,2]", 0, 8);
        check(&format!("{{\"a\":{huge}}}"), 8, "more than any file holds");
        let far = tensor("F32", "[2]", u64::MAX - 8, u64::MAX);
        check(&format!("{{\"a\":{far}}}"), 8, "beyond any file");
        check("[]", 0, "an object from tensor names");
        check("{\"a\":1}", 0, "its header: ");
        check("{\"__metadata__\":{\"format\":\"pt\"}}", 0, "");
    }
}
