//! One tensor that somebody brings in a safetensors file: start latents, step noise,
//! prompt embeddings.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};

/// A tensor in a safetensors file: `FILE` or `FILE:TENSOR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorFile {
    /// The file.
    pub path: PathBuf,
    /// The tensor's name; may be left out if the file holds just one.
    pub tensor: Option<String>,
}

impl TensorFile {
    /// The tensor, as f32, finite.
    ///
    /// # Errors
    /// [`TensorFileError`].
    pub fn read(&self) -> Result<Tensor, TensorFileError> {
        read_tensor(&self.path, self.tensor.as_deref())
    }
}

/// Why a tensor cannot be read; the caller says what it was to be.
#[derive(Debug, thiserror::Error)]
pub enum TensorFileError {
    /// The file cannot be read.
    #[error("cannot be read ({0}); check the path")]
    Unreadable(#[source] std::io::Error),
    /// The file is no safetensors file.
    #[error("not a safetensors file ({0})")]
    NotSafetensors(#[source] candle_core::Error),
    /// Several tensors, and none was named.
    #[error("name the tensor as FILE:TENSOR; the file holds {names:?}")]
    Unnamed {
        /// What the file holds.
        names: Vec<String>,
    },
    /// The tensor that was named is not there.
    #[error("there is no tensor {name:?}; the file holds {names:?}")]
    NoSuchTensor {
        /// The name.
        name: String,
        /// What the file holds.
        names: Vec<String>,
    },
    /// It holds NaN or infinity.
    #[error("it holds NaN or infinity")]
    NotFinite,
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// The tensor `name` of a file, as f32, finite; the name may be left out if the file holds
/// just one.
///
/// # Errors
/// [`TensorFileError`].
pub fn read_tensor(path: &Path, name: Option<&str>) -> Result<Tensor, TensorFileError> {
    let bytes = std::fs::read(path).map_err(TensorFileError::Unreadable)?;
    let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)
        .map_err(TensorFileError::NotSafetensors)?;
    let mut names: Vec<String> = tensors.keys().cloned().collect();
    names.sort();
    let name = match (name, names.as_slice()) {
        (Some(name), _) => name.to_owned(),
        (None, [only]) => only.clone(),
        (None, _) => return Err(TensorFileError::Unnamed { names }),
    };
    let Some(tensor) = tensors.get(&name) else {
        return Err(TensorFileError::NoSuchTensor { name, names });
    };
    let tensor = tensor.to_dtype(DType::F32)?;
    let values = tensor.flatten_all()?.to_vec1::<f32>()?;
    if values.iter().any(|value| !value.is_finite()) {
        return Err(TensorFileError::NotFinite);
    }
    Ok(tensor)
}
