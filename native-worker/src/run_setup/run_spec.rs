//! What a person asked for, before anything is checked.

use std::path::PathBuf;

use dfa_core::branch::ResidualHalf;
use dfa_core::sampler::SamplerKind;

use super::Purpose;
use crate::device::Placement;
use crate::tensor_file::TensorFile;

/// What a person asked for; nothing is checked yet.
#[derive(Clone, Debug)]
pub struct RunSpec {
    /// Model folder.
    pub model: PathBuf,
    /// Class indices or names; empty for random classes from the seed.
    pub labels: Vec<String>,
    /// Texts to draw, for a model that takes text.
    pub prompts: Vec<String>,
    /// What guidance leads away from; empty text if none.
    pub negative_prompt: Option<String>,
    /// Texts that somebody else encoded, instead of prompts.
    pub prompt_embeds: Option<TensorFile>,
    /// Number of images; labels and prompts are repeated in order. `None`: one per label or
    /// prompt, or as many as the purpose says.
    pub n_images: Option<usize>,
    /// What the run is for.
    pub purpose: Purpose,
    /// Start noise from a file; sets batch and size.
    pub latents: Option<TensorFile>,
    /// Noise of every step of an ancestral sampler, (steps, images, channels, …), instead of
    /// that of the seed.
    pub step_noise: Option<TensorFile>,
    /// Size in pixels, `(width, height)`.
    pub size: Option<(usize, usize)>,
    /// Draw at the nearest size that PixArt-Sigma was trained at, and cut to `size`.
    pub resolution_binning: bool,
    /// Frames of a video.
    pub n_frames: Option<usize>,
    /// Frames per second that a video model is told.
    pub fps: Option<f64>,
    /// Denoising steps; `None` for the family's.
    pub n_steps: Option<usize>,
    /// The sampler; `None` for the one of the model folder.
    pub sampler: Option<SamplerKind>,
    /// Guidance scale; `None` for the family's.
    pub guidance_scale: Option<f64>,
    /// Seed of noise and random labels.
    pub seed: u64,
    /// Which half of the residual `wa_rs+asc` uses.
    pub residual_half: ResidualHalf,
    /// Where the run computes. A model that is in memory is there already.
    pub placement: Placement,
}
