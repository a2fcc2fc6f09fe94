//! adaLN-single (Chen et al. 2023, PixArt-α, section 2.3): shift, scale and gate are made
//! of the timestep once for all blocks, and every block adds a table of its own.

use candle_core::{Result, Tensor};

use super::embed;
use super::linear::{Linear, LinearSpec};
use crate::kernels::ops;
use crate::model_folder::weights::{Weights, WeightsError};

/// Size of the features of a number.
const FEATURES: usize = 256;

/// A number, such as a timestep or a side in pixels → a vector: sine-cosine features, then
/// linear, SiLU, linear.
pub struct NumberEmbedder {
    first: Linear,
    second: Linear,
}

impl NumberEmbedder {
    /// Loads the two layers of these names.
    ///
    /// # Errors
    /// Only if a file is broken; a missing tensor is remembered by `weights`.
    pub fn load(
        weights: &mut Weights,
        [first, second]: [&str; 2],
        width: usize,
    ) -> std::result::Result<Self, WeightsError> {
        Ok(Self {
            first: Linear::load(weights, first, LinearSpec::with_bias(FEATURES, width))?,
            second: Linear::load(weights, second, LinearSpec::with_bias(width, width))?,
        })
    }

    /// One row per number, (n, width).
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn forward(&self, numbers: &[f32]) -> Result<Tensor> {
        let features = embed::number_features(numbers, FEATURES, 0.0)?; // (n, 256)
        self.second
            .forward(&ops::silu(&self.first.forward(&features)?)?)
    }
}

/// A table's rows plus what all tables share, for `n` samples: K tensors (N, D).
///
/// `table`: (K, D); `shared`: (K, D), or (1, D) if the rows share it.
///
/// # Errors
/// If the shapes do not fit each other.
pub fn modulation<const K: usize>(
    table: &Tensor,
    shared: &Tensor,
    n: usize,
) -> Result<[Tensor; K]> {
    let rows = table.broadcast_add(shared)?; // (K, D)
    let width = rows.dim(1)?;
    let rows: Vec<Tensor> = (0..rows.dim(0)?)
        .map(|row| rows.get(row)?.broadcast_as((n, width))?.contiguous())
        .collect::<Result<_>>()?;
    rows.try_into()
        .map_err(|_| candle_core::Error::Msg(format!("a modulation table has not {K} rows")))
}
