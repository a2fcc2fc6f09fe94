//! What a calibration carries from step to step, and one block of a forward pass over it.
//! Every search shares the state; the plain one runs its blocks here.

use candle_core::{DType, Device, Tensor};
use dfa_core::{Block, Step, Strategy, Window};

use crate::attention::{CacheUpdate, LayerCache, LayerCall, Retention, SelfAttention};
use crate::diffusion::denoiser::Denoiser;
use crate::diffusion::sampler::SamplerState;
use crate::generate::{RunError, ensure_finite};
use crate::model::ForwardPass;
use crate::observer::{Event, Observer};

/// State between two steps.
pub struct StepState {
    /// (B, C, …).
    pub latent: Tensor,
    /// What the sampler remembers.
    pub sampler: SamplerState,
    /// What each layer left behind.
    pub caches: Vec<LayerCache>,
}

/// One block's result: the hidden state after it, and what its layer leaves behind.
#[derive(Clone)]
pub(crate) struct BlockResult {
    /// (N, T, D).
    pub(crate) hidden: Tensor,
    pub(crate) update: CacheUpdate,
}

impl StepState {
    /// The state before the first step.
    pub fn start(denoiser: &Denoiser<'_>, latent: Tensor) -> Self {
        Self {
            latent,
            sampler: denoiser.sampler.start(),
            caches: vec![LayerCache::default(); denoiser.model.geometry().n_blocks],
        }
    }

    /// The state after the last step: nothing but the final latents is needed any more.
    pub(super) fn at_end(latent: Tensor, n_blocks: usize) -> Self {
        Self {
            latent,
            sampler: SamplerState::default(),
            caches: vec![LayerCache::default(); n_blocks],
        }
    }

    /// The state of a run that goes on: what layers left behind is brought to the model.
    pub(crate) fn brought_to(mut self, device: &Device) -> Result<Self, RunError> {
        for cache in &mut self.caches {
            *cache = cache.to_device(device)?;
        }
        Ok(self)
    }

    /// Runs one block by `strategy` without adopting what it leaves behind.
    ///
    /// A full-computing step always makes its window residual: whether a later step will
    /// want it is not decided yet.
    pub(crate) fn run_block(
        &self,
        denoiser: &Denoiser<'_>,
        window: Window,
        (block, strategy): (Block, Strategy),
        hidden: &Tensor,
        pass: &dyn ForwardPass,
    ) -> Result<BlockResult, RunError> {
        let call = LayerCall {
            strategy,
            window,
            guided: denoiser.guidance.is_on(),
            makes_residual: true,
            cache: &self.caches[block.0],
        };
        let mut update = CacheUpdate::default();
        let mut attend = |layer: &SelfAttention, x: &Tensor| {
            let done = layer.execute(x, call)?;
            update = done.update;
            Ok(done.output)
        };
        let hidden = pass.block(block, hidden, &mut attend)?;
        Ok(BlockResult { hidden, update })
    }

    /// Takes over what a layer leaves behind.
    pub(crate) fn adopt(&mut self, block: Block, update: CacheUpdate) {
        self.caches[block.0].adopt(update, Retention::ALL);
    }

    /// Tells the observer what the images will probably look like, if it wants to know, from
    /// the step's raw output (N, C_out, …).
    pub(crate) fn show_prediction(
        &self,
        denoiser: &Denoiser<'_>,
        step: Step,
        output: &Tensor,
        observer: &mut dyn Observer,
    ) -> Result<(), RunError> {
        if observer.wants_prediction(step) {
            let clean = &denoiser.predict_clean(step, &self.latent, output)?;
            observer.event(Event::Predicted { step, clean });
        }
        Ok(())
    }

    /// Lets the sampler go on with the step's raw output (N, C_out, …).
    pub(crate) fn advance(
        &mut self,
        denoiser: &Denoiser<'_>,
        step: Step,
        output: &Tensor,
    ) -> Result<(), RunError> {
        self.latent = denoiser.next_latent(&mut self.sampler, step, &self.latent, output)?;
        ensure_finite(&self.latent, step)
    }
}

/// A tensor's elements, row-major.
pub(crate) fn values_of(tensor: &Tensor) -> Result<Vec<f32>, RunError> {
    let values = tensor.flatten_all()?.to_dtype(DType::F32)?;
    Ok(values.to_vec1()?)
}
