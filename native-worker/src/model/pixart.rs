//! PixArt-Sigma (Chen et al. 2024) as diffusers' `PixArtTransformer2DModel` computes it:
//! a DiT with adaLN-single, whose image tokens also attend to a text.
//!
//! The unconditional branch draws the negative texts.

use std::ops::Range;

use candle_core::{Device, Result, Tensor, bail};
use dfa_core::Block;

use super::adaln_single::{NumberEmbedder, modulation};
use super::cross_attention::CrossAttention;
use super::embed::{self, PositionGrid};
use super::linear::{Linear, LinearSpec};
use super::mlp::{Mlp, MlpSpec};
use super::visible_text::VisibleText;
use super::{Attend, Condition, ForwardPass, Geometry, LatentSize, StepInput, Transformer, rows};
use crate::attention::{AttentionSpec, SelfAttention};
use crate::device::Placement;
use crate::kernels::ops;
use crate::model_folder::weights::{Weights, WeightsError};
use crate::model_folder::{FolderError, ModelFolder, PixArtConfig};

/// Epsilon of the last layer norm (fixed in diffusers); the others are the config's.
const NORM_OUT_EPS: f64 = 1e-6;

/// A loaded PixArt-Sigma.
pub struct PixArt {
    config: PixArtConfig,
    geometry: Geometry,
    patch_embed: Linear,
    timestep: NumberEmbedder,
    /// D → 6D: what the modulations of all blocks share.
    modulation: Linear,
    /// E → D; none if the text has the width that cross-attention takes.
    caption_projection: Option<Mlp>,
    blocks: Vec<PixArtBlock>,
    /// (2, D): shift and scale of the last norm.
    last_table: Tensor,
    /// D → p·p·C_out.
    proj_out: Linear,
}

struct PixArtBlock {
    /// (6, D): shift, scale, gate for attention; the same for the MLP.
    table: Tensor,
    attention: SelfAttention,
    cross_attention: CrossAttention,
    mlp: Mlp,
}

impl PixArtBlock {
    fn load(
        weights: &mut Weights,
        idx: usize,
        config: &PixArtConfig,
    ) -> std::result::Result<Self, WeightsError> {
        let d = config.width();
        let name = format!("transformer_blocks.{idx}");
        let attention = AttentionSpec {
            n_heads: config.n_heads,
            width: d,
            qkv_bias: config.attention_bias,
        };
        let mlp = MlpSpec {
            inputs: d,
            inner: 4 * d,
            outputs: d,
        };
        let mlp_names = ["ff.net.0.proj", "ff.net.2"].map(|part| format!("{name}.{part}"));
        Ok(Self {
            table: weights.tensor(&format!("{name}.scale_shift_table"), &[6, d])?,
            attention: SelfAttention::load(weights, &format!("{name}.attn1"), attention)?,
            cross_attention: load_cross_attention(weights, &format!("{name}.attn2"), config)?,
            mlp: Mlp::load(weights, mlp_names.each_ref().map(String::as_str), mlp)?,
        })
    }
}

fn load_cross_attention(
    weights: &mut Weights,
    name: &str,
    config: &PixArtConfig,
) -> std::result::Result<CrossAttention, WeightsError> {
    let d = config.width();
    let mut projection = |part: &str, inputs, bias| {
        let spec = LinearSpec {
            inputs,
            outputs: d,
            bias,
        };
        Linear::load(weights, &format!("{name}.{part}"), spec)
    };
    Ok(CrossAttention {
        to_q: projection("to_q", d, config.attention_bias)?,
        to_k: projection("to_k", config.cross_attention_dim, config.attention_bias)?,
        to_v: projection("to_v", config.cross_attention_dim, config.attention_bias)?,
        to_out: projection("to_out.0", d, true)?,
        n_heads: config.n_heads,
    })
}

impl PixArt {
    /// Loads the transformer of a model folder onto a device.
    ///
    /// # Errors
    /// [`FolderError::Weights`] lists every tensor that is missing or misshapen.
    pub fn load(
        folder: &ModelFolder,
        config: &PixArtConfig,
        placement: &Placement,
    ) -> std::result::Result<Self, FolderError> {
        let weights = Weights::open(&folder.transformer_folder, &folder.weight_files)?;
        let mut weights = weights.on(placement);
        let model = Self::from_weights(config, &mut weights)?;
        weights.finish()?;
        Ok(model)
    }

    fn from_weights(
        config: &PixArtConfig,
        weights: &mut Weights,
    ) -> std::result::Result<Self, WeightsError> {
        let (d, p) = (config.width(), config.patch_size);
        let patch = [d, config.in_channels, p, p];
        let conv = weights.matrix("pos_embed.proj.weight", &patch)?; // (D, C·p·p)
        let bias = weights.tensor("pos_embed.proj.bias", &[d])?;
        let timestep = [
            "adaln_single.emb.timestep_embedder.linear_1",
            "adaln_single.emb.timestep_embedder.linear_2",
        ];
        let blocks = (0..config.n_blocks).map(|idx| PixArtBlock::load(weights, idx, config));
        Ok(Self {
            config: config.clone(),
            geometry: config.geometry(),
            patch_embed: Linear::new(conv, Some(bias)),
            blocks: blocks.collect::<std::result::Result<_, _>>()?,
            timestep: NumberEmbedder::load(weights, timestep, d)?,
            modulation: Linear::load(
                weights,
                "adaln_single.linear",
                LinearSpec::with_bias(d, 6 * d),
            )?,
            caption_projection: load_caption_projection(weights, config)?,
            last_table: weights.tensor("scale_shift_table", &[2, d])?,
            proj_out: Linear::load(
                weights,
                "proj_out",
                LinearSpec::with_bias(d, p * p * config.out_channels),
            )?,
        })
    }

    /// The prompts of all images, then their negative texts, projected.
    fn text_of_branches(&self, input: &StepInput<'_>) -> Result<VisibleText> {
        let Condition::Text(text) = input.condition else {
            bail!("a PixArt draws texts, not {}", input.condition.kind());
        };
        let mut texts: Vec<&Tensor> = text.prompts.iter().collect();
        if input.guided {
            let (n, expected) = (text.negatives.len(), texts.len());
            if n != expected {
                bail!("guidance needs a negative text per image: {n} for {expected} images");
            }
            texts.extend(&text.negatives);
        }
        let text = VisibleText::join(&texts, self.config.text_width())?;
        match &self.caption_projection {
            Some(projection) => text.projected(projection),
            None => Ok(text),
        }
    }
}

fn load_caption_projection(
    weights: &mut Weights,
    config: &PixArtConfig,
) -> std::result::Result<Option<Mlp>, WeightsError> {
    let Some(inputs) = config.caption_channels else {
        return Ok(None);
    };
    let d = config.width();
    let spec = MlpSpec {
        inputs,
        inner: d,
        outputs: d,
    };
    let names = ["caption_projection.linear_1", "caption_projection.linear_2"];
    Mlp::load(weights, names, spec).map(Some)
}

impl Transformer for PixArt {
    fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    fn device(&self) -> &Device {
        self.last_table.device()
    }

    fn begin<'a>(&'a self, input: &StepInput<'_>) -> Result<Box<dyn ForwardPass + 'a>> {
        Ok(Box::new(self.pass(input)?))
    }
}

impl PixArt {
    fn pass(&self, input: &StepInput<'_>) -> Result<PixArtPass<'_>> {
        let LatentSize { height, width, .. } = input.size;
        let patch = self.config.patch_size;
        if !height.is_multiple_of(patch) || !width.is_multiple_of(patch) {
            bail!(
                "a latent of {} has sides that are no multiples of the patch, {patch}",
                input.size
            );
        }
        let text = self.text_of_branches(input)?;
        let n = text.n_samples();
        let embedding = self.timestep.forward(&[input.timestep as f32])?; // (1, D)
        let shared = self.modulation.forward(&ops::silu(&embedding)?)?; // (1, 6D)
        let shared = shared.reshape((6, self.config.width()))?;
        let blocks = self.blocks.iter();
        let modulations = blocks.map(|block| modulation(&block.table, &shared, n));
        Ok(PixArtPass {
            model: self,
            size: input.size,
            text,
            modulations: modulations.collect::<Result<_>>()?,
            last_modulation: modulation(&self.last_table, &embedding, n)?,
        })
    }
}

/// What the blocks of one step share.
struct PixArtPass<'a> {
    model: &'a PixArt,
    size: LatentSize,
    /// Projected text of both branches.
    text: VisibleText,
    /// Per block: shift, scale, gate for attention, the same for the MLP; each (N, D).
    modulations: Vec<[Tensor; 6]>,
    /// Shift and scale of the last norm, each (N, D).
    last_modulation: [Tensor; 2],
}

impl ForwardPass for PixArtPass<'_> {
    fn of_samples<'b>(&self, samples: &Range<usize>) -> Result<Box<dyn ForwardPass + 'b>>
    where
        Self: 'b,
    {
        let modulations = self.modulations.iter();
        let modulations = modulations.map(|modulation| rows(modulation, samples));
        Ok(Box::new(PixArtPass {
            model: self.model,
            size: self.size,
            text: self.text.of_samples(samples)?,
            modulations: modulations.collect::<Result<_>>()?,
            last_modulation: rows(&self.last_modulation, samples)?,
        }))
    }

    fn embed(&self, latent: &Tensor) -> Result<Tensor> {
        let config = &self.model.config;
        let patch = config.patch_size;
        let positions = PositionGrid {
            rows: self.size.height / patch,
            columns: self.size.width / patch,
            base: config.sample_size / patch,
            interpolation_scale: config.interpolation_scale,
        };
        let patches = embed::patchify(latent, patch)?;
        let tokens = self.model.patch_embed.forward(&patches)?; // (N, T, D)
        tokens.broadcast_add(&embed::sincos_positions(&tokens, positions)?)
    }

    fn block(&self, block: Block, hidden: &Tensor, attend: &mut Attend<'_>) -> Result<Tensor> {
        let layers = &self.model.blocks[block.0];
        let eps = self.model.config.norm_eps;
        let [
            shift_msa,
            scale_msa,
            gate_msa,
            shift_mlp,
            scale_mlp,
            gate_mlp,
        ] = &self.modulations[block.0];

        let normed = ops::layer_norm_modulate(hidden, shift_msa, scale_msa, eps)?; // (N, T, D)
        let attention = attend(&layers.attention, &normed)?; // (N, T, D)
        let hidden = ops::gated_skip(hidden, gate_msa, &attention)?;

        // Neither norm nor gate.
        let hidden = (&hidden + layers.cross_attention.forward(&hidden, &self.text)?)?;

        let normed = ops::layer_norm_modulate(&hidden, shift_mlp, scale_mlp, eps)?;
        ops::gated_skip(&hidden, gate_mlp, &layers.mlp.forward(&normed)?)
    }

    fn output(&self, hidden: &Tensor) -> Result<Tensor> {
        let [shift, scale] = &self.last_modulation;
        let normed = ops::layer_norm_modulate(hidden, shift, scale, NORM_OUT_EPS)?;
        let patches = self.model.proj_out.forward(&normed)?; // (N, T, p·p·C_out)
        embed::unpatchify(&patches, self.model.config.patch_size, self.size)
    }
}
