//! The encoder of T5 v1.1 (Raffel et al. 2020; transformers' `T5EncoderModel`): RMS norms
//! before each part, attention with relative positions and without scaling, a gated GELU.
//!
//! Blocks are loaded one at a time by whoever runs them, and hidden states of several
//! prompts go through a block together: (R, E), R the prompts' tokens one after another.

use candle_core::{D, Device, Result, Tensor};

use super::t5_config::T5Config;
use crate::kernels::ops;
use crate::model::linear::{Linear, LinearSpec};
use crate::model_folder::weights::{WeightMatrix, Weights, WeightsError};

/// Names that the one embedding table has had; either may be missing.
const TABLES: [&str; 2] = ["shared.weight", "encoder.embed_tokens.weight"];

/// The embedding table (vocabulary, E).
pub(super) fn load_table(
    weights: &mut Weights,
    config: &T5Config,
) -> std::result::Result<WeightMatrix, WeightsError> {
    let found = TABLES.iter().find(|name| weights.shape(name).is_some());
    weights.mapped(
        found.unwrap_or(&TABLES[0]),
        &[config.vocabulary, config.width],
    )
}

/// The norm after the last block, (E).
pub(super) fn load_last_norm(
    weights: &mut Weights,
    config: &T5Config,
) -> std::result::Result<Tensor, WeightsError> {
    weights.tensor("encoder.final_layer_norm.weight", &[config.width])
}

/// `x / rms(x) · weight` per row. `x`: (R, E); `weight`: (E).
pub(super) fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    let mean_square = x.sqr()?.mean_keepdim(D::Minus1)?; // (R, 1)
    x.broadcast_div(&(mean_square + eps)?.sqrt()?)?
        .broadcast_mul(weight)
}

/// One block.
pub(super) struct T5Block {
    n_heads: usize,
    norm_eps: f64,
    /// (E).
    attention_norm: Tensor,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    /// (E).
    mlp_norm: Tensor,
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl T5Block {
    pub(super) fn load(
        weights: &mut Weights,
        idx: usize,
        config: &T5Config,
    ) -> std::result::Result<Self, WeightsError> {
        let attention = format!("encoder.block.{idx}.layer.0");
        let mlp = format!("encoder.block.{idx}.layer.1");
        let (e, a, f) = (config.width, config.attention_width(), config.inner_width);
        let mut linear = |name: String, inputs, outputs| {
            let spec = LinearSpec {
                inputs,
                outputs,
                bias: false,
            };
            Linear::load(weights, &name, spec)
        };
        Ok(Self {
            n_heads: config.n_heads,
            norm_eps: config.norm_eps,
            q: linear(format!("{attention}.SelfAttention.q"), e, a)?,
            k: linear(format!("{attention}.SelfAttention.k"), e, a)?,
            v: linear(format!("{attention}.SelfAttention.v"), e, a)?,
            o: linear(format!("{attention}.SelfAttention.o"), a, e)?,
            gate: linear(format!("{mlp}.DenseReluDense.wi_0"), e, f)?,
            up: linear(format!("{mlp}.DenseReluDense.wi_1"), e, f)?,
            down: linear(format!("{mlp}.DenseReluDense.wo"), f, e)?,
            attention_norm: weights.tensor(&format!("{attention}.layer_norm.weight"), &[e])?,
            mlp_norm: weights.tensor(&format!("{mlp}.layer_norm.weight"), &[e])?,
        })
    }

    /// `hidden`: (R, E), R the sum of `lengths`.
    pub(super) fn forward(
        &self,
        hidden: &Tensor,
        lengths: &[usize],
        positions: &RelativePositions,
    ) -> Result<Tensor> {
        let normed = rms_norm(hidden, &self.attention_norm, self.norm_eps)?; // (R, E)
        let hidden = (hidden + self.attention(&normed, lengths, positions)?)?;
        let normed = rms_norm(&hidden, &self.mlp_norm, self.norm_eps)?;
        let gate = ops::gelu_tanh(&self.gate.forward(&normed)?)?; // (R, F)
        let inner = (gate * self.up.forward(&normed)?)?;
        hidden + self.down.forward(&inner)?
    }

    /// Every prompt attends to itself only.
    fn attention(
        &self,
        x: &Tensor,
        lengths: &[usize],
        positions: &RelativePositions,
    ) -> Result<Tensor> {
        let (q, k, v) = (self.q.forward(x)?, self.k.forward(x)?, self.v.forward(x)?); // (R, H·d)
        let mut start = 0;
        let mut outputs = Vec::with_capacity(lengths.len());
        for &length in lengths {
            let heads = |rows: &Tensor| self.heads_of(&rows.narrow(0, start, length)?);
            let scores = heads(&q)?.matmul(&heads(&k)?.transpose(1, 2)?)?; // (H, L, L)
            let shares = softmax(&(&scores + ops::beside(&positions.bias(length)?, &scores)?)?)?;
            let mixed = shares.matmul(&heads(&v)?)?; // (H, L, d)
            outputs.push(mixed.transpose(0, 1)?.flatten_from(1)?); // (L, H·d)
            start += length;
        }
        self.o.forward(&Tensor::cat(&outputs, 0)?.contiguous()?)
    }

    /// (L, H·d) → (H, L, d).
    fn heads_of(&self, rows: &Tensor) -> Result<Tensor> {
        let (length, width) = rows.dims2()?;
        let heads = rows.reshape((length, self.n_heads, width / self.n_heads))?;
        heads.transpose(0, 1)?.contiguous()
    }
}

/// Over the last dimension.
fn softmax(scores: &Tensor) -> Result<Tensor> {
    let exp = scores
        .broadcast_sub(&scores.max_keepdim(D::Minus1)?)?
        .exp()?;
    exp.broadcast_div(&exp.sum_keepdim(D::Minus1)?)
}

/// What attention adds to a score for the distance between query and key: learned, per
/// head, in buckets; the same for all blocks.
pub(super) struct RelativePositions {
    n_heads: usize,
    /// Longest sequence that this is made for.
    longest: usize,
    /// Per head the distances `1 - longest ..= longest - 1`, key minus query.
    by_distance: Vec<f32>,
}

impl RelativePositions {
    /// Loads block 0's table; `longest` is the longest sequence that will be asked for.
    pub(super) fn load(
        weights: &mut Weights,
        config: &T5Config,
        longest: usize,
    ) -> std::result::Result<Self, WeightsError> {
        let name = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight";
        let table = weights.tensor(name, &[config.n_buckets, config.n_heads])?;
        // A stand-in for a missing table is one value seen from everywhere.
        let rows = table.contiguous().and_then(|table| table.to_vec2::<f32>());
        let rows = rows.unwrap_or_default();
        let reach = longest as i64 - 1;
        let values = |head: usize| {
            let rows = &rows;
            (-reach..=reach).map(move |distance| {
                let row = rows.get(bucket(distance, config));
                row.and_then(|row| row.get(head)).copied().unwrap_or(0.0)
            })
        };
        Ok(Self {
            n_heads: config.n_heads,
            longest,
            by_distance: (0..config.n_heads).flat_map(values).collect(),
        })
    }

    /// (H, L, L): rows are queries.
    fn bias(&self, length: usize) -> Result<Tensor> {
        let n_distances = 2 * self.longest - 1;
        let mut values = Vec::with_capacity(self.n_heads * length * length);
        for head in self.by_distance.chunks_exact(n_distances) {
            for query in 0..length {
                // Key 0 is `query` before the query.
                let start = self.longest - 1 - query;
                values.extend_from_slice(&head[start..start + length]);
            }
        }
        Tensor::from_vec(values, (self.n_heads, length, length), &Device::Cpu)
    }
}

/// The bucket of a distance, key minus query: half of the buckets for each direction; of
/// these, half for the nearest distances one by one, the others ever wider.
fn bucket(distance: i64, config: &T5Config) -> usize {
    let n = config.n_buckets / 2;
    let n_near = n / 2;
    let steps = distance.unsigned_abs() as usize;
    let within = if steps < n_near {
        steps
    } else {
        // In f32, as transformers computes it: bounds of buckets depend on the rounding.
        let spread = (config.max_distance as f64 / n_near as f64).ln() as f32;
        let far = (steps as f32 / n_near as f32).ln() / spread * (n - n_near) as f32;
        (n_near + far as usize).min(n - 1)
    };
    if distance > 0 { n + within } else { within }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_fall_into_the_buckets_of_t5() {
        let config = T5Config {
            vocabulary: 1,
            width: 1,
            head_size: 1,
            n_heads: 1,
            inner_width: 1,
            n_blocks: 1,
            n_buckets: 32,
            max_distance: 128,
            norm_eps: 1e-6,
        };
        // From transformers' T5Attention._relative_position_bucket.
        for (distance, expected) in [
            (0, 0),
            (-1, 1),
            (1, 17),
            (-7, 7),
            (-8, 8),
            (-11, 8),
            (-12, 9),
            (16, 26),
            (-15, 9),
            (31, 27),
            (32, 28),
            (-63, 13),
            (64, 30),
            (90, 30),
            (91, 31),
            (-127, 15),
            (128, 31),
            (-100_000, 15),
        ] {
            assert_eq!(bucket(distance, &config), expected, "{distance}");
        }
    }
}
