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
        let weight = weights.mapped(&format!("{name}.weight"), &[spec.outputs, spec.inputs])?;
        let bias = if spec.bias {
            Some(weights.tensor(&format!("{name}.bias"), &[spec.outputs])?)
        } else {
            None
        };
        Ok(Self { weight, bias })
    }

    /// Loads K layers of the same sizes that are stored as one, below each other.
    ///
    /// # Errors
    /// Only if a file is broken; a missing tensor is remembered by `weights`.
    pub fn load_joined<const K: usize>(
        weights: &mut Weights,
        name: &str,
        each: LinearSpec,
    ) -> std::result::Result<[Self; K], WeightsError> {
        let spec = LinearSpec {
            outputs: K * each.outputs,
            ..each
        };
        let whole = Self::load(weights, name, spec)?;
        let parts = (0..K).map(|part| whole.rows(part * each.outputs, each.outputs));
        let parts = parts.collect::<Result<Vec<_>>>();
        parts
            .and_then(|parts| {
                parts
                    .try_into()
                    .map_err(|_| candle_core::Error::Msg(format!("{name} has not {K} parts")))
            })
            .map_err(|error| weights.broken(&error))
    }

    /// The layer that makes some of the outputs, without a copy.
    fn rows(&self, start: usize, n: usize) -> Result<Self> {
        let bias = self.bias.as_ref();
        Ok(Self {
            weight: self.weight.rows(start..start + n)?,
            bias: bias.map(|bias| bias.narrow(0, start, n)).transpose()?,
        })
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
