//! DiT (Peebles & Xie 2023) as diffusers' `DiTTransformer2DModel` computes it: adaLN-Zero
//! blocks, class-conditional, fixed positions.
//!
//! Every block has its own timestep and class embedder; the last layer uses block 0's.

use std::ops::Range;

use candle_core::{Device, Result, Tensor, bail};
use dfa_core::Block;

use super::embed::{self, PositionGrid};
use super::linear::{Linear, LinearSpec};
use super::{Attend, Condition, ForwardPass, Geometry, LatentSize, StepInput, Transformer, rows};
use crate::attention::{AttentionSpec, SelfAttention};
use crate::device::Placement;
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
    null_class: u32,
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
            classes: weights.tensor(&table, &[config.n_classes as usize + 1, d])?,
        })
    }

    /// SiLU(timestep embedding + class embedding), (N, D): every user applies the SiLU.
    fn forward(&self, features: &Tensor, labels: &Tensor) -> Result<Tensor> {
        let timestep = self
            .timestep_2
            .forward(&ops::silu(&self.timestep_1.forward(features)?)?)?; // (1, D)
        let classes = self.classes.index_select(labels, 0)?; // (N, D)
        ops::silu(&classes.broadcast_add(&timestep)?)
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
        let attention = AttentionSpec {
            n_heads: config.n_heads,
            width: d,
            qkv_bias: config.attention_bias,
        };
        Ok(Self {
            embedder: Embedder::load(weights, &format!("{name}.norm1.emb"), config)?,
            modulation: Linear::load(
                weights,
                &format!("{name}.norm1.linear"),
                with_bias(d, 6 * d),
            )?,
            attention: SelfAttention::load(weights, &format!("{name}.attn1"), attention)?,
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
    /// Loads the transformer of a model folder onto a device.
    ///
    /// # Errors
    /// [`FolderError::Weights`] lists every tensor that is missing or misshapen.
    pub fn load(
        folder: &ModelFolder,
        config: &DitConfig,
        placement: &Placement,
    ) -> std::result::Result<Self, FolderError> {
        let weights = Weights::open(&folder.transformer_folder, &folder.weight_files)?;
        let mut weights = weights.on(placement);
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
            geometry: config.geometry(),
            norm_eps: config.norm_eps,
            null_class: config.n_classes,
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

impl Transformer for Dit {
    fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    fn device(&self) -> &Device {
        self.blocks[0].embedder.classes.device()
    }

    fn begin<'a>(&'a self, input: &StepInput<'_>) -> Result<Box<dyn ForwardPass + 'a>> {
        Ok(Box::new(self.pass(input)?))
    }
}

impl Dit {
    fn pass(&self, input: &StepInput<'_>) -> Result<DitPass<'_>> {
        let labels = self.labels_of_branches(input)?; // (N)
        let features = embed::number_features(&[input.timestep as f32], TIMESTEP_FEATURES, 1.0)?; // (1, 256)
        let modulations = self.blocks.iter().map(|block| {
            let embedding = block.embedder.forward(&features, &labels)?; // (N, D)
            chunks(&block.modulation.forward(&embedding)?)
        });
        let of_first = self.blocks[0].embedder.forward(&features, &labels)?;
        Ok(DitPass {
            model: self,
            size: input.size,
            modulations: modulations.collect::<Result<_>>()?,
            last_modulation: chunks(&self.proj_out_1.forward(&of_first)?)?,
        })
    }

    /// The images' classes, then the null class for each of them, (N).
    fn labels_of_branches(&self, input: &StepInput<'_>) -> Result<Tensor> {
        let Condition::Classes(classes) = input.condition else {
            bail!("a DiT draws classes, not {}", input.condition.kind());
        };
        let mut labels = classes.clone();
        if input.guided {
            labels.resize(2 * classes.len(), self.null_class);
        }
        Tensor::new(labels, self.device())
    }
}

/// What the blocks of one step share.
struct DitPass<'a> {
    model: &'a Dit,
    size: LatentSize,
    /// Per block: shift, scale, gate for attention, the same for the MLP; each (N, D).
    modulations: Vec<[Tensor; 6]>,
    /// Shift and scale of the last norm, each (N, D).
    last_modulation: [Tensor; 2],
}

impl ForwardPass for DitPass<'_> {
    fn of_samples<'b>(&self, samples: &Range<usize>) -> Result<Box<dyn ForwardPass + 'b>>
    where
        Self: 'b,
    {
        let modulations = self.modulations.iter();
        let modulations = modulations.map(|modulation| rows(modulation, samples));
        Ok(Box::new(DitPass {
            model: self.model,
            size: self.size,
            modulations: modulations.collect::<Result<_>>()?,
            last_modulation: rows(&self.last_modulation, samples)?,
        }))
    }

    fn embed(&self, latent: &Tensor) -> Result<Tensor> {
        let geometry = &self.model.geometry;
        let patch = geometry.patch_size;
        let positions = PositionGrid {
            rows: self.size.height / patch,
            columns: self.size.width / patch,
            base: geometry.native_size.height / patch,
            interpolation_scale: 1.0,
        };
        let patches = embed::patchify(latent, patch)?;
        let tokens = self.model.patch_embed.forward(&patches)?; // (N, T, D)
        tokens.broadcast_add(&embed::sincos_positions(&tokens, positions)?)
    }

    fn block(&self, block: Block, hidden: &Tensor, attend: &mut Attend<'_>) -> Result<Tensor> {
        let layers = &self.model.blocks[block.0];
        let [
            shift_msa,
            scale_msa,
            gate_msa,
            shift_mlp,
            scale_mlp,
            gate_mlp,
        ] = &self.modulations[block.0];

        let normed = ops::layer_norm_modulate(hidden, shift_msa, scale_msa, NORM_EPS)?; // (N, T, D)
        let attention = attend(&layers.attention, &normed)?; // (N, T, D)
        let hidden = ops::gated_skip(hidden, gate_msa, &attention)?;

        let normed = ops::layer_norm_modulate(&hidden, shift_mlp, scale_mlp, self.model.norm_eps)?;
        let inner = ops::gelu_tanh(&layers.mlp_in.forward(&normed)?)?; // (N, T, 4D)
        ops::gated_skip(&hidden, gate_mlp, &layers.mlp_out.forward(&inner)?)
    }

    fn output(&self, hidden: &Tensor) -> Result<Tensor> {
        let [shift, scale] = &self.last_modulation;
        let normed = ops::layer_norm_modulate(hidden, shift, scale, NORM_EPS)?;
        let patches = self.model.proj_out_2.forward(&normed)?; // (N, T, p·p·C_out)
        embed::unpatchify(&patches, self.model.geometry.patch_size, self.size)
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
