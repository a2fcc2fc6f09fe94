//! What is fixed during one run, joined: the model, the sampler, the guidance and the
//! labels. Makes the model's input from a latent and the next latent from its output.

use candle_core::{Result, Tensor};
use dfa_core::{Block, Step};

use super::guidance::Guidance;
use super::sampler::{Sampler, SamplerError, SamplerState};
use crate::attention::SelfAttention;
use crate::model::{LatentSize, StepInput, Transformer};

/// A denoising run's fixed parts.
pub struct Denoiser<'a> {
    /// The network.
    pub model: &'a dyn Transformer,
    /// The rule that makes the next latent.
    pub sampler: &'a Sampler,
    /// The guidance scale.
    pub guidance: Guidance,
    /// One class per image.
    pub labels: &'a [u32],
    /// Size of the latent.
    pub size: LatentSize,
}

impl Denoiser<'_> {
    /// What the forward passes of `step` are conditioned on.
    pub fn step_input(&self, step: Step) -> StepInput {
        let null_class = self.model.geometry().n_classes;
        StepInput {
            timestep: self.sampler.timesteps()[step.0],
            labels: self.guidance.labels_of_branches(self.labels, null_class),
            size: self.size,
        }
    }

    /// Latent (B, C, h, w) → hidden state (N, T, D) before the first block.
    ///
    /// # Errors
    /// If the latent does not have the run's shape.
    pub fn embed(&self, latent: &Tensor, input: &StepInput) -> Result<Tensor> {
        self.model
            .embed(&self.guidance.batch_of_branches(latent)?, input)
    }

    /// One block; `attend` computes its self-attention layer.
    ///
    /// # Errors
    /// Whatever `attend` fails with.
    pub fn block(
        &self,
        block: Block,
        hidden: &Tensor,
        input: &StepInput,
        attend: &mut dyn FnMut(&SelfAttention, &Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        self.model.block(block, hidden, input, attend)
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
