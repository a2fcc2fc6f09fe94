//! Executes a [`Strategy`] for one self-attention layer (paper, section 3.2–3.4).
//!
//! The layer's weights are never touched; what a run keeps of a layer between steps is in
//! a [`LayerCache`] that the caller owns. [`SelfAttention::execute`] reads it and returns
//! what to put into it, so that a candidate can be tried without being adopted.
//!
//! What is kept or shared is the layer's output *before* the gate and the skip connection;
//! the window residual lives before the output projection.

use candle_core::{Result, Tensor, bail};
use dfa_core::{Strategy, Window};

use crate::kernels::attention::AttentionMask;
use crate::kernels::ops;
use crate::kernels::ops::memory::taking;
use crate::kernels::ops::stopwatch::{Span, Stopwatch};
use crate::model::linear::{Linear, LinearSpec};
use crate::model::qk_norm::QkNorm;
use crate::model_folder::weights::{Weights, WeightsError};

pub mod layer_cache;
pub mod shared_parts;

use layer_cache::conditional_half;
pub use layer_cache::{CacheUpdate, Halves, Kept, LayerCache, Retention};
pub use shared_parts::{Computed, SharedParts};

/// Weights of one self-attention layer.
pub struct SelfAttention {
    projections: Projections,
    n_heads: usize,
    qk_norm: Option<QkNorm>,
}

/// The linear layers of a self-attention layer, each D → D.
pub struct Projections {
    /// Of the queries.
    pub to_q: Linear,
    /// Of the keys.
    pub to_k: Linear,
    /// Of the values.
    pub to_v: Linear,
    /// Of what was attended.
    pub to_out: Linear,
}

/// Sizes of a self-attention layer.
#[derive(Clone, Copy, Debug)]
pub struct AttentionSpec {
    /// H.
    pub n_heads: usize,
    /// D.
    pub width: usize,
    /// Whether the q, k and v projections have a bias.
    pub qkv_bias: bool,
}

/// How to compute a layer this time.
#[derive(Clone, Copy, Debug)]
pub struct LayerCall<'a> {
    /// The decision.
    pub strategy: Strategy,
    /// The plan's window.
    pub window: Window,
    /// Whether the batch holds two branches, `[cond; uncond]`.
    pub guided: bool,
    /// Whether a full-computing step makes a window residual.
    pub makes_residual: bool,
    /// What earlier steps left behind.
    pub cache: &'a LayerCache,
}

/// What a layer call gives.
pub struct LayerResult {
    /// (N, T, D).
    pub output: Tensor,
    /// What the cache holds after this step, if the call is adopted.
    pub update: CacheUpdate,
    /// Time of the layer, where it was computed.
    pub elapsed: Span,
}

impl SelfAttention {
    /// A layer of `n_heads`, whose queries and keys may be normed.
    pub fn new(projections: Projections, n_heads: usize, qk_norm: Option<QkNorm>) -> Self {
        Self {
            projections,
            n_heads,
            qk_norm,
        }
    }

    /// Loads `{name}.to_q`, `to_k`, `to_v` and `to_out.0`, as diffusers calls them.
    pub(crate) fn load(
        weights: &mut Weights,
        name: &str,
        spec: AttentionSpec,
    ) -> std::result::Result<Self, WeightsError> {
        let d = spec.width;
        let mut projection = |part: &str, bias| {
            let spec = LinearSpec {
                inputs: d,
                outputs: d,
                bias,
            };
            Linear::load(weights, &format!("{name}.{part}"), spec)
        };
        let projections = Projections {
            to_q: projection("to_q", spec.qkv_bias)?,
            to_k: projection("to_k", spec.qkv_bias)?,
            to_v: projection("to_v", spec.qkv_bias)?,
            to_out: projection("to_out.0", true)?,
        };
        Ok(Self::new(projections, spec.n_heads, None))
    }

    /// Computes the layer for `x` (N, T, D) by the strategy of `call`.
    ///
    /// # Errors
    /// If the strategy needs something that the cache does not hold, or shares branches
    /// of an unguided batch: a plan that was checked never does.
    pub fn execute(&self, x: &Tensor, call: LayerCall<'_>) -> Result<LayerResult> {
        let stopwatch = Stopwatch::start(x.device())?;
        if call.strategy.shares_cfg() && !call.guided {
            bail!("{} needs classifier-free guidance", call.strategy);
        }
        let (output, update) = if call.strategy.computes() {
            let asked_bytes = x.elem_count() * x.dtype().size_in_bytes();
            taking(asked_bytes, x.device(), || self.compute(x, call))?
        } else {
            let kept = call.cache.output()?;
            (kept.for_both_branches()?, CacheUpdate::unchanged())
        };
        Ok(LayerResult {
            output,
            update,
            elapsed: stopwatch.stop()?,
        })
    }

    /// Every strategy but AST.
    fn compute(&self, x: &Tensor, call: LayerCall<'_>) -> Result<(Tensor, CacheUpdate)> {
        let strategy = call.strategy;
        let halves = if strategy.shares_cfg() {
            Halves::Conditional
        } else {
            Halves::All
        };
        let x = match halves {
            Halves::Conditional => conditional_half(x)?,
            Halves::All => x.clone(),
        };
        let kept = match strategy.uses_residual() {
            true => Some(call.cache.window_residual()?.for_branches(halves)?),
            false => None,
        };
        let (attended, residual) = self.attend(&x, call, kept.as_ref())?;
        let output = Kept::new(self.projections.to_out.forward(&attended)?, halves); // (N or N/2, T, D)
        let update = CacheUpdate::computed(output.clone(), residual.map(|r| Kept::new(r, halves)));
        Ok((output.for_both_branches()?, update))
    }

    /// Three projections of `x`, each (N, T, D).
    fn queries_keys_values(&self, x: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
        let q = self.projections.to_q.forward(x)?;
        let k = self.projections.to_k.forward(x)?;
        let v = self.projections.to_v.forward(x)?;
        match &self.qk_norm {
            None => Ok((q, k, v)),
            Some(norm) => {
                let (q, k) = norm.apply(&q, &k)?;
                Ok((q, k, v))
            }
        }
    }

    /// Projections and attention: (N, T, D) → the attended values before the output
    /// projection, (N, T, D), and the window residual of the same shape if it is made.
    /// `kept`: the window residual that is added, (N, T, D).
    fn attend(
        &self,
        x: &Tensor,
        call: LayerCall<'_>,
        kept: Option<&Tensor>,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let projected = self.queries_keys_values(x)?;
        if let Some(kept) = kept {
            let (q, k, v) = &projected;
            let attended = ops::attend_window_and_add((q, k, v), self.n_heads, call.window, kept)?;
            return Ok((attended, None));
        }
        let mask = if call.strategy.is_windowed() {
            AttentionMask::Windowed(call.window)
        } else if call.makes_residual {
            AttentionMask::FullAndResidual(call.window)
        } else {
            AttentionMask::Full
        };
        self.attend_masked(&projected, mask)
    }

    /// What is attended under a mask: values before the output projection, (N, T, D), and
    /// the window residual of the same shape if the mask asks for it.
    fn attend_masked(
        &self,
        (q, k, v): &(Tensor, Tensor, Tensor),
        mask: AttentionMask,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let attended = ops::attend(q, k, v, self.n_heads, mask)?; // (N, T, D)
        Ok((attended.output, attended.window_residual))
    }
}
