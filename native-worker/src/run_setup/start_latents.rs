//! Start noise that somebody brings in a safetensors file.

use candle_core::Tensor;
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
    let latent = file.read().map_err(|error| wrong(error.to_string()))?;
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
    Ok(latent)
}
