//! A job as clients see it: a [`JobView`] is the answer of every route about one job.
//!
//! States go `queued` → `running` → one of `succeeded`, `failed`, `cancelled`, and never
//! back, with one exception: a worker that died puts a running job back to `queued`.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::wire::content_hash::ContentHash;
use crate::wire::job_id::JobId;
use crate::wire::job_request::{JobKind, JobRequest};
use crate::wire::report::Report;
use crate::wire::timestamp::Timestamp;

/// Where a job is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Accepted, waits for its turn.
    Queued,
    /// Runs.
    Running,
    /// Done; has a result.
    Succeeded,
    /// Ended without a result; has an error.
    Failed,
    /// Ended because somebody asked for it.
    Cancelled,
}

impl JobState {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Queued,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Whether nothing happens to the job any more.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// The string of JSON and queries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Text that names no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a state is queued, running, succeeded, failed or cancelled")]
pub struct UnknownState;

impl FromStr for JobState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        let mut all = Self::ALL.into_iter();
        all.find(|state| state.as_str() == text).ok_or(UnknownState)
    }
}

/// Text that names no kind of job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a kind is calibrate, generate or compare")]
pub struct UnknownKind;

impl FromStr for JobKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.as_str() == text).ok_or(UnknownKind)
    }
}

/// A job, everything that is known about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobView {
    /// Its name.
    pub id: JobId,
    /// What kind of job it is.
    pub kind: JobKind,
    /// Where it is in its life.
    pub state: JobState,
    /// What was asked for, with the defaults of its fields.
    pub request: JobRequest,
    /// Jobs before it in the queue, the running one not counted; only while `queued`.
    pub queue_position: Option<u32>,
    /// How far it is; only once it ran.
    pub progress: Option<JobProgress>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its last attempt began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// How often it began.
    pub attempts: u32,
    /// Whether somebody asked to cancel it.
    pub cancel_requested: bool,
    /// Why it failed or was cancelled.
    pub error: Option<JobError>,
    /// What it made; only of a job that succeeded.
    pub result: Option<JobResult>,
    /// Where to go from here.
    pub links: JobLinks,
}

/// What a running job works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobPhase {
    /// Reading the model's weights.
    Loading,
    /// Turning prompts into what the transformer reads.
    EncodingText,
    /// Choosing strategies.
    Calibrating,
    /// Making images without compression.
    GeneratingRaw,
    /// Making images with the plan.
    GeneratingCompressed,
    /// Turning latents into pictures.
    Decoding,
    /// Writing the results.
    Saving,
}

impl JobPhase {
    /// The string of JSON and of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::EncodingText => "encoding_text",
            Self::Calibrating => "calibrating",
            Self::GeneratingRaw => "generating_raw",
            Self::GeneratingCompressed => "generating_compressed",
            Self::Decoding => "decoding",
            Self::Saving => "saving",
        }
    }
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobProgress {
    /// What it works on.
    pub phase: JobPhase,
    /// Denoising steps that are done, in the batch at work.
    pub step: u32,
    /// Denoising steps of a batch.
    pub steps: u32,
    /// Blocks of the step at work that are decided; only while calibrating.
    pub block: Option<u32>,
    /// Blocks of the model; only while calibrating.
    pub blocks: Option<u32>,
    /// Batches that are done, raw and compressed counted apart.
    pub batch: u32,
    /// Batches of the job.
    pub batches: u32,
    /// Share of the whole job that is done, in [0, 1].
    pub done_share: f64,
    /// Seconds that are probably left, once enough is done to say it.
    pub eta_secs: Option<f64>,
}

/// Why a job has no result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobError {
    /// For programs.
    pub code: JobErrorCode,
    /// For people: what happened, and what to do.
    pub message: String,
}

/// The ways in which a job ends without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobErrorCode {
    /// Somebody cancelled it.
    Cancelled,
    /// The request cannot be done; it was possible when it was accepted.
    Invalid,
    /// The model folder cannot be used any more.
    ModelUnusable,
    /// The run failed: the numbers went out of range, or memory.
    RunFailed,
    /// Its plan is not in the library any more.
    PlanGone,
    /// The results could not be kept.
    StorageFailed,
    /// The worker died while it ran this job, more often than is tried.
    WorkerDied,
    /// A bug of the worker.
    Internal,
}

impl JobErrorCode {
    /// The string of JSON and of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Invalid => "invalid",
            Self::ModelUnusable => "model_unusable",
            Self::RunFailed => "run_failed",
            Self::PlanGone => "plan_gone",
            Self::StorageFailed => "storage_failed",
            Self::WorkerDied => "worker_died",
            Self::Internal => "internal",
        }
    }
}

/// What a job made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JobResult {
    /// The files it made, in a fixed order.
    pub artifacts: Vec<Artifact>,
    /// Id of the plan in the library: the one that was calibrated or used.
    pub plan: Option<ContentHash>,
    /// The numbers of a comparison.
    pub report: Option<Report>,
    /// Seconds that the job ran, model loading and saving included.
    pub run_secs: f64,
}

/// A file that a job made, named by its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// SHA-256 of its bytes, its name in the store.
    pub hash: ContentHash,
    /// What a person would call the file.
    pub name: String,
    /// What it is to the job.
    pub role: ArtifactRole,
    /// Its media type.
    pub media_type: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its index among the images of the run, if it is one image.
    pub image_index: Option<u32>,
    /// Where to get it.
    pub href: String,
}

/// What an artifact is to its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactRole {
    /// A plan file.
    Plan,
    /// An image of a generation.
    Image,
    /// An image without compression, of a comparison.
    RawImage,
    /// An image with the plan, of a comparison.
    CompressedImage,
    /// A video of a generation, an animated PNG.
    Video,
    /// The same video as MP4, where an encoder is at hand.
    VideoMp4,
    /// The frames of that video side by side, a still PNG.
    Strip,
    /// A video without compression, of a comparison.
    RawVideo,
    /// The frames of a video without compression, side by side.
    RawStrip,
    /// A video with the plan, of a comparison.
    CompressedVideo,
    /// The frames of a video with the plan, side by side.
    CompressedStrip,
    /// Raw, compressed and difference, all images in one picture.
    Grid,
    /// The comparison's numbers, JSON.
    Report,
    /// The comparison's report for people, HTML.
    ReportPage,
}

impl ArtifactRole {
    /// The string of JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Image => "image",
            Self::RawImage => "raw_image",
            Self::CompressedImage => "compressed_image",
            Self::Video => "video",
            Self::VideoMp4 => "video_mp4",
            Self::Strip => "strip",
            Self::RawVideo => "raw_video",
            Self::RawStrip => "raw_strip",
            Self::CompressedVideo => "compressed_video",
            Self::CompressedStrip => "compressed_strip",
            Self::Grid => "grid",
            Self::Report => "report",
            Self::ReportPage => "report_page",
        }
    }
}

/// Paths of the API that belong to a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobLinks {
    /// The job itself.
    #[serde(rename = "self")]
    pub this: String,
    /// Its events as a stream.
    pub events: String,
    /// Asks for its end.
    pub cancel: String,
}

impl JobLinks {
    /// The paths of a job.
    pub fn of(id: JobId) -> Self {
        let this = alloc::format!("/v1/jobs/{id}");
        Self {
            events: alloc::format!("{this}/events"),
            cancel: alloc::format!("{this}/cancel"),
            this,
        }
    }
}

/// The path of an artifact.
pub fn artifact_path(hash: ContentHash) -> String {
    alloc::format!("/v1/artifacts/{hash}")
}

/// A page of the list of jobs, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobList {
    /// The jobs.
    pub jobs: Vec<JobView>,
    /// What to ask with as `cursor` for the jobs after these; `null` at the end.
    pub next_cursor: Option<JobId>,
}

/// A plan of the library, without its cells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanView {
    /// SHA-256 of the plan file: its name in the library.
    pub id: ContentHash,
    /// [`plan_hash`](crate::wire::plan_hash): equal for equal strategies and windows.
    pub plan_hash: ContentHash,
    /// How it came into the library.
    pub origin: PlanOrigin,
    /// The job that made it, if one did.
    pub job: Option<JobId>,
    /// What people call the model it was made for.
    pub model: Option<String>,
    /// Denoising steps.
    pub n_steps: u32,
    /// Transformer blocks.
    pub n_blocks: u32,
    /// δ of its search.
    pub threshold: Option<f64>,
    /// When it came into the library.
    pub created_at: Timestamp,
    /// Size of its file.
    pub size_bytes: u64,
}

/// How a plan came into the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanOrigin {
    /// A calibration of this worker.
    Calibrated,
    /// Somebody brought it.
    Imported,
}

/// A page of the plan library, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanList {
    /// The plans.
    pub plans: Vec<PlanView>,
    /// What to ask with as `cursor` for the plans after these; `null` at the end.
    pub next_cursor: Option<String>,
}

#[cfg(test)]
mod tests;
