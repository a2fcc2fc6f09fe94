//! A tensor as a file holds it: part of a storage, with strides.

use std::io::{Read, Write};

use super::TorchFileError;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 1 << 20;
/// Most dimensions of a tensor.
pub(super) const MAX_RANK: usize = 16;

/// Type of the numbers of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberType {
    /// f64; written as f32.
    F64,
    /// f32
    F32,
    /// f16
    F16,
    /// bf16
    Bf16,
    /// Integers and truth values, of so many bytes; weights are none of them.
    Integer(usize),
}

impl NumberType {
    /// Bytes of one number in the file.
    pub fn size(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Integer(size) => size,
        }
    }

    /// The type as it is written, by its name in safetensors, and its size in bytes; none
    /// for what is not written.
    pub fn written(self) -> Option<(&'static str, usize)> {
        match self {
            Self::F64 | Self::F32 => Some(("F32", 4)),
            Self::F16 => Some(("F16", 2)),
            Self::Bf16 => Some(("BF16", 2)),
            Self::Integer(_) => None,
        }
    }
}

/// A tensor: which numbers of which storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Name of the storage in the archive.
    pub(super) storage: String,
    /// Numbers in the storage.
    pub(super) storage_len: u64,
    /// Type of the numbers.
    pub number: NumberType,
    pub(super) offset: u64,
    /// Sizes.
    pub shape: Vec<u64>,
    pub(super) strides: Vec<u64>,
}

impl View {
    /// Numbers of the tensor; none if they cannot be counted.
    fn count(&self) -> Option<u64> {
        let sizes = self.shape.iter();
        sizes.copied().try_fold(1, u64::checked_mul)
    }

    /// Bytes of the tensor as it is written; 0 for what is not written.
    pub fn written_bytes(&self) -> u64 {
        let size = self.number.written().map_or(0, |(_, size)| size as u64);
        self.count().unwrap_or(0) * size
    }

    pub(super) fn storage_bytes(&self) -> Option<u64> {
        self.storage_len.checked_mul(self.number.size() as u64)
    }

    /// Distance of the last number from the first; none if it cannot be counted.
    fn reach(&self) -> Option<u64> {
        let mut dimensions = self.shape.iter().zip(&self.strides);
        dimensions.try_fold(0, |reach: u64, (&size, &stride)| {
            reach.checked_add(size.saturating_sub(1).checked_mul(stride)?)
        })
    }

    /// Checks that all numbers lie in the storage, and that they are not more than it has.
    /// The inner error is the reason.
    pub(super) fn ensure_inside(&self) -> Result<(), String> {
        let beyond = || {
            format!(
                "shape {:?} with strides {:?} from {} reaches beyond its storage of {} numbers",
                self.shape, self.strides, self.offset, self.storage_len
            )
        };
        let count = self.count().ok_or_else(beyond)?;
        if count == 0 {
            return Ok(());
        }
        let last = self
            .reach()
            .and_then(|reach| reach.checked_add(self.offset));
        if last.is_none_or(|last| last >= self.storage_len) {
            return Err(beyond());
        }
        if count > self.storage_len {
            return Err(format!(
                "shape {:?} repeats the {} numbers of its storage",
                self.shape, self.storage_len
            ));
        }
        Ok(())
    }

    /// Rows `first .. first + n` of a tensor with at least that many.
    #[must_use]
    pub fn rows(&self, first: u64, n: u64) -> Self {
        let mut rows = self.clone();
        if let (Some(size), Some(stride)) = (rows.shape.first_mut(), self.strides.first()) {
            *size = n;
            rows.offset += first * stride;
        }
        rows
    }

    /// First number in the storage, and how many there are from it to the last.
    pub(super) fn span(&self) -> (u64, u64) {
        match self.count() {
            None | Some(0) => (0, 0),
            Some(_) => (self.offset, self.reach().unwrap_or(0) + 1),
        }
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        for (&size, &stride) in self.shape.iter().zip(&self.strides).rev() {
            if size != 1 && stride != expected {
                return false;
            }
            expected *= size;
        }
        true
    }

    /// Writes the numbers in `span`, which begins with the first of them.
    pub(super) fn copy(
        &self,
        span: &mut dyn Read,
        out: &mut dyn Write,
        wrote: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(), TorchFileError> {
        let n_bytes = self.span().1 * self.number.size() as u64;
        if self.count() == Some(0) {
            return Ok(());
        }
        if !self.is_contiguous() {
            let mut numbers = Vec::new();
            span.read_to_end(&mut numbers)?;
            ensure_whole(numbers.len() as u64 == n_bytes)?;
            return self.gather(&numbers, out, wrote);
        }
        let mut left = n_bytes;
        let mut chunk = vec![0; CHUNK_BYTES.min(n_bytes as usize)];
        while left > 0 {
            let len = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            span.read_exact(&mut chunk[..len])?;
            self.put(&chunk[..len], out, wrote)?;
            left -= len as u64;
        }
        Ok(())
    }

    /// Brings numbers that are not in order into it.
    fn gather(
        &self,
        numbers: &[u8],
        out: &mut dyn Write,
        wrote: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(), TorchFileError> {
        let size = self.number.size();
        let mut place = vec![0u64; self.shape.len()];
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        loop {
            let steps = place.iter().zip(&self.strides);
            let at = steps.map(|(idx, stride)| idx * stride).sum::<u64>() as usize * size;
            chunk.extend_from_slice(numbers.get(at..at + size).unwrap_or_default());
            if chunk.len() + size > CHUNK_BYTES {
                self.put(&chunk, out, wrote)?;
                chunk.clear();
            }
            if !advance(&mut place, &self.shape) {
                return self.put(&chunk, out, wrote);
            }
        }
    }

    /// Writes whole numbers, f64 as f32.
    fn put(
        &self,
        numbers: &[u8],
        out: &mut dyn Write,
        wrote: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(), TorchFileError> {
        let narrowed: Vec<u8>;
        let mut written = numbers;
        if self.number == NumberType::F64 {
            let (numbers, _) = numbers.as_chunks::<8>();
            let narrow = |&number: &[u8; 8]| (f64::from_le_bytes(number) as f32).to_le_bytes();
            narrowed = numbers.iter().flat_map(narrow).collect();
            written = &narrowed;
        }
        out.write_all(written)?;
        match wrote(written.len() as u64) {
            true => Ok(()),
            false => Err(TorchFileError::Stopped),
        }
    }
}

/// The next place in row-major order; false after the last.
fn advance(place: &mut [u64], shape: &[u64]) -> bool {
    for (idx, &size) in place.iter_mut().zip(shape).rev() {
        *idx += 1;
        if *idx < size {
            return true;
        }
        *idx = 0;
    }
    false
}

fn ensure_whole(is_whole: bool) -> Result<(), TorchFileError> {
    match is_whole {
        true => Ok(()),
        false => Err(TorchFileError::BrokenArchive {
            what: "the file ends too early".into(),
        }),
    }
}
