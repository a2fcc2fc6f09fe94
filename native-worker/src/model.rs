//! The networks. [`Transformer`] is all that calibration, generation and jobs know of a
//! model family.
//!
//! Shape letters, here and below: `N` batch (both branches, conditional first), `T` tokens,
//! `D` width, `H` heads, `d` head size (D = H·d), `C` latent channels.
//!
//! - [`dit`]: DiT with adaLN-Zero, class-conditional.
//! - [`embed`]: patches, positions and timestep features.
//! - [`linear`]: a linear layer and how it is loaded.

use candle_core::{Result, Tensor};
use dfa_core::Block;

use crate::attention::SelfAttention;

pub mod dit;
pub mod embed;
pub mod linear;
pub mod vae;

/// Sizes of a loaded transformer.
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
    /// Channels of the output, at least C; the first C go to the sampler.
    pub out_channels: usize,
    /// Side of a patch.
    pub patch_size: usize,
    /// The size the model was trained for.
    pub native_size: LatentSize,
    /// Classes, the null class not counted; the null class has this index.
    pub n_classes: u32,
}

impl Geometry {
    /// D = H·d.
    pub fn width(&self) -> usize {
        self.n_heads * self.head_size
    }

    /// T for a latent of `size`, which must be a multiple of the patch.
    pub fn n_tokens(&self, size: LatentSize) -> usize {
        (size.height / self.patch_size) * (size.width / self.patch_size)
    }
}

/// Height and width of a latent, in latent pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatentSize {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl std::fmt::Display for LatentSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// What a forward pass is conditioned on, besides the latent.
#[derive(Clone, Debug)]
pub struct StepInput {
    /// Noise level on the training scale, 0..1000.
    pub timestep: u32,
    /// One class per image of the batch, both branches: N entries.
    pub labels: Vec<u32>,
    /// Size of the latent.
    pub size: LatentSize,
}

/// Computes one self-attention layer: `(layer, input (N, T, D)) -> output (N, T, D)`.
/// The caller decides how, by the strategy of the current step and block.
pub type Attend<'a> = dyn FnMut(&SelfAttention, &Tensor) -> Result<Tensor> + 'a;

/// A Diffusion Transformer, cut where Algorithm 1 needs it cut: at its blocks.
///
/// A forward pass is `embed`, then `block` for every block in order, then `output`.
/// A model never changes after loading; whatever a run remembers belongs to the caller.
pub trait Transformer: Send + Sync {
    /// Sizes.
    fn geometry(&self) -> &Geometry;

    /// Latent (N, C, height, width) → hidden state (N, T, D).
    ///
    /// # Errors
    /// If the latent does not have the shape that `input` says.
    fn embed(&self, latent: &Tensor, input: &StepInput) -> Result<Tensor>;

    /// One block, hidden state (N, T, D) → (N, T, D). Calls `attend` once, for the
    /// self-attention layer that the method compresses.
    ///
    /// # Errors
    /// Whatever `attend` fails with.
    fn block(
        &self,
        block: Block,
        hidden: &Tensor,
        input: &StepInput,
        attend: &mut Attend<'_>,
    ) -> Result<Tensor>;

    /// Hidden state (N, T, D) → model output (N, out channels, height, width).
    ///
    /// # Errors
    /// If the hidden state has the wrong shape.
    fn output(&self, hidden: &Tensor, input: &StepInput) -> Result<Tensor>;
}
