//! Start noise that somebody brings in a safetensors file.

use candle_core::{DType, Device, Tensor};
use dfa_core::wire::ContentHash;

use super::{SetupError, TensorFile};
use crate::model_folder::ModelFolder;

pub(super) fn hash_of(latent: &Tensor) -> Result<ContentHash, candle_core::Error> {
    let values = latent.flatten_all()?.to_vec1::<f32>()?;
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    Ok(ContentHash::of(&bytes))
}

/// Start noise from a file: (B, C, …), finite, as f32.
pub(super) fn read_latents(file: &TensorFile, folder: &ModelFolder) -> Result<Tensor, SetupError> {
    let wrong = |reason: String| SetupError::Latents {
        path: file.path.clone(),
        reason,
    };
    let bytes = std::fs::read(&file.path)
        .map_err(|error| wrong(format!("cannot be read ({error}); check the path")))?;
    let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)
        .map_err(|error| wrong(format!("not a safetensors file ({error})")))?;
    let mut names: Vec<&String> = tensors.keys().collect();
    names.sort();
    let name = match (&file.tensor, names.as_slice()) {
        (Some(name), _) => name,
        (None, [only]) => only,
        (None, _) => {
            return Err(wrong(format!(
                "name the tensor as FILE:TENSOR; the file holds {names:?}"
            )));
        }
    };
    let latent = tensors
        .get(name)
        .ok_or_else(|| {
            wrong(format!(
                "there is no tensor {name:?}; the file holds {names:?}"
            ))
        })?
        .to_dtype(DType::F32)?;
    let n_channels = folder.transformer.geometry().in_channels;
    let (n_dims, rest) = match folder.transformer.family().makes_videos() {
        true => (5, "frames, height, width"),
        false => (4, "height, width"),
    };
    let dims = latent.dims();
    if dims.len() != n_dims || dims[0] == 0 || dims[1] != n_channels {
        return Err(wrong(format!(
            "the shape is {dims:?}, expected [images, {n_channels}, {rest}]"
        )));
    }
    let values = latent.flatten_all()?.to_vec1::<f32>()?;
    if values.iter().any(|value| !value.is_finite()) {
        return Err(wrong("it holds NaN or infinity".into()));
    }
    Ok(latent)
}
