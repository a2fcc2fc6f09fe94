//! The noise of a run: where it starts, and what an ancestral sampler adds; from the seed,
//! or brought by somebody in a safetensors file.

use candle_core::Tensor;
use dfa_core::wire::ContentHash;

use super::checked_run::{CheckedRun, GivenLatents};
use super::{RunSpec, SetupError, TensorFile};
use crate::diffusion::noise;
use crate::diffusion::step_noise::{GivenNoise, StepNoise};
use crate::model::LatentSize;
use crate::model_folder::ModelFolder;

fn hash_of(latent: &Tensor) -> Result<ContentHash, candle_core::Error> {
    let values = latent.flatten_all()?.to_vec1::<f32>()?;
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    Ok(ContentHash::of(&bytes))
}

/// Start noise from a file: (B, C, …), finite, as f32.
fn read_latents(file: &TensorFile, folder: &ModelFolder) -> Result<Tensor, SetupError> {
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

/// What an ancestral sampler adds, checked against the run.
pub(super) fn step_noise_of(
    spec: &RunSpec,
    run: &CheckedRun,
    latent: &Tensor,
) -> Result<(StepNoise, Option<ContentHash>), SetupError> {
    let Some(file) = &spec.step_noise else {
        return Ok((StepNoise::Seeded { seed: run.seed }, None));
    };
    if !run.sampler.needs_noise() {
        return Err(SetupError::OutOfRange {
            what: "--step-noise",
            found: format!("given for {}", run.sampler_kind),
            expected: "left out: only iddpm adds noise at its steps".into(),
        });
    }
    let wrong = |reason: String| SetupError::StepNoise {
        path: file.path.clone(),
        reason,
    };
    let noise = file.read().map_err(|error| wrong(error.to_string()))?;
    let given = GivenNoise::new(&noise, run.sampler.n_steps(), latent.dims());
    let given = given.map_err(|error| wrong(error.to_string()))?;
    Ok((StepNoise::Given(given), Some(hash_of(&noise)?)))
}

/// The values of the run and its start noise.
pub(super) fn checked_start(
    spec: &RunSpec,
    folder: &ModelFolder,
) -> Result<(CheckedRun, Tensor, Option<ContentHash>), SetupError> {
    let n_channels = folder.transformer.geometry().in_channels;
    let Some(file) = &spec.latents else {
        let run = CheckedRun::new(spec, folder)?;
        let images = 0..run.subjects.n_images() as u64;
        let latent = noise::start_noise(spec.seed, images, n_channels, run.size)?;
        return Ok((run, latent, None));
    };
    let latent = read_latents(file, folder)?;
    let (n_images, size) = match *latent.dims() {
        [n, _, height, width] => (n, LatentSize::image(height, width)),
        [n, _, frames, height, width] => (
            n,
            LatentSize {
                frames: Some(frames),
                height,
                width,
            },
        ),
        _ => (0, LatentSize::image(0, 0)),
    };
    let given = GivenLatents { n_images, size };
    let run = CheckedRun::with_latents(spec, folder, Some(given))?;
    let hash = hash_of(&latent)?;
    Ok((run, latent, Some(hash)))
}
