//! A run whose every value is checked against a model's configuration, without the model's
//! weights: what a request can be refused by before anything is loaded.

use dfa_core::branch::ResidualHalf;
use dfa_core::sampler::SamplerKind;
use dfa_core::wire::Fingerprint;

use super::{MAX_IMAGES, MAX_SIDE, MAX_STEPS, RunSpec, SetupError, VAE_FACTOR};
use crate::diffusion::guidance::Guidance;
use crate::diffusion::noise;
use crate::diffusion::sampler::Sampler;
use crate::model::LatentSize;
use crate::model_folder::{ModelFolder, ModelIdentity};

/// The values of a run, checked; everything but tensors.
#[derive(Clone, Debug)]
pub struct CheckedRun {
    /// The sampler's name.
    pub sampler_kind: SamplerKind,
    /// The sampler.
    pub sampler: Sampler,
    /// Guidance.
    pub guidance: Guidance,
    /// One class per image.
    pub labels: Vec<u32>,
    /// Size of the latent.
    pub size: LatentSize,
    /// Seed of noise and random labels.
    pub seed: u64,
    /// Which half of the residual `wa_rs+asc` uses.
    pub residual_half: ResidualHalf,
}

/// What a file of start noise fixes.
#[derive(Clone, Copy, Debug)]
pub(super) struct GivenLatents {
    pub(super) n_images: usize,
    pub(super) size: LatentSize,
}

impl CheckedRun {
    /// Checks every value of `spec`; start noise from a file is not looked at.
    ///
    /// # Errors
    /// [`SetupError`] for the first thing that is wrong.
    pub fn new(spec: &RunSpec, folder: &ModelFolder) -> Result<Self, SetupError> {
        Self::with_latents(spec, folder, None)
    }

    pub(super) fn with_latents(
        spec: &RunSpec,
        folder: &ModelFolder,
        given: Option<GivenLatents>,
    ) -> Result<Self, SetupError> {
        within("--steps", spec.n_steps, 1, MAX_STEPS)?;
        let guidance = Guidance::new(spec.guidance_scale)?;
        let sampler_kind = spec.sampler.unwrap_or(folder.sampler.kind());
        let sampler = Sampler::new(&folder.sampler.with_kind(sampler_kind), spec.n_steps)?;
        let labels = resolve_labels(spec, folder, given.map(|given| given.n_images))?;
        let size = match given {
            Some(given) => given.size,
            None => requested_size(spec.size, folder)?,
        };
        check_size(size, folder)?;
        Ok(Self {
            sampler_kind,
            sampler,
            guidance,
            labels,
            size,
            seed: spec.seed,
            residual_half: spec.residual_half,
        })
    }

    /// T, for a model of this folder.
    pub fn n_tokens(&self, folder: &ModelFolder) -> usize {
        let patch = folder.transformer.patch_size;
        (self.size.height / patch) * (self.size.width / patch)
    }

    /// What a plan for this run must match.
    pub fn fingerprint(&self, folder: &ModelFolder, identity: &ModelIdentity) -> Fingerprint {
        let timesteps = self.sampler.timesteps().iter().map(|&t| f64::from(t));
        Fingerprint {
            weights_sha256: identity.weights_sha256,
            config_sha256: identity.config_sha256,
            scheduler_sha256: identity.scheduler_sha256,
            n_tokens: self.n_tokens(folder),
            n_blocks: folder.transformer.n_blocks,
            timesteps: timesteps.collect(),
            sampler: self.sampler_kind,
            guidance_scale: self.guidance.scale(),
            dtype: "f32".into(),
            residual_half: self.residual_half,
        }
    }
}

fn within(what: &'static str, found: usize, least: usize, most: usize) -> Result<(), SetupError> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    Err(SetupError::OutOfRange {
        what,
        found: found.to_string(),
        expected: format!("from {least} to {most}"),
    })
}

fn resolve_labels(
    spec: &RunSpec,
    folder: &ModelFolder,
    n_latents: Option<usize>,
) -> Result<Vec<u32>, SetupError> {
    let n_classes = folder.transformer.n_classes as u32;
    let n_images = n_latents
        .or(spec.n_images)
        .unwrap_or(match spec.labels.len() {
            0 => spec.n_default,
            n => n,
        });
    within("the number of images", n_images, 1, MAX_IMAGES)?;
    if spec.labels.is_empty() {
        return Ok(noise::random_labels(spec.seed, n_images, n_classes));
    }
    let labels = spec
        .labels
        .iter()
        .map(|label| folder.class_names.resolve(label, n_classes));
    let labels: Vec<u32> = labels.collect::<Result<_, _>>()?;
    if labels.len() > n_images {
        return Err(SetupError::OutOfRange {
            what: "the number of labels",
            found: labels.len().to_string(),
            expected: format!("at most the number of images, {n_images}"),
        });
    }
    Ok(labels.into_iter().cycle().take(n_images).collect())
}

fn requested_size(
    size: Option<(usize, usize)>,
    folder: &ModelFolder,
) -> Result<LatentSize, SetupError> {
    let factor = if folder.has_vae { VAE_FACTOR } else { 1 };
    let native = folder.transformer.sample_size;
    let Some((width, height)) = size else {
        return Ok(LatentSize {
            height: native,
            width: native,
        });
    };
    if !width.is_multiple_of(factor) || !height.is_multiple_of(factor) {
        return Err(SetupError::OutOfRange {
            what: "--size",
            found: format!("{width}x{height}"),
            expected: format!("a multiple of {factor} on both sides (the VAE's factor)"),
        });
    }
    Ok(LatentSize {
        height: height / factor,
        width: width / factor,
    })
}

fn check_size(size: LatentSize, folder: &ModelFolder) -> Result<(), SetupError> {
    let patch = folder.transformer.patch_size;
    let fits = |side: usize| side > 0 && side <= MAX_SIDE && side.is_multiple_of(patch);
    if fits(size.height) && fits(size.width) {
        return Ok(());
    }
    Err(SetupError::OutOfRange {
        what: "the latent's size",
        found: size.to_string(),
        expected: format!(
            "a positive multiple of the patch, {patch}, of at most {MAX_SIDE} on both sides"
        ),
    })
}
