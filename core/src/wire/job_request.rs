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
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::wire::content_hash::ContentHash;

mod calibrate_job;
mod field_forms;
mod field_names;
mod image_jobs;

pub use calibrate_job::CalibrateJob;
pub use field_names::{FieldName, Label, StrategyName};
pub use image_jobs::{CompareJob, GenerateJob};

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
