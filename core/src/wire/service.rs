//! What a worker says about itself: models, capabilities, state. A page draws itself from
//! these.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::wire::content_hash::ContentHash;
use crate::wire::job_request::JobKind;
use crate::wire::pixel_size::PixelSize;

/// The models that are served; the outer shape is OpenAI's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelList {
    /// Always `list`.
    pub object: String,
    /// The models, the default one first.
    pub data: Vec<ModelView>,
}

/// A model that is served.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelView {
    /// What requests call it.
    pub id: String,
    /// Always `model`.
    pub object: String,
    /// Unix time at which the worker opened it, in seconds.
    pub created: u64,
    /// Always `local`: the folder is the operator's.
    pub owned_by: String,
    /// Its family, as people call it: `DiT`, `PixArt-Sigma`, `Open-Sora`.
    pub family: String,
    /// What says what it draws.
    pub takes: ModelTakes,
    /// What it makes.
    pub makes: ModelMakes,
    /// What a run of it takes where a request says nothing.
    pub defaults: ModelDefaults,
    /// SHA-256 of its weight files.
    pub weights_sha256: ContentHash,
    /// Transformer blocks.
    pub n_blocks: u32,
    /// Attention heads.
    pub n_heads: u32,
    /// Model width d.
    pub width: u32,
    /// Image tokens of one image, or of one frame, at its own size.
    pub n_tokens: u32,
    /// Its own image size, `"WIDTHxHEIGHT"`.
    #[serde(with = "crate::wire::as_text")]
    pub size: PixelSize,
    /// Sides of images are multiples of this.
    pub size_multiple: u32,
    /// Pixels of an image per pixel of the latent, on each side.
    pub pixels_per_latent: u32,
    /// Pixels of the latent per token, on each side.
    pub patch_size: u32,
    /// Its sampler where nothing says it.
    pub sampler: String,
    /// Classes that it can draw; 0 if it takes text.
    pub n_classes: u32,
    /// The classes that have names.
    pub classes: Vec<ClassView>,
}

/// What says what a model draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelTakes {
    /// Classes: `labels`.
    Classes,
    /// Text: `prompts` and `negative_prompt`.
    Text,
}

/// What a model makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelMakes {
    /// Images.
    Images,
    /// Videos: `num_frames` and `fps` mean something.
    Videos,
}

/// What a run of a model takes where a request says nothing: the paper's settings for the
/// model's family.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelDefaults {
    /// Denoising steps.
    pub steps: u32,
    /// Weight of classifier-free guidance.
    pub guidance_scale: f64,
    /// Inputs of a calibration.
    pub n_calibration_inputs: u32,
    /// Frames of a video; none if it makes images.
    pub num_frames: Option<u32>,
    /// Frames per second of a video; none if it makes images.
    pub fps: Option<f64>,
}

/// A class of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassView {
    /// Its index.
    pub index: u32,
    /// Its names, separated by commas; each of them can be asked for.
    pub name: String,
}

/// What a worker can do, within which limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Version of the worker.
    pub version: String,
    /// Kinds of jobs.
    pub kinds: Vec<JobKind>,
    /// The models that are served.
    pub models: Vec<ModelView>,
    /// Where they run.
    pub devices: Vec<DeviceView>,
    /// Strategies, with the paper's names.
    pub strategies: Vec<StrategyView>,
    /// Losses by name.
    pub losses: Vec<String>,
    /// Samplers by name.
    pub samplers: Vec<String>,
    /// Modes of the search by name.
    pub search_modes: Vec<String>,
    /// The paper's thresholds.
    pub thresholds: Vec<NamedThreshold>,
    /// What a request may ask for.
    pub limits: LimitsView,
    /// What is taken where a request says nothing.
    pub defaults: DefaultsView,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    /// For example `cpu`.
    pub id: String,
    /// For people.
    pub name: String,
}

/// A strategy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrategyView {
    /// Its string in plans.
    pub id: String,
    /// The paper's name.
    pub paper_name: String,
    /// Whether a search tries it.
    pub is_candidate: bool,
    /// Whether it needs a guided run.
    pub needs_guidance: bool,
}

/// A threshold with a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedThreshold {
    /// D1 to D6.
    pub name: String,
    /// δ.
    pub value: f64,
}

/// What a request may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsView {
    /// Jobs that may wait.
    pub max_queued_jobs: u32,
    /// Denoising steps.
    pub max_steps: u32,
    /// Images of a job.
    pub max_images: u32,
    /// Images denoised at once.
    pub max_batch_size: u32,
    /// Longest side of an image, in pixels.
    pub max_side: u32,
    /// Image tokens of one image, or of all frames of one video.
    pub max_tokens: u32,
    /// Frames of one video.
    pub max_frames: u32,
    /// Characters of one prompt.
    pub max_prompt_chars: u32,
    /// Bytes of a request's body.
    pub max_body_bytes: u64,
    /// Levels of a request's JSON.
    pub max_json_depth: u32,
}

/// What is taken where a request says nothing; steps and guidance are the first model's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DefaultsView {
    /// The first model.
    pub model: String,
    /// Denoising steps.
    pub steps: u32,
    /// Weight of classifier-free guidance.
    pub guidance_scale: f64,
    /// δ of a calibration.
    pub threshold: f64,
    /// The loss.
    pub loss: String,
    /// The window.
    pub window: String,
}

/// Which program this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerInfo {
    /// Always `dfa`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Ids of the models that are served.
    pub models: Vec<String>,
    /// Whether requests need a key.
    pub needs_key: bool,
    /// Seconds since it started.
    pub uptime_secs: u64,
    /// Jobs that wait.
    pub jobs_waiting: u32,
    /// Jobs that run.
    pub jobs_running: u32,
}

/// How a worker is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthView {
    /// Always `ok`; what is not well answers with an error.
    pub status: String,
    /// The device that was asked, where one was: `cpu`, `cuda:0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

/// A browser's exchange of a key for a cookie.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// The key that `Authorization: Bearer` would carry.
    pub api_key: String,
}
