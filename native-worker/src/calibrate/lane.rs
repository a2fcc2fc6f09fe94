//! One branch of the batch in one step of the search: what is known of it at the block in
//! question.
//!
//! The branches of a guided batch never meet, except that ASC copies the conditional
//! branch's layer output. Run apart they can be left out where their outcome is known.

use candle_core::{Result, Tensor};
use dfa_core::Strategy;

use crate::attention::layer_cache::{conditional_half, unconditional_half};
use crate::attention::{CacheUpdate, Computed, Halves, Kept, LayerCache, SharedParts};
use crate::diffusion::guidance::Guidance;
use crate::model::ForwardPass;

/// Which part of the batch a lane is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of an unguided batch.
    Whole,
    /// The first half of a guided one.
    Conditional,
    /// The second.
    Unconditional,
}

/// A branch in the step in work.
pub(super) struct Lane<'a> {
    pub(super) part: Part,
    pub(super) pass: Box<dyn ForwardPass + 'a>,
    /// O of this branch, row-major; empty at step 0.
    pub(super) reference: Vec<f32>,
    /// Hidden state entering the block in question, the blocks before it as chosen.
    pub(super) entering: Tensor,
    /// What candidates of the block in question have in common.
    pub(super) parts: SharedParts,
    /// The block in question by `full`, if that is known.
    pub(super) full: Option<Tried>,
}

/// A block that ran for a branch.
#[derive(Clone)]
pub(super) struct Tried {
    /// Hidden state after it, (N, T, D).
    pub(super) hidden: Tensor,
    /// What its layer computed; nothing with AST.
    pub(super) computed: Option<Computed>,
}

/// The block after the one in question by `full`, and what its layer computed.
pub(super) type FullNext = (Tried, SharedParts);

/// A candidate for a branch: its block, and what followed.
#[derive(Clone)]
pub(super) struct LaneTrial {
    pub(super) tried: Tried,
    /// The next block by `full`, if it ran.
    pub(super) next: Option<FullNext>,
    /// The sum of the loss terms of this branch and those before it.
    pub(super) sum: f64,
}

impl Part {
    /// The parts of a run's batch, in their order.
    pub(super) fn of_run(guidance: Guidance) -> &'static [Self] {
        match guidance.is_on() {
            true => &[Self::Conditional, Self::Unconditional],
            false => &[Self::Whole],
        }
    }

    /// The part of a kept tensor.
    fn of_kept(self, kept: &Kept) -> Result<Tensor> {
        match (kept.halves(), self) {
            (Halves::All, Self::Conditional) => conditional_half(kept.tensor()),
            (Halves::All, Self::Unconditional) => unconditional_half(kept.tensor()),
            _ => Ok(kept.tensor().clone()),
        }
    }

    /// The part of the layer's last output.
    pub(super) fn kept_output(self, cache: &LayerCache) -> Result<Tensor> {
        self.of_kept(cache.output()?)
    }

    /// The part of the layer's last window residual.
    pub(super) fn kept_residual(self, cache: &LayerCache) -> Result<Tensor> {
        self.of_kept(cache.window_residual()?)
    }
}

impl Lane<'_> {
    /// Goes on to the next block, with what is known of it.
    pub(super) fn advance(&mut self, trial: LaneTrial) {
        self.entering = trial.tried.hidden;
        let (full, parts) = trial.next.unzip();
        self.full = full;
        self.parts = parts.unwrap_or_default();
    }
}

/// What a layer leaves behind, from what it computed for each branch.
pub(super) fn update_of(choice: Strategy, trials: &[LaneTrial]) -> Result<CacheUpdate> {
    let computed = trials.iter().map(|trial| trial.tried.computed.as_ref());
    let Some(computed) = computed.collect::<Option<Vec<&Computed>>>() else {
        return Ok(CacheUpdate::unchanged());
    };
    let (parts, halves) = match choice.shares_cfg() {
        true => (&computed[..1], Halves::Conditional),
        false => (&computed[..], Halves::All),
    };
    let outputs: Vec<&Tensor> = parts.iter().map(|part| &part.output).collect();
    let residuals = parts.iter().map(|part| part.window_residual.as_ref());
    let residual = match residuals.collect::<Option<Vec<&Tensor>>>() {
        Some(residuals) => Some(Kept::new(joined(&residuals)?, halves)),
        None => None,
    };
    Ok(CacheUpdate::computed(
        Kept::new(joined(&outputs)?, halves),
        residual,
    ))
}

/// The branches' tensors as one batch.
pub(super) fn joined(parts: &[&Tensor]) -> Result<Tensor> {
    match parts {
        [whole] => Ok((*whole).clone()),
        parts => Tensor::cat(parts, 0),
    }
}
