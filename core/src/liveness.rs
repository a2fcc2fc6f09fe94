//! How long each kept tensor must live, and how much memory that is.
//!
//! Two tensors outlive a step: the layer's *output*, which AST steps return, and its
//! *window residual*, which WA-RS steps add. Each is kept only where a later step of the
//! plan really uses it, and can be dropped right after its last use: a tensor is live
//! from the cell (step, block) that produces it to the cell of the same block that last
//! uses it, both included. Two lifetimes of the same block and kind never overlap.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use crate::grid::{Block, Step};
use crate::plan::CompressionPlan;
use crate::strategy::Strategy;

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TensorKind {
    /// The layer's final output, after the output projection.
    Output,
    /// Full attention minus window attention, before the output projection.
    WindowResidual,
}

impl fmt::Display for TensorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Output => "output",
            Self::WindowResidual => "window residual",
        })
    }
}

/// One kept tensor: when it is made and when it is used for the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lifetime {
    /// The layer that keeps it.
    pub block: Block,
    /// What is kept.
    pub tensor: TensorKind,
    /// The step that computes it.
    pub produced: Step,
    /// The last step that uses it, later than `produced`.
    pub last_used: Step,
    /// Branches stored in a guided run: 1 if only the conditional branch was computed,
    /// otherwise 2. An unguided run has a single branch whatever this says.
    pub halves: u8,
}

impl Lifetime {
    /// Whether the tensor occupies memory during `step`.
    pub fn is_live_at(&self, step: Step) -> bool {
        self.produced <= step && step <= self.last_used
    }
}

/// Every kept tensor of a plan, ordered by block, then by the step that produces it;
/// at the same step the output comes before the residual.
pub fn lifetimes(plan: &CompressionPlan) -> Vec<Lifetime> {
    let mut found = Vec::new();
    for block in plan.shape().blocks() {
        for produced in plan.shape().steps() {
            for tensor in [TensorKind::Output, TensorKind::WindowResidual] {
                let last_used = last_use(plan, produced, block, tensor);
                found.extend(last_used.map(|last_used| Lifetime {
                    block,
                    tensor,
                    produced,
                    last_used,
                    halves: halves_of(plan.strategy(produced, block)),
                }));
            }
        }
    }
    found
}

/// The last step that uses the tensor that (`produced`, `block`) makes; `None` if that
/// step does not make it or nothing uses it.
pub fn last_use(
    plan: &CompressionPlan,
    produced: Step,
    block: Block,
    tensor: TensorKind,
) -> Option<Step> {
    if !is_producer(plan.strategy(produced, block), tensor) {
        return None;
    }
    (produced.0 + 1..plan.shape().n_steps)
        .map(Step)
        .take_while(|&later| !is_producer(plan.strategy(later, block), tensor))
        .filter(|&later| is_user(plan.strategy(later, block), tensor))
        .last()
}

/// Whether the layer must keep its output at `step`, because an AST step returns it.
/// The counterpart for the residual is [`CompressionPlan::needs_residual`].
pub fn keeps_output(plan: &CompressionPlan, step: Step, block: Block) -> bool {
    last_use(plan, step, block, TensorKind::Output).is_some()
}

/// What a layer can drop after a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// The kept output was used for the last time.
    pub output: bool,
    /// The kept window residual was used for the last time.
    pub window_residual: bool,
}

/// What `block` can drop once it has run `step`.
pub fn frees_at(plan: &CompressionPlan, step: Step, block: Block) -> Freed {
    let frees = |tensor| is_last_use(plan, step, block, tensor);
    Freed {
        output: frees(TensorKind::Output),
        window_residual: frees(TensorKind::WindowResidual),
    }
}

/// Whether `step` uses the tensor and no later step does before it is made again.
fn is_last_use(plan: &CompressionPlan, step: Step, block: Block, tensor: TensorKind) -> bool {
    is_user(plan.strategy(step, block), tensor)
        && !(step.0 + 1..plan.shape().n_steps)
            .map(|later| plan.strategy(Step(later), block))
            .take_while(|&later| !is_producer(later, tensor))
            .any(|later| is_user(later, tensor))
}

/// Whether a step of this strategy makes the tensor anew.
fn is_producer(strategy: Strategy, tensor: TensorKind) -> bool {
    match tensor {
        TensorKind::Output => strategy.computes(),
        TensorKind::WindowResidual => strategy.computes_full(),
    }
}

/// Whether a step of this strategy reads the kept tensor.
fn is_user(strategy: Strategy, tensor: TensorKind) -> bool {
    match tensor {
        TensorKind::Output => !strategy.computes(),
        TensorKind::WindowResidual => strategy.uses_residual(),
    }
}

/// Branches that a step of this strategy leaves behind in a guided run.
fn halves_of(strategy: Strategy) -> u8 {
    if strategy.shares_cfg() { 1 } else { 2 }
}

/// The sizes that turn a lifetime into bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheShape {
    /// Images per branch.
    pub batch: usize,
    /// 2 with classifier-free guidance, otherwise 1.
    pub branches: usize,
    /// N, image tokens.
    pub n_tokens: usize,
    /// d, model width.
    pub width: usize,
    /// 4 for f32, 2 for f16 and bf16.
    pub bytes_per_element: usize,
}

impl CacheShape {
    /// Bytes of one kept tensor: `[halves · batch, N, d]`, output and residual alike.
    pub fn tensor_bytes(self, halves: u8) -> u64 {
        let branches = self.branches.min(usize::from(halves));
        [
            self.batch,
            self.n_tokens,
            self.width,
            self.bytes_per_element,
        ]
        .into_iter()
        .fold(branches as u64, |product, factor| {
            product.saturating_mul(factor as u64)
        })
    }
}

/// The most memory that the caches of a run hold at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeakCache {
    /// Bytes of all live tensors of all blocks.
    pub bytes: u64,
    /// The first step at which that many bytes are live; step 0 if nothing is kept.
    pub step: Step,
}

/// Predicts the peak of the caches of one run. Temporary tensors are not counted.
pub fn peak_cache_bytes(plan: &CompressionPlan, shape: CacheShape) -> PeakCache {
    let n_blocks = plan.shape().n_blocks;
    // Cells in the order in which they run; a tensor is live from the cell that makes it
    // to the cell that uses it last, both included.
    let mut live_bytes = vec![0u64; plan.shape().n_cells()];
    for lifetime in lifetimes(plan) {
        let bytes = shape.tensor_bytes(lifetime.halves);
        let cell = |step: Step| step.0 * n_blocks + lifetime.block.0;
        for live in &mut live_bytes[cell(lifetime.produced)..=cell(lifetime.last_used)] {
            *live = live.saturating_add(bytes);
        }
    }
    let mut peak = PeakCache {
        bytes: 0,
        step: Step(0),
    };
    for (cell, &bytes) in live_bytes.iter().enumerate() {
        if bytes > peak.bytes {
            let step = Step(cell / n_blocks);
            peak = PeakCache { bytes, step };
        }
    }
    peak
}

#[cfg(test)]
mod tests;
