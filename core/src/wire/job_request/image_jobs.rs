//! Jobs that make images: once, or raw and with a plan to be compared.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::DEFAULT_BATCH_SIZE;
use super::field_names::{FieldName, Label};
use crate::branch::ResidualHalf;
use crate::sampler::SamplerKind;
use crate::wire::as_text;
use crate::wire::content_hash::ContentHash;
use crate::wire::pixel_size::PixelSize;

/// Makes images, raw or with a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerateJob {
    /// Id of a served model.
    pub model: String,
    /// Classes to draw, indices or names; random from the seed if empty.
    #[serde(default)]
    pub labels: Vec<Label>,
    /// Texts to draw, one per image, for a model that takes text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<String>,
    /// Text that guidance leads away from. Default: empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negative_prompt: Option<String>,
    /// Number of images; labels and prompts are repeated. Default: one each, or 4.
    #[serde(default)]
    pub n_images: Option<u32>,
    /// Image size in pixels, `"WIDTHxHEIGHT"`. Default: the model's.
    #[serde(default, with = "as_text::optional")]
    pub size: Option<PixelSize>,
    /// Frames of a video. Default: 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_frames: Option<u32>,
    /// Frames per second of the footage that a video model imitates. Default: 24.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fps: Option<f64>,
    /// Denoising steps. Default: the plan's, or the family's.
    #[serde(default)]
    pub steps: Option<u32>,
    /// Sampler. Default: the plan's, or the model folder's.
    #[serde(default, with = "as_text::optional")]
    pub sampler: Option<SamplerKind>,
    /// Guidance scale; 1 or less turns guidance off. Default: the plan's, or the
    /// family's.
    #[serde(default)]
    pub guidance_scale: Option<f64>,
    /// Seed of noise and random labels.
    #[serde(default)]
    pub seed: u64,
    /// Half of the residual that `wa_rs+asc` uses. Default: the plan's, or conditional.
    #[serde(default, with = "as_text::optional")]
    pub residual_half: Option<ResidualHalf>,
    /// Id of a plan of the worker's library; without one nothing is compressed.
    #[serde(default)]
    pub plan: Option<ContentHash>,
    /// Fields of the plan's fingerprint that may differ from the run.
    #[serde(default)]
    pub allow_mismatch: Vec<FieldName>,
    /// Most images denoised at once.
    #[serde(default = "default_batch_size")]
    pub batch_size: u32,
}

/// Makes the same images raw and with a plan, and compares them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompareJob {
    /// Id of a served model.
    pub model: String,
    /// Classes to draw, indices or names; random from the seed if empty.
    #[serde(default)]
    pub labels: Vec<Label>,
    /// Texts to draw, one per image, for a model that takes text. Default:
    /// captions of our own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<String>,
    /// Text that guidance leads away from. Default: empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negative_prompt: Option<String>,
    /// Number of images; labels and prompts are repeated. Default: one each, or 8.
    #[serde(default)]
    pub n_images: Option<u32>,
    /// Image size in pixels, `"WIDTHxHEIGHT"`. Default: the model's.
    #[serde(default, with = "as_text::optional")]
    pub size: Option<PixelSize>,
    /// Frames of a video. Default: 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_frames: Option<u32>,
    /// Frames per second of the footage that a video model imitates. Default: 24.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fps: Option<f64>,
    /// Denoising steps. Default: the plan's.
    #[serde(default)]
    pub steps: Option<u32>,
    /// Sampler. Default: the plan's, or the model folder's.
    #[serde(default, with = "as_text::optional")]
    pub sampler: Option<SamplerKind>,
    /// Guidance scale; 1 or less turns guidance off. Default: the plan's, or the
    /// family's.
    #[serde(default)]
    pub guidance_scale: Option<f64>,
    /// Seed of noise and random labels.
    #[serde(default)]
    pub seed: u64,
    /// Half of the residual that `wa_rs+asc` uses. Default: the plan's, or conditional.
    #[serde(default, with = "as_text::optional")]
    pub residual_half: Option<ResidualHalf>,
    /// Id of a plan of the worker's library.
    pub plan: ContentHash,
    /// Fields of the plan's fingerprint that may differ from the run.
    #[serde(default)]
    pub allow_mismatch: Vec<FieldName>,
    /// Most images denoised at once.
    #[serde(default = "default_batch_size")]
    pub batch_size: u32,
}

const fn default_batch_size() -> u32 {
    DEFAULT_BATCH_SIZE
}
