//! What a client asks a worker to do: a [`JobRequest`], told apart by its `kind`.
//!
//! Fields are those of the command line under the same names, with the same defaults.
//! Unknown fields are refused. Reading checks the form of each value (a threshold is a
//! finite number, a sampler is one of ours); whether model, labels, sizes and plan fit
//! together is decided by the worker, which knows the models.
//!
//! The fields that all three kinds have stand in each of them: `#[serde(flatten)]` of a
//! shared struct and `deny_unknown_fields` do not go together, and a misspelt field must
//! not be ignored. Those that only some models take are not written where they say nothing,
//! so that a request is kept as it was before they existed.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::branch::ResidualHalf;
use crate::metric::LossKind;
use crate::sampler::SamplerKind;
use crate::search::{Goal, SearchMode, Threshold};
use crate::strategy::Strategy;
use crate::window::WindowChoice;
use crate::wire::as_text;
use crate::wire::content_hash::ContentHash;
use crate::wire::fingerprint::FingerprintField;
use crate::wire::pixel_size::PixelSize;

/// Images denoised at once where nothing says it.
pub const DEFAULT_BATCH_SIZE: u32 = 8;
/// Most characters of a prompt, wherever one is taken or recorded.
pub const MAX_PROMPT_CHARS: u32 = 65_536;

/// A job, as asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum JobRequest {
    /// Make a compression plan.
    Calibrate(CalibrateJob),
    /// Make images, raw or with a plan.
    Generate(GenerateJob),
    /// Make the same images raw and with a plan, and compare.
    Compare(CompareJob),
}

/// The kinds of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Make a compression plan.
    Calibrate,
    /// Make images.
    Generate,
    /// Make images twice and compare.
    Compare,
}

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

impl JobRequest {
    /// What kind of job it is.
    pub const fn kind(&self) -> JobKind {
        match self {
            Self::Calibrate(_) => JobKind::Calibrate,
            Self::Generate(_) => JobKind::Generate,
            Self::Compare(_) => JobKind::Compare,
        }
    }

    /// The id of the model it is for.
    pub fn model(&self) -> &str {
        match self {
            Self::Calibrate(job) => &job.model,
            Self::Generate(job) => &job.model,
            Self::Compare(job) => &job.model,
        }
    }

    /// The texts that it draws.
    pub fn prompts(&self) -> &[String] {
        match self {
            Self::Calibrate(job) => &job.prompts,
            Self::Generate(job) => &job.prompts,
            Self::Compare(job) => &job.prompts,
        }
    }

    /// The text that guidance leads away from.
    pub fn negative_prompt(&self) -> Option<&str> {
        let negative = match self {
            Self::Calibrate(job) => &job.negative_prompt,
            Self::Generate(job) => &job.negative_prompt,
            Self::Compare(job) => &job.negative_prompt,
        };
        negative.as_deref()
    }

    /// The id of the plan it uses.
    pub const fn plan(&self) -> Option<ContentHash> {
        match self {
            Self::Calibrate(_) => None,
            Self::Generate(job) => job.plan,
            Self::Compare(job) => Some(job.plan),
        }
    }
}

impl JobKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Calibrate, Self::Generate, Self::Compare];

    /// The string of JSON and queries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calibrate => "calibrate",
            Self::Generate => "generate",
            Self::Compare => "compare",
        }
    }
}

impl fmt::Display for JobKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl CalibrateJob {
    /// δ where no target is given.
    pub fn threshold_or_default(&self) -> Threshold {
        self.threshold.unwrap_or_else(default_threshold)
    }
}

/// A class: its index, or a name of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Label {
    /// The class's index.
    Index(u32),
    /// One of its names, whatever the case; or its index as text.
    Name(String),
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => index.fmt(f),
            Self::Name(name) => f.pad(name),
        }
    }
}

/// A strategy by its plan string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrategyName(#[serde(with = "as_text")] pub Strategy);

/// A field of a plan's fingerprint by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldName(#[serde(with = "as_text")] pub FingerprintField);

/// The paper's D2, as on the command line.
fn default_threshold() -> Threshold {
    Threshold::named().nth(1).map_or_else(
        || unreachable!("the paper names six thresholds"),
        |(_, threshold)| threshold,
    )
}

const fn default_batch_size() -> u32 {
    DEFAULT_BATCH_SIZE
}

mod search_mode {
    use super::*;

    pub(super) fn serialize<S: Serializer>(
        mode: &SearchMode,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(mode.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SearchMode, D::Error> {
        let text = alloc::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let mode = SearchMode::ALL
            .into_iter()
            .find(|mode| mode.as_str() == text);
        mode.ok_or_else(|| D::Error::custom("search is exact, record-all or fast"))
    }
}

/// A value that is a number or a text in JSON; both go through the type's own reader.
struct NumberOrText;

enum Either {
    Whole(u64),
    Fraction(f64),
    Text(String),
}

impl Visitor<'_> for NumberOrText {
    type Value = Either;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or a string")
    }

    fn visit_u64<E>(self, value: u64) -> Result<Either, E> {
        Ok(Either::Whole(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Either, E> {
        Ok(u64::try_from(value).map_or(Either::Fraction(value as f64), Either::Whole))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Either, E> {
        Ok(Either::Fraction(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Either, E> {
        Ok(Either::Text(value.into()))
    }
}

mod number_or_name {
    use super::*;

    pub(super) fn serialize<S: Serializer>(
        threshold: &Option<Threshold>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match threshold {
            Some(threshold) => serializer.serialize_f64(threshold.value()),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Threshold>, D::Error> {
        let given = Option::<Given>::deserialize(deserializer)?;
        Ok(given.map(|Given(threshold)| threshold))
    }

    struct Given(Threshold);

    impl<'de> Deserialize<'de> for Given {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let read = match deserializer.deserialize_any(NumberOrText)? {
                Either::Whole(value) => Threshold::new(value as f64),
                Either::Fraction(value) => Threshold::new(value),
                Either::Text(text) => text.parse(),
            };
            read.map(Self).map_err(D::Error::custom)
        }
    }
}

mod window_choice {
    use super::*;

    pub(super) fn serialize<S: Serializer>(
        window: &WindowChoice,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        as_text::serialize(window, serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<WindowChoice, D::Error> {
        let text = match deserializer.deserialize_any(NumberOrText)? {
            Either::Whole(side) => alloc::format!("{side}"),
            Either::Fraction(number) => alloc::format!("{number}"),
            Either::Text(text) => text,
        };
        text.parse().map_err(D::Error::custom)
    }
}
