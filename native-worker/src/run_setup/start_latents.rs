//! Start noise that somebody brings in a safetensors file.

use candle_core::Tensor;
use dfa_core::wire::ContentHash;

use super::{LatentsFile, SetupError};
use crate::model_folder::ModelFolder;
use crate::tensor_file::read_tensor;

pub(super) fn hash_of(latent: &Tensor) -> Result<ContentHash, candle_core::Error> {
    let values = latent.flatten_all()?.to_vec1::<f32>()?;
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    Ok(ContentHash::of(&bytes))
}

/// Start noise from a file: (B, C, h, w), finite, as f32.
pub(super) fn read_latents(file: &LatentsFile, folder: &ModelFolder) -> Result<Tensor, SetupError> {
    let wrong = |reason: String| SetupError::Latents {
        path: file.path.clone(),
        reason,
    };
    let latent = read_tensor(&file.path, file.tensor.as_deref())
        .map_err(|error| wrong(error.to_string()))?;
    let n_channels = folder.transformer.in_channels;
    match latent.dims() {
        [n, c, _, _] if *n > 0 && *c == n_channels => {}
        dims => {
            return Err(wrong(format!(
                "the shape is {dims:?}, expected [images, {n_channels}, height, width]"
            )));
        }
    }
    Ok(latent)
}
