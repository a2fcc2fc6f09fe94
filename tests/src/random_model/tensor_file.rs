//! Random tensors, written into a safetensors file while they are made.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::TensorSpec;

/// The type that values are stored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredAs {
    /// 32-bit floats.
    F32,
    /// 16-bit IEEE floats.
    F16,
    /// The upper half of 32-bit floats.
    Bf16,
}

impl StoredAs {
    /// `f32`, `f16` or `bf16`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "f32" => Some(Self::F32),
            "f16" => Some(Self::F16),
            "bf16" => Some(Self::Bf16),
            _ => None,
        }
    }

    fn size(self) -> usize {
        if self == Self::F32 { 4 } else { 2 }
    }

    fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
        }
    }

    fn append(self, value: f32, bytes: &mut Vec<u8>) {
        match self {
            Self::F32 => bytes.extend(value.to_le_bytes()),
            Self::F16 => bytes.extend(half::f16::from_f32(value).to_le_bytes()),
            Self::Bf16 => bytes.extend(half::bf16::from_f32(value).to_le_bytes()),
        }
    }
}

/// Writes all tensors, one after the other.
///
/// # Errors
/// If the file cannot be written.
pub fn write_tensors(path: &Path, specs: &[TensorSpec], stored_as: StoredAs) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let header = header(specs, stored_as);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    let mut noise = Noise(0x9E37_79B9_7F4A_7C15);
    let mut bytes = Vec::new();
    for spec in specs {
        let n: usize = spec.shape.iter().product();
        let (mean, deviation) = moments(spec);
        for start in (0..n).step_by(1 << 16) {
            bytes.clear();
            for _ in start..n.min(start + (1 << 16)) {
                stored_as.append(mean + deviation * noise.next(), &mut bytes);
            }
            file.write_all(&bytes)?;
        }
    }
    file.flush()
}

/// Padded so that the data begins at a multiple of eight.
fn header(specs: &[TensorSpec], stored_as: StoredAs) -> String {
    let mut entries = Map::new();
    let mut start = 0;
    for spec in specs {
        let end = start + spec.shape.iter().product::<usize>() * stored_as.size();
        let entry = json!({
            "dtype": stored_as.name(), "shape": spec.shape, "data_offsets": [start, end],
        });
        entries.insert(spec.name.clone(), entry);
        start = end;
    }
    let mut text = Value::Object(entries).to_string();
    // No format width: it ends at 65,535.
    let padded = text.len().next_multiple_of(8);
    text.extend(std::iter::repeat_n(' ', padded - text.len()));
    text
}

/// Mean and standard deviation: layers keep the size of what goes through them.
fn moments(spec: &TensorSpec) -> (f32, f32) {
    let is_norm = spec.shape.len() == 1 && spec.name.ends_with("weight");
    match spec.shape.len() {
        1 if is_norm => (1.0, 0.1),
        1 => (0.0, 0.02),
        _ => {
            let inputs: usize = spec.shape[1..].iter().product();
            (0.0, 1.0 / (inputs as f32).sqrt())
        }
    }
}

/// Nearly normal numbers: the sum of four uniform ones, scaled to a deviation of one.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let quarters = [0, 16, 32, 48].map(|shift| (self.0 >> shift) & 0xffff);
        let sum: u64 = quarters.iter().sum();
        // Four uniform numbers over 2¹⁶ have a variance of 4 · 2³² / 12.
        (sum as f32 - 131_070.0) / 37_837.23
    }
}
