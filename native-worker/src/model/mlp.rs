//! Two linear layers with a tanh GELU between them: the MLP of a block, and what projects
//! encoded text to the width of a transformer.

use candle_core::{Result, Tensor};

use super::linear::{Linear, LinearSpec};
use crate::kernels::ops;
use crate::model_folder::weights::{Weights, WeightsError};

/// `W₂ gelu(W₁ x + b₁) + b₂`.
pub struct Mlp {
    first: Linear,
    second: Linear,
}

/// Widths of an [`Mlp`].
#[derive(Clone, Copy, Debug)]
pub struct MlpSpec {
    /// Columns of the first weight.
    pub inputs: usize,
    /// Rows of the first weight.
    pub inner: usize,
    /// Rows of the second weight.
    pub outputs: usize,
}

impl Mlp {
    /// Loads the layers of these two names.
    ///
    /// # Errors
    /// Only if a file is broken; a missing tensor is remembered by `weights`.
    pub fn load(
        weights: &mut Weights,
        [first, second]: [&str; 2],
        spec: MlpSpec,
    ) -> std::result::Result<Self, WeightsError> {
        let MlpSpec {
            inputs,
            inner,
            outputs,
        } = spec;
        Ok(Self {
            first: Linear::load(weights, first, LinearSpec::with_bias(inputs, inner))?,
            second: Linear::load(weights, second, LinearSpec::with_bias(inner, outputs))?,
        })
    }

    /// (…, inputs) → (…, outputs).
    ///
    /// # Errors
    /// If the last dimension is not the layer's inputs.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let inner = ops::gelu_tanh(&self.first.forward(x)?)?; // (…, inner)
        self.second.forward(&inner)
    }
}
