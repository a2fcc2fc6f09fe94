//! DiT (Peebles & Xie 2023) as diffusers' `DiTTransformer2DModel` computes it: adaLN-Zero
//! blocks, class-conditional, fixed positions.
//!
//! Every block has its own timestep and class embedder; the last layer uses block 0's.

use candle_core::{Result, Tensor};
use dfa_core::Block;

use super::embed::{self, PositionGrid};
use super::linear::{Linear, LinearSpec};
use super::{Attend, Geometry, LatentSize, StepInput, Transformer};
use crate::attention::SelfAttention;
use crate::kernels::ops;
use crate::model_folder::weights::{Weights, WeightsError};
use crate::model_folder::{DitConfig, FolderError, ModelFolder};

/// Size of the timestep features.
const TIMESTEP_FEATURES: usize = 256;
/// Epsilon of the layer norms before attention and at the end (fixed in diffusers).
const NORM_EPS: f64 = 1e-6;

/// A loaded DiT.
pub struct Dit {
    geometry: Geometry,
    norm_eps: f64,
    patch_embed: Linear,
    blocks: Vec<DitBlock>,
    /// D → 2D: shift and scale of the last norm.
    proj_out_1: Linear,
    /// D → p·p·C_out.
    proj_out_2: Linear,
}

struct DitBlock {
    embedder: Embedder,
    /// D → 6D: shift, scale, gate for attention; the same for the MLP.
    modulation: Linear,
    attention: SelfAttention,
    mlp_in: Linear,
    mlp_out: Linear,
}

/// Timestep and class → one vector per image.
struct Embedder {
    timestep_1: Linear,
    timestep_2: Linear,
    /// (classes + 1, D); the last row is the null class.
    classes: Tensor,
}

impl Embedder {
    fn load(
        weights: &mut Weights,
        name: &str,
        config: &DitConfig,
    ) -> std::result::Result<Self, WeightsError> {
        let d = config.width();
        let timestep = format!("{name}.timestep_embedder");
        let table = format!("{name}.class_embedder.embedding_table.weight");
        Ok(Self {
            timestep_1: Linear::load(
                weights,
                &format!("{timestep}.linear_1"),
                with_bias(TIMESTEP_FEATURES, d),
            )?,
            timestep_2: Linear::load(weights, &format!("{timestep}.linear_2"), with_bias(d, d))?,
            classes: weights.tensor(&table, &[config.n_classes + 1, d])?,
        })
    }

    /// SiLU(timestep embedding + class embedding), (N, D): every user applies the SiLU.
    fn forward(&self, input: &StepInput) -> Result<Tensor> {
        let features = embed::timestep_features(input.timestep, TIMESTEP_FEATURES, 1.0)?; // (1, 256)
        let timestep = self
            .timestep_2
            .forward(&self.timestep_1.forward(&features)?.silu()?)?; // (1, D)
        let labels = Tensor::new(input.labels.as_slice(), self.classes.device())?;
        let classes = self.classes.index_select(&labels, 0)?; // (N, D)
        classes.broadcast_add(&timestep)?.silu()
    }
}

const fn with_bias(inputs: usize, outputs: usize) -> LinearSpec {
    LinearSpec {
        inputs,
        outputs,
        bias: true,
    }
}

impl DitBlock {
    fn load(
        weights: &mut Weights,
        idx: usize,
        config: &DitConfig,
    ) -> std::result::Result<Self, WeightsError> {
        let d = config.width();
        let name = format!("transformer_blocks.{idx}");
        Ok(Self {
            embedder: Embedder::load(weights, &format!("{name}.norm1.emb"), config)?,
            modulation: Linear::load(
                weights,
                &format!("{name}.norm1.linear"),
                with_bias(d, 6 * d),
            )?,
            attention: SelfAttention::load(weights, &format!("{name}.attn1"), config)?,
            mlp_in: Linear::load(
                weights,
                &format!("{name}.ff.net.0.proj"),
                with_bias(d, 4 * d),
            )?,
            mlp_out: Linear::load(weights, &format!("{name}.ff.net.2"), with_bias(4 * d, d))?,
        })
    }
}

impl Dit {
    /// Loads the transformer of a model folder.
    ///
    /// # Errors
    /// [`FolderError::Weights`] lists every tensor that is missing or misshapen.
    pub fn load(folder: &ModelFolder) -> std::result::Result<Self, FolderError> {
        let config = &folder.transformer;
        let mut weights = Weights::open(&folder.path.join("transformer"), &folder.weight_files)?;
        let model = Self::from_weights(config, &mut weights)?;
        weights.finish()?;
        Ok(model)
    }

    fn from_weights(
        config: &DitConfig,
        weights: &mut Weights,
    ) -> std::result::Result<Self, FolderError> {
        let (d, p) = (config.width(), config.patch_size);
        let patch = [d, config.in_channels, p, p];
        let conv = weights.matrix("pos_embed.proj.weight", &patch)?; // (D, C·p·p)
        let bias = weights.tensor("pos_embed.proj.bias", &[d])?;
        let blocks = (0..config.n_blocks).map(|idx| DitBlock::load(weights, idx, config));
        Ok(Self {
            geometry: geometry(config),
            norm_eps: config.norm_eps,
            patch_embed: Linear::new(conv, Some(bias)),
            blocks: blocks.collect::<std::result::Result<_, _>>()?,
            proj_out_1: Linear::load(weights, "proj_out_1", with_bias(d, 2 * d))?,
            proj_out_2: Linear::load(
                weights,
                "proj_out_2",
                with_bias(d, p * p * config.out_channels),
            )?,
        })
    }
}

fn geometry(config: &DitConfig) -> Geometry {
    Geometry {
        n_blocks: config.n_blocks,
        n_heads: config.n_heads,
        head_size: config.head_size,
        in_channels: config.in_channels,
        out_channels: config.out_channels,
        patch_size: config.patch_size,
        native_size: LatentSize {
            height: config.sample_size,
            width: config.sample_size,
        },
        n_classes: config.n_classes as u32,
    }
}

impl Transformer for Dit {
    fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    fn embed(&self, latent: &Tensor, input: &StepInput) -> Result<Tensor> {
        let patch = self.geometry.patch_size;
        let positions = PositionGrid {
            rows: input.size.height / patch,
            columns: input.size.width / patch,
            base: self.geometry.native_size.height / patch,
        };
        let tokens = self.patch_embed.forward(&embed::patchify(latent, patch)?)?; // (N, T, D)
        tokens.broadcast_add(&embed::sincos_positions(self.geometry.width(), positions)?)
    }

    fn block(
        &self,
        block: Block,
        hidden: &Tensor,
        input: &StepInput,
        attend: &mut Attend<'_>,
    ) -> Result<Tensor> {
        let layers = &self.blocks[block.0];
        let modulation = layers
            .modulation
            .forward(&layers.embedder.forward(input)?)?; // (N, 6D)
        let [
            shift_msa,
            scale_msa,
            gate_msa,
            shift_mlp,
            scale_mlp,
            gate_mlp,
        ] = &chunks::<6>(&modulation)?;

        let normed = ops::layer_norm_modulate(hidden, shift_msa, scale_msa, NORM_EPS)?; // (N, T, D)
        let attention = attend(&layers.attention, &normed)?; // (N, T, D)
        let hidden = ops::gated_skip(hidden, gate_msa, &attention)?;

        let normed = ops::layer_norm_modulate(&hidden, shift_mlp, scale_mlp, self.norm_eps)?;
        let inner = ops::gelu_tanh(&layers.mlp_in.forward(&normed)?)?; // (N, T, 4D)
        ops::gated_skip(&hidden, gate_mlp, &layers.mlp_out.forward(&inner)?)
    }

    fn output(&self, hidden: &Tensor, input: &StepInput) -> Result<Tensor> {
        let embedding = self.blocks[0].embedder.forward(input)?; // (N, D)
        let [shift, scale] = &chunks::<2>(&self.proj_out_1.forward(&embedding)?)?;
        let normed = ops::layer_norm_modulate(hidden, shift, scale, NORM_EPS)?;
        let patches = self.proj_out_2.forward(&normed)?; // (N, T, p·p·C_out)
        embed::unpatchify(&patches, self.geometry.patch_size, input.size)
    }
}

/// Splits (N, K·D) into K contiguous (N, D).
fn chunks<const K: usize>(modulation: &Tensor) -> Result<[Tensor; K]> {
    let chunks = modulation.chunk(K, 1)?;
    let chunks: Vec<Tensor> = chunks
        .iter()
        .map(Tensor::contiguous)
        .collect::<Result<_>>()?;
    chunks
        .try_into()
        .map_err(|_| candle_core::Error::Msg(format!("modulation does not split into {K}")))
}
