//! What is fixed during one run, joined: the model, the sampler, the guidance and the
//! condition. Makes the model's input from a latent and the next latent from its output.

use std::ops::Range;

use candle_core::{Result, Tensor};
use dfa_core::Step;

use super::guidance::{Guidance, GuidedChannels};
use super::pass_memory::PassMemory;
use super::sampler::{Sampler, SamplerError, SamplerState};
use super::step_noise::StepNoise;
use crate::model::{Condition, ForwardPass, LatentSize, StepInput, Transformer, VideoFacts};

/// A denoising run's fixed parts.
pub struct Denoiser<'a> {
    /// The network.
    pub model: &'a dyn Transformer,
    /// The rule that makes the next latent.
    pub sampler: &'a Sampler,
    /// The guidance scale.
    pub guidance: Guidance,
    /// Which images of the run these are.
    pub images: Range<usize>,
    /// What an ancestral sampler adds.
    pub step_noise: &'a StepNoise,
    /// What the images show.
    pub condition: Condition,
    /// Size of the latent.
    pub size: LatentSize,
    /// For videos.
    pub video: Option<VideoFacts>,
}

impl<'a> Denoiser<'a> {
    /// Begins the forward passes of `step`.
    ///
    /// # Errors
    /// If the condition is not what the model takes.
    pub fn begin(&self, step: Step) -> Result<Box<dyn ForwardPass + 'a>> {
        let pass = self.model.begin(&self.input(step))?;
        Ok(Box::new(PassMemory(pass)))
    }

    /// Begins the forward passes of `step` for each branch apart, the conditional one
    /// first; an unguided run has one.
    ///
    /// # Errors
    /// If the condition is not what the model takes.
    pub fn begin_branches(&self, step: Step) -> Result<Vec<Box<dyn ForwardPass + 'a>>> {
        let whole = self.begin(step)?;
        let n = self.condition.n_images();
        let branches = (0..self.guidance.n_branches()).map(|branch| branch * n..(branch + 1) * n);
        branches.map(|samples| whole.of_samples(&samples)).collect()
    }

    fn input(&self, step: Step) -> StepInput<'_> {
        StepInput {
            timestep: self.sampler.timesteps()[step.0],
            condition: &self.condition,
            guided: self.guidance.is_on(),
            size: self.size,
            video: self.video,
        }
    }

    /// Latent (B, C, …) → hidden state (N, T, D) before the first block.
    ///
    /// # Errors
    /// If the latent does not have the run's shape.
    pub fn embed(&self, pass: &dyn ForwardPass, latent: &Tensor) -> Result<Tensor> {
        pass.embed(&self.guidance.batch_of_branches(latent)?)
    }

    /// The latent after `step`, from the latent before it and the raw model output
    /// (N, C_out, …).
    ///
    /// # Errors
    /// [`SamplerError`].
    pub fn next_latent(
        &self,
        state: &mut SamplerState,
        step: Step,
        latent: &Tensor,
        output: &Tensor,
    ) -> std::result::Result<Tensor, SamplerError> {
        let guided = self.guidance.combine(output, self.channels())?;
        let noise = self.noise_of(step, latent)?;
        self.sampler
            .next(state, step, latent, &guided, noise.as_ref())
    }

    /// What the model takes for the final latent (B, C, …), from the latent before
    /// `step` and the raw model output (N, C_out, …).
    ///
    /// # Errors
    /// [`SamplerError`].
    pub fn predict_clean(
        &self,
        step: Step,
        latent: &Tensor,
        output: &Tensor,
    ) -> std::result::Result<Tensor, SamplerError> {
        let guided = self.guidance.combine(output, self.channels())?;
        self.sampler.predict_clean(step, latent, &guided)
    }

    fn channels(&self) -> GuidedChannels {
        let geometry = self.model.geometry();
        GuidedChannels {
            guided: geometry.guided_channels,
            kept: self.sampler.n_output_channels(geometry.in_channels),
        }
    }

    /// What an ancestral sampler adds at `step`, of the latent's shape; none at the last
    /// step, and for other samplers.
    fn noise_of(&self, step: Step, latent: &Tensor) -> Result<Option<Tensor>> {
        let is_last = step.0 + 1 == self.sampler.n_steps();
        if is_last || !self.sampler.needs_noise() {
            return Ok(None);
        }
        let images = self.images.start as u64..self.images.end as u64;
        let noise = self.step_noise.of_step(step, images, &latent.dims()[1..]);
        noise.map(Some)
    }
}
