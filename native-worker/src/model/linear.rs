//! A linear layer as PyTorch stores it.

use candle_core::{Result, Tensor};

use crate::kernels::ops;
use crate::model_folder::weights::{Weights, WeightsError};

/// `x Wᵀ + b`.
#[derive(Clone, Debug)]
pub struct Linear {
    /// (outputs, inputs).
    weight: Tensor,
    /// (outputs).
    bias: Option<Tensor>,
}

/// Sizes of a linear layer to load.
#[derive(Clone, Copy, Debug)]
pub struct LinearSpec {
    /// Columns of the weight.
    pub inputs: usize,
    /// Rows of the weight.
    pub outputs: usize,
    /// Whether there is a bias.
    pub bias: bool,
}

impl LinearSpec {
    /// A layer with a bias.
    pub const fn with_bias(inputs: usize, outputs: usize) -> Self {
        Self {
            inputs,
            outputs,
            bias: true,
        }
    }
}

impl Linear {
    /// Loads `{name}.weight` and `{name}.bias`.
    ///
    /// # Errors
    /// Only if a file is broken; a missing tensor is remembered by `weights`.
    pub fn load(
        weights: &mut Weights,
        name: &str,
        spec: LinearSpec,
    ) -> std::result::Result<Self, WeightsError> {
        let weight = weights.tensor(&format!("{name}.weight"), &[spec.outputs, spec.inputs])?;
        let bias = if spec.bias {
            Some(weights.tensor(&format!("{name}.bias"), &[spec.outputs])?)
        } else {
            None
        };
        Ok(Self { weight, bias })
    }

    /// A layer from tensors: weight (outputs, inputs), bias (outputs).
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { weight, bias }
    }

    /// (…, inputs) → (…, outputs).
    ///
    /// # Errors
    /// If the last dimension is not the layer's inputs.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        ops::linear_layer(x, &self.weight, self.bias.as_ref())
    }
}
