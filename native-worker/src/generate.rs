//! 3 · Denoises a batch, raw or by a compression plan.
//!
//! A raw run is the plain model: every layer `full`, nothing kept. With a plan, what a
//! layer leaves behind is kept exactly as long as a later step uses it.

use std::time::Instant;

use candle_core::{DType, Tensor};
use dfa_core::{Block, CompressionPlan, Step, Strategy, Window};

use crate::attention::{CacheUpdate, LayerCache, LayerCall, Retention, SelfAttention};
use crate::diffusion::denoiser::Denoiser;
use crate::diffusion::sampler::SamplerError;
use crate::kernels::ops::stopwatch::Span;
use crate::model::ForwardPass;
use crate::observer::{Event, Observer};

/// Why a run ended without a result.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Somebody asked for it.
    #[error("stopped")]
    Cancelled,
    /// The plan is for another number of steps or blocks.
    #[error(
        "the plan is for {expected} but this run has {n_steps} steps and the model {n_blocks} blocks; calibrate for this run"
    )]
    PlanDoesNotFit {
        /// The plan's shape.
        expected: dfa_core::GridShape,
        /// Steps of the run.
        n_steps: usize,
        /// Blocks of the model.
        n_blocks: usize,
    },
    /// The plan shares branches, the run has only one.
    #[error(
        "the plan shares the conditional branch (asc, wa_rs+asc), which needs a guidance scale above 1"
    )]
    PlanNeedsGuidance,
    /// Conditions and latents do not belong together.
    #[error(
        "{n_conditions} conditions for {n_images} start latents; give one label or prompt per image"
    )]
    ConditionCount {
        /// Labels or prompts given.
        n_conditions: usize,
        /// Images in the start latent.
        n_images: usize,
    },
    /// The latent has NaN or infinity.
    #[error("the latent holds NaN or infinity after {0}; the weights or the settings are broken")]
    NotFinite(Step),
    /// The sampler refused.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// What a run gives.
pub struct Generated {
    /// (B, C, …).
    pub latent: Tensor,
    /// Wall time of the denoising loop.
    pub total_secs: f64,
    /// Time of the self-attention layers where they were computed, projections included.
    pub attention_secs: f64,
    /// Most bytes that the layer caches held at once.
    pub peak_cache_bytes: u64,
}

/// Denoises `latent` (B, C, …) by `plan`, or raw without one.
///
/// # Errors
/// [`RunError`].
pub fn generate(
    denoiser: &Denoiser<'_>,
    plan: Option<&CompressionPlan>,
    latent: &Tensor,
    observer: &mut dyn Observer,
) -> Result<Generated, RunError> {
    check_request(denoiser, plan, latent)?;
    let start = Instant::now();
    let mut run = PlanRun::new(plan, denoiser);
    let mut sampler_state = denoiser.sampler.start();
    let mut latent = latent.clone();
    let n_steps = denoiser.sampler.n_steps();
    for step in (0..n_steps).map(Step) {
        if observer.is_cancelled() {
            return Err(RunError::Cancelled);
        }
        observer.event(Event::StepStarted { step, n_steps });
        let output = run.forward(denoiser, step, &latent)?;
        if observer.wants_prediction(step) {
            let clean = &denoiser.predict_clean(step, &latent, &output)?;
            observer.event(Event::Predicted { step, clean });
        }
        latent = denoiser.next_latent(&mut sampler_state, step, &latent, &output)?;
        ensure_finite(&latent, step)?;
        observer.event(Event::StepDone { step, n_steps });
    }
    // The latent is on the CPU: what made it has been done.
    Ok(Generated {
        latent,
        total_secs: start.elapsed().as_secs_f64(),
        attention_secs: run.attention_secs()?,
        peak_cache_bytes: run.peak_cache_bytes,
    })
}

/// Share of a raw step's seconds that its self-attention layers take on this machine, in
/// whole hundredths: what other work on the machine changes is rounded away mostly.
///
/// # Errors
/// [`RunError`].
pub fn attention_share(
    denoiser: &Denoiser<'_>,
    latent: &Tensor,
    observer: &dyn Observer,
) -> Result<f64, RunError> {
    let mut total_secs = 0.0;
    let mut run = PlanRun::new(None, denoiser);
    // The first pass reads the weights from the disk and is not counted.
    for pass in 0..4 {
        if observer.is_cancelled() {
            return Err(RunError::Cancelled);
        }
        if pass == 1 {
            run.attention.clear();
            total_secs = 0.0;
        }
        let start = Instant::now();
        run.forward(denoiser, Step(0), latent)?
            .device()
            .synchronize()?;
        total_secs += start.elapsed().as_secs_f64();
    }
    Ok((100.0 * run.attention_secs()? / total_secs).round() / 100.0)
}

fn check_request(
    denoiser: &Denoiser<'_>,
    plan: Option<&CompressionPlan>,
    latent: &Tensor,
) -> Result<(), RunError> {
    let n_images = latent.dim(0)?;
    let n_conditions = denoiser.condition.n_images();
    if n_conditions != n_images {
        return Err(RunError::ConditionCount {
            n_conditions,
            n_images,
        });
    }
    let Some(plan) = plan else { return Ok(()) };
    let n_steps = denoiser.sampler.n_steps();
    let n_blocks = denoiser.model.geometry().n_blocks;
    let expected = plan.shape();
    if expected.n_steps != n_steps || expected.n_blocks != n_blocks {
        return Err(RunError::PlanDoesNotFit {
            expected,
            n_steps,
            n_blocks,
        });
    }
    if plan.needs_cfg() && !denoiser.guidance.is_on() {
        return Err(RunError::PlanNeedsGuidance);
    }
    Ok(())
}

pub(crate) fn ensure_finite(latent: &Tensor, step: Step) -> Result<(), RunError> {
    // A sum is NaN or infinite if any element is (f32 latents are far from overflow in f64).
    let sum = latent
        .to_dtype(DType::F64)?
        .abs()?
        .sum_all()?
        .to_scalar::<f64>()?;
    if sum.is_finite() {
        Ok(())
    } else {
        Err(RunError::NotFinite(step))
    }
}

/// The state of one run by a plan: the layer caches and what they cost.
struct PlanRun<'a> {
    plan: Option<&'a CompressionPlan>,
    caches: Vec<LayerCache>,
    /// Of every layer of every step: a GPU tells at the end.
    attention: Vec<Span>,
    peak_cache_bytes: u64,
}

impl<'a> PlanRun<'a> {
    fn new(plan: Option<&'a CompressionPlan>, denoiser: &Denoiser<'_>) -> Self {
        let n_blocks = denoiser.model.geometry().n_blocks;
        Self {
            plan,
            caches: vec![LayerCache::default(); n_blocks],
            attention: Vec::new(),
            peak_cache_bytes: 0,
        }
    }

    fn attention_secs(&self) -> candle_core::Result<f64> {
        self.attention.iter().map(Span::secs).sum()
    }

    /// One forward pass: latent (B, C, …) → raw model output (N, C_out, …).
    fn forward(
        &mut self,
        denoiser: &Denoiser<'_>,
        step: Step,
        latent: &Tensor,
    ) -> Result<Tensor, RunError> {
        let pass = denoiser.begin(step)?;
        let mut hidden = denoiser.embed(pass.as_ref(), latent)?;
        for block in (0..self.caches.len()).map(Block) {
            hidden = self.block(denoiser, (step, block), &hidden, pass.as_ref())?;
        }
        Ok(pass.output(&hidden)?)
    }

    fn block(
        &mut self,
        denoiser: &Denoiser<'_>,
        (step, block): (Step, Block),
        hidden: &Tensor,
        pass: &dyn ForwardPass,
    ) -> Result<Tensor, RunError> {
        let guided = denoiser.guidance.is_on();
        let (call, retention) = match self.plan {
            Some(plan) => (
                LayerCall {
                    strategy: plan.strategy(step, block),
                    window: plan.window(),
                    guided,
                    makes_residual: plan.needs_residual(step, block),
                    cache: &self.caches[block.0],
                },
                Retention::after(plan, step, block),
            ),
            None => (raw_call(guided, &self.caches[block.0]), Retention::NOTHING),
        };
        let mut result = None;
        let mut attend = |layer: &SelfAttention, x: &Tensor| {
            let done = layer.execute(x, call)?;
            let output = done.output.clone();
            result = Some(done);
            Ok(output)
        };
        let hidden = pass.block(block, hidden, &mut attend)?;
        if let Some(result) = result {
            self.attention.push(result.elapsed);
            self.adopt(block, result.update, retention);
        }
        Ok(hidden)
    }

    /// Puts what a layer left behind into its cache. What the layer used for the last time
    /// and what it newly leaves behind are held at the same time.
    fn adopt(&mut self, block: Block, update: CacheUpdate, retention: Retention) {
        let held: u64 = self.caches.iter().map(LayerCache::size_bytes).sum();
        let held = held + update.size_bytes(retention);
        self.peak_cache_bytes = self.peak_cache_bytes.max(held);
        self.caches[block.0].adopt(update, retention);
    }
}

fn raw_call(guided: bool, cache: &LayerCache) -> LayerCall<'_> {
    LayerCall {
        strategy: Strategy::Full,
        window: Window::symmetric(0),
        guided,
        makes_residual: false,
        cache,
    }
}
