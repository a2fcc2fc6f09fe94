//! Root-mean-square norm of queries and keys, head by head.

use candle_core::{Result, Tensor};

use crate::kernels::ops;
use crate::model_folder::weights::{Weights, WeightsError};

/// As the authors of Open-Sora have it.
const EPS: f64 = 1e-6;

/// The norms of one attention layer.
pub struct QkNorm {
    /// (d).
    q: Tensor,
    /// (d).
    k: Tensor,
}

impl QkNorm {
    /// Loads `{name}.q_norm.weight` and `{name}.k_norm.weight`.
    ///
    /// # Errors
    /// Only if a file is broken; a missing tensor is remembered by `weights`.
    pub fn load(
        weights: &mut Weights,
        name: &str,
        head_size: usize,
    ) -> std::result::Result<Self, WeightsError> {
        Ok(Self {
            q: weights.tensor(&format!("{name}.q_norm.weight"), &[head_size])?,
            k: weights.tensor(&format!("{name}.k_norm.weight"), &[head_size])?,
        })
    }

    /// Queries and keys, both (N, T, H·d), normed.
    ///
    /// # Errors
    /// If they are not heads of d.
    pub fn apply(&self, q: &Tensor, k: &Tensor) -> Result<(Tensor, Tensor)> {
        let q = ops::rms_norm_heads(q, &self.q, EPS)?;
        let k = ops::rms_norm_heads(k, &self.k, EPS)?;
        Ok((q, k))
    }
}
