//! STDiT2, the network of Open-Sora 1.1 (Zheng et al. 2024): every block attends over the
//! places of each frame, then over the frames of each place, then to the text.
//!
//! Only the first, the spatial attention, is compressed; its batch is the frames of all
//! samples, those of a sample side by side, so that the first half of it is the conditional
//! branch. The unconditional text is learned and as long as the prompt.
//!
//! - [`layers`]: the blocks' weights.
//! - [`temporal_attention`]: attention over the frames of a place.
//! - [`video_embedding`]: size, shape, length and speed of the video as vectors.
//! - [`frames`]: between latents of videos and tokens of frames.

use std::ops::Range;

use candle_core::{Device, Result, Tensor, bail};
use dfa_core::Block;

use super::adaln_single::{NumberEmbedder, modulation};
use super::linear::{Linear, LinearSpec};
use super::mlp::{Mlp, MlpSpec};
use super::visible_text::VisibleText;
use super::{Attend, Condition, ForwardPass, Geometry, StepInput, Transformer, VideoFacts, rows};
use crate::device::Placement;
use crate::kernels::ops;
use crate::model_folder::weights::{Weights, WeightsError};
use crate::model_folder::{FolderError, ModelFolder, OpenSoraConfig};

mod frames;
mod layers;
mod temporal_attention;
mod video_embedding;

use frames::FrameGrid;
use layers::StditBlock;
use temporal_attention::Rotations;
use video_embedding::VideoEmbedding;

/// Epsilon of every layer norm.
const NORM_EPS: f64 = 1e-6;

/// A loaded STDiT2.
pub struct OpenSora {
    config: OpenSoraConfig,
    geometry: Geometry,
    patch_embed: Linear,
    timestep: NumberEmbedder,
    video: VideoEmbedding,
    /// D → 6D: what the modulations of space and MLP share.
    modulation: Linear,
    /// D → 3D: what the modulations of time share.
    modulation_in_time: Linear,
    /// E → D.
    caption_projection: Mlp,
    /// (longest text, E): the unconditional text.
    null_text: Tensor,
    /// (d/2): angle per frame of each pair.
    rotary_frequencies: Vec<f32>,
    blocks: Vec<StditBlock>,
    /// (2, D): shift and scale of the last norm.
    last_table: Tensor,
    /// D → p·p·C_out.
    proj_out: Linear,
}

impl OpenSora {
    /// Loads the transformer of a model folder onto a device.
    ///
    /// # Errors
    /// [`FolderError::Weights`] lists every tensor that is missing or misshapen.
    pub fn load(
        folder: &ModelFolder,
        config: &OpenSoraConfig,
        placement: &Placement,
    ) -> std::result::Result<Self, FolderError> {
        let weights = Weights::open(&folder.transformer_folder, &folder.weight_files)?;
        let mut weights = weights.on(placement);
        let model = Self::from_weights(config, &mut weights)?;
        weights.finish()?;
        Ok(model)
    }

    fn from_weights(
        config: &OpenSoraConfig,
        weights: &mut Weights,
    ) -> std::result::Result<Self, WeightsError> {
        let (d, p) = (config.width, config.patch_size);
        let patch = [d, config.in_channels, 1, p, p];
        let conv = weights.matrix("x_embedder.proj.weight", &patch)?; // (D, C·p·p)
        let bias = weights.tensor("x_embedder.proj.bias", &[d])?;
        let linear = |weights: &mut Weights, name: &str, outputs| {
            Linear::load(weights, name, LinearSpec::with_bias(d, outputs))
        };
        let caption = MlpSpec {
            inputs: config.caption_channels,
            inner: d,
            outputs: d,
        };
        let caption_names = ["y_embedder.y_proj.fc1", "y_embedder.y_proj.fc2"];
        let null_text = [config.max_text_tokens, config.caption_channels];
        let blocks = (0..config.n_blocks).map(|idx| StditBlock::load(weights, idx, config));
        Ok(Self {
            config: config.clone(),
            geometry: config.geometry(),
            patch_embed: Linear::new(conv, Some(bias)),
            blocks: blocks.collect::<std::result::Result<_, _>>()?,
            timestep: NumberEmbedder::load(weights, ["t_embedder.mlp.0", "t_embedder.mlp.2"], d)?,
            video: VideoEmbedding::load(weights, d)?,
            modulation: linear(weights, "t_block.1", 6 * d)?,
            modulation_in_time: linear(weights, "t_block_temp.1", 3 * d)?,
            caption_projection: Mlp::load(weights, caption_names, caption)?,
            null_text: weights.tensor("y_embedder.y_embedding", &null_text)?,
            rotary_frequencies: weights.vector("rope.freqs", config.head_size() / 2)?,
            last_table: weights.tensor("final_layer.scale_shift_table", &[2, d])?,
            proj_out: linear(weights, "final_layer.linear", p * p * config.out_channels)?,
        })
    }

    /// The prompts of all samples, then as much of the learned text for each of them,
    /// projected.
    fn text_of_branches(&self, input: &StepInput<'_>) -> Result<VisibleText> {
        let Condition::Text(text) = input.condition else {
            bail!("an Open-Sora draws texts, not {}", input.condition.kind());
        };
        let prompts = text.prompts.iter();
        let nulls = match input.guided {
            true => prompts
                .clone()
                .map(|prompt| self.null_text_like(prompt))
                .collect(),
            false => Ok(Vec::new()),
        };
        let nulls: Vec<Tensor> = nulls?;
        let texts: Vec<&Tensor> = prompts.chain(&nulls).collect();
        let text = VisibleText::join(&texts, self.config.caption_channels)?;
        text.projected(&self.caption_projection)
    }

    fn null_text_like(&self, prompt: &Tensor) -> Result<Tensor> {
        let (n, longest) = (prompt.dim(0)?, self.config.max_text_tokens);
        if n > longest {
            bail!(
                "a prompt has {n} tokens, but the model's unconditional text has {longest}; shorten the prompt"
            );
        }
        ops::beside(&self.null_text.narrow(0, 0, n)?, prompt)
    }
}

impl Transformer for OpenSora {
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

impl OpenSora {
    fn pass(&self, input: &StepInput<'_>) -> Result<OpenSoraPass<'_>> {
        let Some(facts) = input.video else {
            bail!(
                "an Open-Sora needs to know the video's size in pixels and its frames per second"
            );
        };
        let d = self.config.width;
        let text = self.text_of_branches(input)?;
        let n = text.n_samples();
        let n_frames = input.size.n_sequences();
        let t = self.timestep.forward(&[input.timestep as f32])?; // (1, D)
        let in_space = (&t + self.video.in_space(facts)?)?;
        let in_time = (&t + self.video.in_time(facts, n_frames)?)?;
        let shared = self
            .modulation
            .forward(&ops::silu(&in_space)?)?
            .reshape((6, d))?;
        let shared_in_time = self.modulation_in_time.forward(&ops::silu(&in_time)?)?;
        let shared_in_time = shared_in_time.reshape((3, d))?;
        let modulations = self.blocks.iter().map(|block| {
            Ok(BlockModulation {
                in_space: modulation(&block.table, &shared, n)?,
                in_time: modulation(&block.table_in_time, &shared_in_time, n)?,
            })
        });
        Ok(OpenSoraPass {
            model: self,
            grid: FrameGrid::new(input.size, self.config.patch_size),
            facts,
            text,
            rotations: Rotations::new(&self.rotary_frequencies, n_frames, t.device())?,
            modulations: modulations.collect::<Result<_>>()?,
            last_modulation: modulation(&self.last_table, &t, n)?,
        })
    }
}

/// Modulation of one block in one step; every tensor is (N, D).
struct BlockModulation {
    /// Shift, scale, gate for spatial attention; the same for the MLP.
    in_space: [Tensor; 6],
    /// Shift, scale, gate for temporal attention.
    in_time: [Tensor; 3],
}

/// What the blocks of one step share.
struct OpenSoraPass<'a> {
    model: &'a OpenSora,
    grid: FrameGrid,
    facts: VideoFacts,
    /// Projected text of both branches.
    text: VisibleText,
    rotations: Rotations,
    modulations: Vec<BlockModulation>,
    /// Shift and scale of the last norm, each (N, D).
    last_modulation: [Tensor; 2],
}

impl OpenSoraPass<'_> {
    /// Spatial attention with its norm, gate and skip connection.
    fn in_space(&self, block: Block, hidden: &Tensor, attend: &mut Attend<'_>) -> Result<Tensor> {
        let [shift, scale, gate, ..] = &self.modulations[block.0].in_space;
        let normed = ops::layer_norm_modulate(hidden, shift, scale, NORM_EPS)?; // (N, F·S, D)
        let (n, n_tokens, d) = normed.dims3()?;
        let frames = normed.reshape((n * self.grid.n_frames, self.grid.n_places(), d))?; // (N·F, S, D)
        let attention = attend(&self.model.blocks[block.0].spatial, &frames)?; // (N·F, S, D)
        ops::gated_skip(hidden, gate, &attention.reshape((n, n_tokens, d))?)
    }

    /// Temporal attention with its norm, gate and skip connection.
    fn in_time(&self, block: Block, hidden: &Tensor) -> Result<Tensor> {
        let [shift, scale, gate] = &self.modulations[block.0].in_time;
        let normed = ops::layer_norm_modulate(hidden, shift, scale, NORM_EPS)?; // (N, F·S, D)
        let layer = &self.model.blocks[block.0].temporal;
        ops::gated_skip(hidden, gate, &layer.forward(&normed, &self.rotations)?)
    }
}

impl ForwardPass for OpenSoraPass<'_> {
    fn of_samples<'b>(&self, samples: &Range<usize>) -> Result<Box<dyn ForwardPass + 'b>>
    where
        Self: 'b,
    {
        let modulations = self.modulations.iter().map(|modulation| {
            Ok(BlockModulation {
                in_space: rows(&modulation.in_space, samples)?,
                in_time: rows(&modulation.in_time, samples)?,
            })
        });
        Ok(Box::new(OpenSoraPass {
            model: self.model,
            grid: self.grid,
            facts: self.facts,
            text: self.text.of_samples(samples)?,
            rotations: self.rotations.clone(),
            modulations: modulations.collect::<Result<_>>()?,
            last_modulation: rows(&self.last_modulation, samples)?,
        }))
    }

    fn embed(&self, latent: &Tensor) -> Result<Tensor> {
        let n = self.text.n_samples();
        let patches = self.grid.patches_of(latent)?; // (N·F, S, C·p·p)
        let tokens = self.model.patch_embed.forward(&patches)?; // (N·F, S, D)
        let positions = self
            .grid
            .positions(&tokens, &self.model.config, self.facts)?; // (1, S, D)
        let (_, places, d) = tokens.dims3()?;
        let tokens = tokens.broadcast_add(&positions)?;
        tokens.reshape((n, self.grid.n_frames * places, d)) // (N, F·S, D)
    }

    fn block(&self, block: Block, hidden: &Tensor, attend: &mut Attend<'_>) -> Result<Tensor> {
        let layers = &self.model.blocks[block.0];
        let hidden = self.in_space(block, hidden, attend)?;
        let hidden = self.in_time(block, &hidden)?;

        // Neither norm nor gate.
        let hidden = (&hidden + layers.cross_attention.forward(&hidden, &self.text)?)?;

        let [.., shift, scale, gate] = &self.modulations[block.0].in_space;
        let normed = ops::layer_norm_modulate(&hidden, shift, scale, NORM_EPS)?;
        ops::gated_skip(&hidden, gate, &layers.mlp.forward(&normed)?)
    }

    fn output(&self, hidden: &Tensor) -> Result<Tensor> {
        let [shift, scale] = &self.last_modulation;
        let normed = ops::layer_norm_modulate(hidden, shift, scale, NORM_EPS)?;
        let patches = self.model.proj_out.forward(&normed)?; // (N, F·S, p·p·C_out)
        self.grid.latent_of(&patches)
    }
}
