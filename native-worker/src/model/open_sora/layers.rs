//! The weights of one block, under the names of the authors' files: projections that are
//! used apart are stored joined, one below the other.

use candle_core::Tensor;

use super::temporal_attention::TemporalAttention;
use crate::attention::{Projections, SelfAttention};
use crate::model::cross_attention::CrossAttention;
use crate::model::linear::{Linear, LinearSpec};
use crate::model::mlp::{Mlp, MlpSpec};
use crate::model::qk_norm::QkNorm;
use crate::model_folder::OpenSoraConfig;
use crate::model_folder::weights::{Weights, WeightsError};

pub(super) struct StditBlock {
    /// (6, D): shift, scale, gate for spatial attention; the same for the MLP.
    pub(super) table: Tensor,
    /// (3, D): shift, scale, gate for temporal attention.
    pub(super) table_in_time: Tensor,
    pub(super) spatial: SelfAttention,
    pub(super) temporal: TemporalAttention,
    pub(super) cross_attention: CrossAttention,
    pub(super) mlp: Mlp,
}

impl StditBlock {
    pub(super) fn load(
        weights: &mut Weights,
        idx: usize,
        config: &OpenSoraConfig,
    ) -> Result<Self, WeightsError> {
        let d = config.width;
        let name = format!("blocks.{idx}");
        let mlp = MlpSpec {
            inputs: d,
            inner: config.mlp_width,
            outputs: d,
        };
        let mlp_names = ["mlp.fc1", "mlp.fc2"].map(|part| format!("{name}.{part}"));
        let in_time = format!("{name}.scale_shift_table_temporal");
        Ok(Self {
            table: weights.tensor(&format!("{name}.scale_shift_table"), &[6, d])?,
            table_in_time: weights.tensor(&in_time, &[3, d])?,
            spatial: load_spatial(weights, &format!("{name}.attn"), config)?,
            temporal: load_temporal(weights, &format!("{name}.attn_temp"), config)?,
            cross_attention: load_cross_attention(weights, &format!("{name}.cross_attn"), config)?,
            mlp: Mlp::load(weights, mlp_names.each_ref().map(String::as_str), mlp)?,
        })
    }
}

fn load_spatial(
    weights: &mut Weights,
    name: &str,
    config: &OpenSoraConfig,
) -> Result<SelfAttention, WeightsError> {
    let projections = load_projections(weights, name, config.width)?;
    let qk_norm = load_qk_norm(weights, name, config)?;
    Ok(SelfAttention::new(projections, config.n_heads, qk_norm))
}

fn load_temporal(
    weights: &mut Weights,
    name: &str,
    config: &OpenSoraConfig,
) -> Result<TemporalAttention, WeightsError> {
    Ok(TemporalAttention {
        projections: load_projections(weights, name, config.width)?,
        n_heads: config.n_heads,
        qk_norm: load_qk_norm(weights, name, config)?,
        norm_after_rotation: config.norm_after_rotation,
    })
}

fn load_projections(
    weights: &mut Weights,
    name: &str,
    d: usize,
) -> Result<Projections, WeightsError> {
    let each = LinearSpec::with_bias(d, d);
    let [to_q, to_k, to_v] = Linear::load_joined(weights, &format!("{name}.qkv"), each)?;
    Ok(Projections {
        to_q,
        to_k,
        to_v,
        to_out: Linear::load(weights, &format!("{name}.proj"), each)?,
    })
}

/// As the config says; where it is silent, as the weights are.
fn load_qk_norm(
    weights: &mut Weights,
    name: &str,
    config: &OpenSoraConfig,
) -> Result<Option<QkNorm>, WeightsError> {
    let first = format!("{name}.q_norm.weight");
    let is_normed = config
        .qk_norm
        .unwrap_or_else(|| weights.shape(&first).is_some());
    if !is_normed {
        return Ok(None);
    }
    QkNorm::load(weights, name, config.head_size()).map(Some)
}

fn load_cross_attention(
    weights: &mut Weights,
    name: &str,
    config: &OpenSoraConfig,
) -> Result<CrossAttention, WeightsError> {
    let each = LinearSpec::with_bias(config.width, config.width);
    let [to_k, to_v] = Linear::load_joined(weights, &format!("{name}.kv_linear"), each)?;
    Ok(CrossAttention {
        to_q: Linear::load(weights, &format!("{name}.q_linear"), each)?,
        to_k,
        to_v,
        to_out: Linear::load(weights, &format!("{name}.proj"), each)?,
        n_heads: config.n_heads,
    })
}
