//! A linear layer as PyTorch stores it.

use candle_core::{Result, Tensor};

use crate::model_folder::weights::{WeightMatrix, Weights, WeightsError};

/// `x Wᵀ + b`.
#[derive(Clone, Debug)]
pub struct Linear {
    /// (outputs, inputs).
    weight: WeightMatrix,
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
        let weight = weights.mapped(&format!("{name}.weight"), &[spec.outputs, spec.inputs])?;
        let bias = if spec.bias {
            Some(weights.tensor(&format!("{name}.bias"), &[spec.outputs])?)
        } else {
            None
        };
        Ok(Self { weight, bias })
    }

    /// A layer from tensors that were made here: weight (outputs, inputs), bias (outputs).
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self::from_matrix(WeightMatrix::owned(weight), bias)
    }

    /// A layer from rows of a mapped file: a part of a joined projection, for example.
    pub fn from_matrix(weight: WeightMatrix, bias: Option<Tensor>) -> Self {
        Self { weight, bias }
    }

    /// (…, inputs) → (…, outputs).
    ///
    /// # Errors
    /// If the last dimension is not the layer's inputs.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.weight.apply(x, self.bias.as_ref())
    }
}
