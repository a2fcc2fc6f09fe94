//! What is fixed during one run, joined: the model, the sampler, the guidance and the
//! condition. Makes the model's input from a latent and the next latent from its output.

use candle_core::{Result, Tensor};
use dfa_core::Step;

use super::guidance::Guidance;
use super::sampler::{Sampler, SamplerError, SamplerState};
use crate::model::{Condition, ForwardPass, LatentSize, StepInput, Transformer, VideoFacts};

/// A denoising run's fixed parts.
pub struct Denoiser<'a> {
    /// The network.
    pub model: &'a dyn Transformer,
    /// The rule that makes the next latent.
    pub sampler: &'a Sampler,
    /// The guidance scale.
    pub guidance: Guidance,
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
        self.model.begin(&StepInput {
            timestep: self.sampler.timesteps()[step.0],
            condition: &self.condition,
            guided: self.guidance.is_on(),
            size: self.size,
            video: self.video,
        })
    }

    /// Latent (B, C, …) → hidden state (N, T, D) before the first block.
    ///
    /// # Errors
    /// If the latent does not have the run's shape.
    pub fn embed(&self, pass: &dyn ForwardPass, latent: &Tensor) -> Result<Tensor> {
        pass.embed(&self.guidance.batch_of_branches(latent)?)
    }

    /// The latent after `step`, from the latent before it and the raw model output
    /// (N, C_out, h, w).
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
        let guided = self
            .guidance
            .combine(output, self.model.geometry().in_channels)?;
        self.sampler.next(state, step, latent, &guided, None)
    }

    /// What the model takes for the final latent (B, C, h, w), from the latent before
    /// `step` and the raw model output (N, C_out, h, w).
    ///
    /// # Errors
    /// [`SamplerError`].
    pub fn predict_clean(
        &self,
        step: Step,
        latent: &Tensor,
        output: &Tensor,
    ) -> std::result::Result<Tensor, SamplerError> {
        let guided = self
            .guidance
            .combine(output, self.model.geometry().in_channels)?;
        self.sampler.predict_clean(step, latent, &guided)
    }
}
