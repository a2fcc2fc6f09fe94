//! Where the fixtures and the shipped model lie.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};

/// A file or folder under `tests/fixtures`.
pub fn fixture(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(relative)
}

/// The model folder that the project ships.
pub fn shipped_model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/avatars-dit")
}

/// All tensors of a safetensors fixture.
///
/// # Panics
/// If the fixture cannot be read: a broken checkout.
pub fn tensors(relative: &str) -> HashMap<String, Tensor> {
    let path = fixture(relative);
    candle_core::safetensors::load(&path, &Device::Cpu)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A JSON fixture.
///
/// # Panics
/// If the fixture cannot be read: a broken checkout.
pub fn json(relative: &str) -> serde_json::Value {
    let path = fixture(relative);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A tensor's elements as f32, row-major.
///
/// # Panics
/// If the tensor cannot be converted.
pub fn values(tensor: &Tensor) -> Vec<f32> {
    let flat = tensor.to_dtype(candle_core::DType::F32);
    let flat = flat.and_then(|tensor| tensor.flatten_all());
    match flat.and_then(|tensor| tensor.to_vec1()) {
        Ok(values) => values,
        Err(error) => panic!("{error}"),
    }
}
