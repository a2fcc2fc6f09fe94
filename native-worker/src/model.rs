//! The networks. [`Transformer`] is all that calibration, generation and jobs know of a
//! model family.
//!
//! Shape letters, here and below: `N` batch (both branches, conditional first), `T` tokens,
//! `D` width, `H` heads, `d` head size (D = H·d), `C` latent channels, `F` frames of a
//! video, `L` text tokens, `E` text width.
//!
//! - [`condition`]: what the images of a batch are to show.
//! - [`dit`]: DiT with adaLN-Zero, class-conditional.
//! - [`pixart`]: PixArt-Sigma, conditioned on text.
//! - [`open_sora`]: STDiT2 of Open-Sora 1.1, videos of a text.
//! - [`adaln_single`]: the modulation that networks with text have.
//! - [`visible_text`], [`cross_attention`]: the text of a batch, and attention to it.
//! - [`embed`]: patches, positions and features of numbers.
//! - [`linear`], [`mlp`], [`qk_norm`]: layers and how they are loaded.
//! - [`vae`]: the image autoencoder.

use std::ops::Range;

use candle_core::{Device, Result, Tensor};
use dfa_core::Block;

use crate::attention::SelfAttention;

pub mod adaln_single;
pub mod condition;
pub mod cross_attention;
pub mod dit;
pub mod embed;
pub mod linear;
pub mod mlp;
pub mod open_sora;
pub mod pixart;
pub mod qk_norm;
pub mod vae;
pub mod visible_text;

pub use condition::{Condition, TextCondition};

/// Sizes of a transformer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// M: transformer blocks.
    pub n_blocks: usize,
    /// H.
    pub n_heads: usize,
    /// d.
    pub head_size: usize,
    /// C: channels of the latent.
    pub in_channels: usize,
    /// Channels of the output: C, or 2C with a learned variance.
    pub out_channels: usize,
    /// Channels that guidance extrapolates, at most C; the others are the conditional
    /// branch's.
    pub guided_channels: usize,
    /// Side of a patch.
    pub patch_size: usize,
    /// The size the model was trained for.
    pub native_size: LatentSize,
}

impl Geometry {
    /// D = H·d.
    pub fn width(&self) -> usize {
        self.n_heads * self.head_size
    }

    /// T of the self-attention layers that are compressed: the patches of an image, or of
    /// one frame. A patch that the latent does not fill counts.
    pub fn n_tokens(&self, size: LatentSize) -> usize {
        size.height.div_ceil(self.patch_size) * size.width.div_ceil(self.patch_size)
    }
}

/// Size of a latent, in latent pixels. A latent is (B, C, h, w), that of a video
/// (B, C, F, h, w).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatentSize {
    /// F, for a video; none for an image.
    pub frames: Option<usize>,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl LatentSize {
    /// The size of an image's latent.
    pub const fn image(height: usize, width: usize) -> Self {
        Self {
            frames: None,
            height,
            width,
        }
    }

    /// The shape of `n` latents of `n_channels`.
    pub fn dims(self, n: usize, n_channels: usize) -> Vec<usize> {
        let frames = self.frames.into_iter();
        let sides = [self.height, self.width];
        [n, n_channels]
            .into_iter()
            .chain(frames)
            .chain(sides)
            .collect()
    }

    /// Sequences that a compressed layer sees of one sample: an image is one, a video one
    /// per frame.
    pub fn n_sequences(self) -> usize {
        self.frames.unwrap_or(1)
    }
}

impl std::fmt::Display for LatentSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.width, self.height)?;
        match self.frames {
            Some(frames) => write!(f, ", {frames} frames"),
            None => Ok(()),
        }
    }
}

/// What a video model is told about the video besides the latent's size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VideoFacts {
    /// Height that was asked for, in pixels.
    pub height: usize,
    /// Width that was asked for, in pixels.
    pub width: usize,
    /// Frames per second of the footage that the model imitates.
    pub fps: f64,
}

/// What a forward pass is conditioned on, besides the latent.
#[derive(Clone, Copy, Debug)]
pub struct StepInput<'a> {
    /// Noise level on the training scale, 0..1000.
    pub timestep: u32,
    /// What the B images of the batch show.
    pub condition: &'a Condition,
    /// Whether the batch holds two branches, `[cond; uncond]`: N is then 2B, else B.
    pub guided: bool,
    /// Size of the latent.
    pub size: LatentSize,
    /// For videos.
    pub video: Option<VideoFacts>,
}

/// Computes one self-attention layer: `(layer, input (N, T, D)) -> output (N, T, D)`.
/// The caller decides how, by the strategy of the current step and block. A video's frames
/// count as images of their own here, those of a branch together.
pub type Attend<'a> = dyn FnMut(&SelfAttention, &Tensor) -> Result<Tensor> + 'a;

/// A Diffusion Transformer. It never changes after loading; whatever a run remembers
/// belongs to the caller.
pub trait Transformer: Send + Sync {
    /// Sizes.
    fn geometry(&self) -> &Geometry;

    /// Where the weights are, and so what its layers leave behind.
    fn device(&self) -> &Device;

    /// Begins the forward passes of a step: makes what all its blocks share, such as
    /// modulation and projected text. The family knows what its unconditional branch is.
    ///
    /// # Errors
    /// If the input is not what this family takes.
    fn begin<'a>(&'a self, input: &StepInput<'_>) -> Result<Box<dyn ForwardPass + 'a>>;
}

/// Rows of tensors that hold one row per sample.
fn rows<const K: usize>(tensors: &[Tensor; K], samples: &Range<usize>) -> Result<[Tensor; K]> {
    let rows = tensors
        .iter()
        .map(|tensor| tensor.narrow(0, samples.start, samples.len()));
    let rows: Vec<Tensor> = rows.collect::<Result<_>>()?;
    rows.try_into()
        .map_err(|_| candle_core::Error::Msg(format!("expected {K} tensors")))
}

/// A step's forward pass, cut where Algorithm 1 needs it cut: `embed`, then `block` for
/// every block in order, then `output`. Nothing changes in it: a block may be asked again
/// with another hidden state or another strategy.
pub trait ForwardPass {
    /// The pass over some of the batch's samples, a range of 0..N: it gives the bits that the
    /// whole one gives for them, because no sample sees another.
    ///
    /// # Errors
    /// If the range goes beyond the batch.
    fn of_samples<'a>(&self, samples: &Range<usize>) -> Result<Box<dyn ForwardPass + 'a>>
    where
        Self: 'a;

    /// Latent of all branches (N, C, …) → hidden state (N, T, D).
    ///
    /// # Errors
    /// If the latent does not have the shape that the step's input says.
    fn embed(&self, latent: &Tensor) -> Result<Tensor>;

    /// One block, hidden state (N, T, D) → (N, T, D). Calls `attend` once, for the
    /// self-attention layer that the method compresses.
    ///
    /// # Errors
    /// Whatever `attend` fails with.
    fn block(&self, block: Block, hidden: &Tensor, attend: &mut Attend<'_>) -> Result<Tensor>;

    /// Hidden state (N, T, D) → model output (N, out channels, …).
    ///
    /// # Errors
    /// If the hidden state has the wrong shape.
    fn output(&self, hidden: &Tensor) -> Result<Tensor>;
}
