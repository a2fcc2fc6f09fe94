//! What one run keeps of one self-attention layer between steps: its last output and its
//! last window residual.
//!
//! A tensor made for the conditional branch only is stored once and duplicated where it
//! is used.

use candle_core::{Result, Tensor, bail};
use dfa_core::plan::CompressionPlan;
use dfa_core::{Block, Step};

/// Which part of the batch a kept tensor is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halves {
    /// The whole batch.
    All,
    /// The conditional branch; the unconditional one shares it.
    Conditional,
}

/// A tensor kept for later steps.
#[derive(Clone, Debug)]
pub struct Kept {
    /// (N, T, D), or (N/2, T, D) for the conditional half.
    tensor: Tensor,
    halves: Halves,
}

impl Kept {
    /// A tensor and the part of the batch it is for.
    pub fn new(tensor: Tensor, halves: Halves) -> Self {
        Self { tensor, halves }
    }

    /// The tensor as stored.
    pub fn tensor(&self) -> &Tensor {
        &self.tensor
    }

    /// Which part of the batch it is for.
    pub fn halves(&self) -> Halves {
        self.halves
    }

    /// (N, T, D).
    pub(crate) fn for_both_branches(&self) -> Result<Tensor> {
        self.for_branches(Halves::All)
    }

    /// The part of the batch that is asked for.
    pub(crate) fn for_branches(&self, wanted: Halves) -> Result<Tensor> {
        match (self.halves, wanted) {
            (Halves::All, Halves::Conditional) => conditional_half(&self.tensor),
            (Halves::Conditional, Halves::All) => Tensor::cat(&[&self.tensor, &self.tensor], 0),
            _ => Ok(self.tensor.clone()),
        }
    }

    fn size_bytes(&self) -> u64 {
        (self.tensor.elem_count() * self.tensor.dtype().size_in_bytes()) as u64
    }
}

/// The first half of a `[cond; uncond]` batch: (N, …) → (N/2, …).
pub(crate) fn conditional_half(x: &Tensor) -> Result<Tensor> {
    let n = x.dim(0)?;
    if !n.is_multiple_of(2) {
        bail!("a guided batch holds two branches, got {n} images");
    }
    x.narrow(0, 0, n / 2)
}

/// The second half of a `[cond; uncond]` batch: (N, …) → (N/2, …).
pub(crate) fn unconditional_half(x: &Tensor) -> Result<Tensor> {
    let n = conditional_half(x)?.dim(0)?;
    x.narrow(0, n, n)
}

/// The two kept tensors of a layer.
#[derive(Clone, Debug, Default)]
pub struct LayerCache {
    output: Option<Kept>,
    window_residual: Option<Kept>,
}

impl LayerCache {
    /// A cache with given contents, for going on with a saved run.
    pub fn new(output: Option<Kept>, window_residual: Option<Kept>) -> Self {
        Self {
            output,
            window_residual,
        }
    }

    /// The kept output, if any, and the kept window residual, if any.
    pub fn parts(&self) -> (Option<&Kept>, Option<&Kept>) {
        (self.output.as_ref(), self.window_residual.as_ref())
    }

    /// The layer's last output.
    pub(crate) fn output(&self) -> Result<&Kept> {
        match &self.output {
            Some(kept) => Ok(kept),
            None => bail!("ast: no output was kept; the plan's step 0 was not run"),
        }
    }

    /// The layer's last window residual.
    pub(crate) fn window_residual(&self) -> Result<&Kept> {
        match &self.window_residual {
            Some(kept) => Ok(kept),
            None => {
                bail!("wa_rs: no window residual was kept; the plan's last full step was not run")
            }
        }
    }

    /// Takes over what a step left behind and drops what no later step needs.
    pub fn adopt(&mut self, update: CacheUpdate, retention: Retention) {
        if let Some(output) = update.output {
            self.output = Some(output);
        }
        if let Some(residual) = update.window_residual {
            self.window_residual = Some(residual);
        }
        if !retention.output {
            self.output = None;
        }
        if !retention.window_residual {
            self.window_residual = None;
        }
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> u64 {
        let kept = [&self.output, &self.window_residual];
        kept.into_iter().flatten().map(Kept::size_bytes).sum()
    }
}

/// What a step leaves behind.
#[derive(Clone, Debug, Default)]
pub struct CacheUpdate {
    output: Option<Kept>,
    window_residual: Option<Kept>,
}

impl CacheUpdate {
    /// Nothing was computed (AST): the cache stays as it is.
    pub(crate) fn unchanged() -> Self {
        Self::default()
    }

    /// The layer was computed; WA-RS steps give no new residual and leave the old one.
    pub(crate) fn computed(output: Kept, window_residual: Option<Kept>) -> Self {
        Self {
            output: Some(output),
            window_residual,
        }
    }

    /// Bytes of those tensors that will be retained.
    pub(crate) fn size_bytes(&self, retention: Retention) -> u64 {
        let output = self.output.as_ref().filter(|_| retention.output);
        let residual = self
            .window_residual
            .as_ref()
            .filter(|_| retention.window_residual);
        output
            .into_iter()
            .chain(residual)
            .map(Kept::size_bytes)
            .sum()
    }
}

/// Which kept tensors a later step will still use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The output.
    pub output: bool,
    /// The window residual.
    pub window_residual: bool,
}

impl Retention {
    /// Keep everything: the later steps are not decided yet (calibration).
    pub const ALL: Self = Self {
        output: true,
        window_residual: true,
    };

    /// Keep nothing (a raw run).
    pub const NOTHING: Self = Self {
        output: false,
        window_residual: false,
    };

    /// What the plan's steps after `step` will use of a layer.
    pub fn after(plan: &CompressionPlan, step: Step, block: Block) -> Self {
        let later = (step.0 + 1..plan.shape().n_steps).map(|t| plan.strategy(Step(t), block));
        Self {
            output: later
                .clone()
                .next()
                .is_some_and(|strategy| !strategy.computes()),
            window_residual: later
                .take_while(|strategy| !strategy.computes_full())
                .any(|strategy| strategy.uses_residual()),
        }
    }
}
