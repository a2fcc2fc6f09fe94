//! A job that makes a compression plan.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::field_forms::{number_or_name, search_mode, window_choice};
use super::field_names::{Label, StrategyName};
use crate::branch::ResidualHalf;
use crate::metric::LossKind;
use crate::sampler::SamplerKind;
use crate::search::{Goal, SearchMode, Threshold};
use crate::window::WindowChoice;
use crate::wire::as_text;
use crate::wire::pixel_size::PixelSize;

/// Makes a compression plan by calibration (Algorithm 1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrateJob {
    /// Id of a served model.
    pub model: String,
    /// Classes of the calibration inputs, indices or names; random from the seed if empty.
    #[serde(default)]
    pub labels: Vec<Label>,
    /// Texts to draw, one per image, for a model that takes text. Default:
    /// captions of our own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<String>,
    /// Text that guidance leads away from. Default: empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negative_prompt: Option<String>,
    /// Number of calibration inputs; labels and prompts are repeated. Default: one each, or
    /// as many as the paper takes for the model's family.
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
    /// Denoising steps. Default: the family's.
    #[serde(default)]
    pub steps: Option<u32>,
    /// Sampler. Default: the model folder's.
    #[serde(default, with = "as_text::optional")]
    pub sampler: Option<SamplerKind>,
    /// Guidance scale; 1 or less turns guidance off. Default: the family's.
    #[serde(default)]
    pub guidance_scale: Option<f64>,
    /// Seed of noise and random labels.
    #[serde(default)]
    pub seed: u64,
    /// Half of the residual that `wa_rs+asc` uses. Default: conditional.
    #[serde(default, with = "as_text::optional")]
    pub residual_half: Option<ResidualHalf>,
    /// δ: a number, or the paper's D1 to D6. Default: D2, unless there is a target.
    #[serde(
        default,
        with = "number_or_name",
        skip_serializing_if = "Option::is_none"
    )]
    pub threshold: Option<Threshold>,
    /// What the plan is to reach, instead of a threshold: `macs=50%`, `speedup=1.5` or
    /// `psnr>=30`.
    #[serde(
        default,
        with = "as_text::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub target: Option<Goal>,
    /// Keys on each side: a number, a share of the tokens like `"1/8"`, or `"LEFT,RIGHT"`.
    #[serde(default, with = "window_choice")]
    pub window: WindowChoice,
    /// The loss that is compared with the budgets.
    #[serde(default, with = "as_text")]
    pub loss: LossKind,
    /// Candidates in the order in which they are tried. Default: all that the run allows.
    #[serde(default)]
    pub candidates: Option<Vec<StrategyName>>,
    /// `exact`, `record-all` for plans that can be decided again at any threshold, or `fast`
    /// for a first look.
    #[serde(default, with = "search_mode")]
    pub search: SearchMode,
    /// With `exact`: give a candidate up as soon as its loss is certain to be over budget.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub reject_early: bool,
}

impl CalibrateJob {
    /// δ where no target is given.
    pub fn threshold_or_default(&self) -> Threshold {
        self.threshold.unwrap_or_else(default_threshold)
    }
}

/// The paper's D2, as on the command line.
fn default_threshold() -> Threshold {
    Threshold::named().nth(1).map_or_else(
        || unreachable!("the paper names six thresholds"),
        |(_, threshold)| threshold,
    )
}
