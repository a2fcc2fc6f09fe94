//! A run whose every value is checked against a model's configuration, without the model's
//! weights: what a request can be refused by before anything is loaded.

use dfa_core::branch::ResidualHalf;
use dfa_core::sampler::SamplerKind;
use dfa_core::wire::{Fingerprint, PixelSize};

use super::sizes::{RunSize, shown_fps};
use super::subjects::Subjects;
use super::{MAX_STEPS, RunSpec, SetupError, within};
use crate::device::NumberType;
use crate::diffusion::guidance::Guidance;
use crate::diffusion::sampler::Sampler;
use crate::model::{LatentSize, VideoFacts};
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
    /// What each image shows.
    pub subjects: Subjects,
    /// Size of the latent.
    pub size: LatentSize,
    /// The size that pictures are cut to, width and height in pixels, where they are drawn
    /// at another.
    pub cut_to: Option<(usize, usize)>,
    /// For videos.
    pub video: Option<VideoFacts>,
    /// Seed of noise and random labels.
    pub seed: u64,
    /// Which half of the residual `wa_rs+asc` uses.
    pub residual_half: ResidualHalf,
    /// What the network computes with.
    pub number: NumberType,
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
        let defaults = folder.transformer.family().defaults();
        let n_steps = spec.n_steps.unwrap_or(defaults.n_steps);
        within("--steps", n_steps, 1, MAX_STEPS)?;
        let guidance = Guidance::new(spec.guidance_scale.unwrap_or(defaults.guidance_scale))?;
        let sampler_kind = spec.sampler.unwrap_or(folder.sampler.kind());
        let sampler = Sampler::new(&folder.sampler.with_kind(sampler_kind), n_steps)?;
        check_outputs(&sampler, sampler_kind, folder)?;
        let subjects = Subjects::resolve(spec, folder, given.map(|given| given.n_images))?;
        let size = RunSize::resolve(spec, folder, given.map(|given| given.size))?;
        Ok(Self {
            sampler_kind,
            sampler,
            guidance,
            subjects,
            size: size.latent,
            cut_to: size.cut_to,
            video: size.video,
            seed: spec.seed,
            residual_half: spec.residual_half,
            number: spec.placement.number(),
        })
    }

    /// Frames per second that a made video is shown with; none for images.
    pub fn shown_fps(&self) -> Option<f64> {
        self.video.map(|video| shown_fps(video.fps))
    }

    /// Width and height of what is shown, in pixels, as a person would ask for them.
    pub fn shown_size(&self, folder: &ModelFolder) -> PixelSize {
        let factor = folder.vae_factor();
        let drawn = (self.size.width * factor, self.size.height * factor);
        let told = self.video.map(|video| (video.width, video.height));
        let (width, height) = self.cut_to.or(told).unwrap_or(drawn);
        PixelSize {
            width: width as u32,
            height: height as u32,
        }
    }

    /// T, for a model of this folder.
    pub fn n_tokens(&self, folder: &ModelFolder) -> usize {
        folder.transformer.geometry().n_tokens(self.size)
    }

    /// What a plan for this run must match.
    pub fn fingerprint(&self, folder: &ModelFolder, identity: &ModelIdentity) -> Fingerprint {
        let timesteps = self.sampler.timesteps().iter().map(|&t| f64::from(t));
        Fingerprint {
            weights_sha256: identity.weights_sha256,
            config_sha256: identity.config_sha256,
            scheduler_sha256: identity.scheduler_sha256,
            n_tokens: self.n_tokens(folder),
            n_blocks: folder.transformer.geometry().n_blocks,
            timesteps: timesteps.collect(),
            sampler: self.sampler_kind,
            guidance_scale: self.guidance.scale(),
            dtype: self.number.as_str().into(),
            residual_half: self.residual_half,
        }
    }
}

/// An ancestral sampler needs the variance that only some models have learned.
fn check_outputs(
    sampler: &Sampler,
    kind: SamplerKind,
    folder: &ModelFolder,
) -> Result<(), SetupError> {
    let geometry = folder.transformer.geometry();
    let needed = sampler.n_output_channels(geometry.in_channels);
    if needed <= geometry.out_channels {
        return Ok(());
    }
    Err(SetupError::OutOfRange {
        what: "--sampler",
        found: kind.to_string(),
        expected: format!(
            "ddim or dpm-solver++: this model's output has {} channels, {kind} needs the {needed} of a learned variance",
            geometry.out_channels
        ),
    })
}
