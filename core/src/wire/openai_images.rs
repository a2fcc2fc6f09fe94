//! OpenAI's request for images and its answer, with the extension names that other
//! diffusion servers use and one of our own, `plan`.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `POST /v1/images/generations`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ImagesRequest {
    /// What to draw: a class of the model, by name or index, or a text if it takes text.
    pub prompt: String,
    /// Id of a served model. Default: the first.
    #[serde(default)]
    pub model: Option<String>,
    /// Number of images. Default: 1.
    #[serde(default)]
    pub n: Option<u32>,
    /// `"WIDTHxHEIGHT"` or `"auto"`. Default: the model's.
    #[serde(default)]
    pub size: Option<String>,
    /// `url` or `b64_json`. Default: `url`.
    #[serde(default)]
    pub response_format: Option<String>,
    /// Only `png`.
    #[serde(default)]
    pub output_format: Option<String>,
    /// Who asks; read and not kept.
    #[serde(default)]
    pub user: Option<String>,
    /// What guidance leads away from. Means nothing to class-conditional models; named in
    /// `warnings` there if not empty.
    #[serde(default)]
    pub negative_prompt: Option<String>,
    /// Frames of a video.
    #[serde(default)]
    pub num_frames: Option<u32>,
    /// Frames per second of a video.
    #[serde(default)]
    pub fps: Option<f64>,
    /// Denoising steps.
    #[serde(default)]
    pub num_inference_steps: Option<u32>,
    /// Weight of classifier-free guidance.
    #[serde(default)]
    pub guidance_scale: Option<f64>,
    /// Seed of the noise. Default: 0.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Id of a plan of the library, or `none`.
    #[serde(default)]
    pub plan: Option<String>,
    /// What nobody here knows; named in `warnings`.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Value>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImagesResponse {
    /// Unix time of the answer, in seconds.
    pub created: u64,
    /// One entry per image.
    pub data: Vec<ImageData>,
    /// What was asked for and not done.
    pub warnings: Vec<String>,
}

/// One image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageData {
    /// Where to fetch it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The PNG in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b64_json: Option<String>,
}
