//! The plan file, version 1: a compression plan as JSON, with the losses it was chosen
//! by and the model and settings it was made for. `docs/plan-format.md` describes it.
//!
//! [`PlanFile`] is the file as written: its shape is JSON's, and nothing in it has been
//! checked. [`CheckedPlan`] is what it means. Reading goes [`PlanFile::parse`] (syntax,
//! format, version; stops at the first error) → [`PlanFile::check`] (meaning; reports
//! every problem), writing goes the other way. Nothing is said twice in a file except
//! the number of steps and blocks, which [`check`](PlanFile::check) compares.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::metric::LossKind;
use crate::plan::CompressionPlan;
use crate::search::SearchRecord;
use crate::window::Window;
use crate::wire::bounded::Rows;
use crate::wire::content_hash::{ContentHash, plan_hash};
use crate::wire::fingerprint::{Fingerprint, Provenance};

mod check;
mod problem;
mod write;

pub use problem::{PlanFileError, Problem, Problems};

/// The value of `format` in a plan file.
pub const PLAN_FORMAT: &str = "dfa-plan";
/// The version of the format that is read and written here.
pub const PLAN_VERSION: u64 = 1;
/// Longest plan file that is read, in bytes.
pub const MAX_PLAN_FILE_BYTES: usize = 64 << 20;
/// Most image tokens that a plan file may name.
pub const MAX_TOKENS: usize = 1 << 24;

/// A plan with everything that its file says about it, checked.
///
/// Built by hand it is as good as its parts; [`to_json`](Self::to_json) checks it, so
/// that a file that contradicts itself is never written.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedPlan {
    /// The strategies and the window.
    pub plan: CompressionPlan,
    /// The search that chose them; `None` for a plan made by hand or imported.
    pub search: Option<PlanSearch>,
    /// What the plan was made for; `None` for a plan made by hand or imported.
    pub fingerprint: Option<Fingerprint>,
    /// How the plan came to be.
    pub provenance: Option<Provenance>,
    /// The [`plan_hash`] of the plan that this one was edited from. The search, if any,
    /// then describes that plan: its choices need not be this plan's.
    pub edited_from: Option<ContentHash>,
    /// Free text.
    pub notes: Option<String>,
}

/// The search that a plan file records.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanSearch {
    /// The loss that was measured.
    pub loss: LossKind,
    /// Settings, measurements and choices.
    pub record: SearchRecord,
}

impl CheckedPlan {
    /// A plan about which nothing else is known: made by hand or imported.
    pub const fn bare(plan: CompressionPlan) -> Self {
        Self {
            plan,
            search: None,
            fingerprint: None,
            provenance: None,
            edited_from: None,
            notes: None,
        }
    }

    /// Reads and checks a plan file.
    ///
    /// # Errors
    /// [`PlanFileError`]; of a file that is readable but wrong it lists every problem.
    pub fn parse(text: &str) -> Result<Self, PlanFileError> {
        Ok(PlanFile::parse(text)?.check()?)
    }

    /// The text of the plan file, ending with a line break. The same plan always gives
    /// the same text: one line per step, so that two files can be compared by line.
    ///
    /// # Errors
    /// [`PlanFileError::Invalid`] if the parts contradict each other.
    pub fn to_json(&self) -> Result<String, PlanFileError> {
        let file = PlanFile::from(self);
        file.check()?;
        Ok(file.to_json())
    }

    /// The same file with another plan in it, marked as edited.
    #[must_use]
    pub fn with_edit(&self, plan: CompressionPlan) -> Self {
        Self {
            edited_from: Some(plan_hash(&self.plan)),
            plan,
            ..self.clone()
        }
    }
}

/// A plan file as written, not yet checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    /// [`PLAN_FORMAT`].
    pub format: String,
    /// [`PLAN_VERSION`].
    pub version: u64,
    /// Plan strings, `[step][block]`.
    pub strategies: Rows<String>,
    /// The window of window attention.
    pub window: WindowFields,
    /// The search that chose the strategies.
    #[serde(default)]
    pub search: Option<SearchFields>,
    /// What the plan was made for.
    #[serde(default)]
    pub fingerprint: Option<FingerprintFields>,
    /// How the plan came to be.
    #[serde(default)]
    pub provenance: Option<Provenance>,
    /// Hash of the plan that this one was edited from.
    #[serde(default)]
    pub edited_from: Option<String>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

/// `window` in a plan file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowFields {
    /// Keys before the query, the query itself not counted.
    pub left: usize,
    /// Keys after the query, the query itself not counted.
    pub right: usize,
}

/// `search` in a plan file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchFields {
    /// δ.
    pub threshold: f64,
    /// The loss: `relative` or `relative_signed`.
    pub loss: String,
    /// Candidates, in the order in which they are tried.
    pub candidates: Vec<String>,
    /// `exact`, `record-all` or `fast`.
    pub mode: String,
    /// What was measured, `[step][block]`, in the order of measurement.
    pub losses: Rows<Vec<LossFields>>,
}

/// One measured loss in a plan file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossFields {
    /// Plan string of the candidate.
    pub candidate: String,
    /// L(O, O′), or in mode `fast` the local loss.
    pub loss: f32,
    /// Whether the loss is at least this: the candidate was rejected before all of it was
    /// added up.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub at_least: bool,
}

/// `fingerprint` in a plan file. The number of blocks is that of `strategies`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FingerprintFields {
    /// 64 lower-case hexadecimal digits.
    pub weights_sha256: String,
    /// 64 lower-case hexadecimal digits.
    pub config_sha256: String,
    /// 64 lower-case hexadecimal digits.
    pub scheduler_sha256: String,
    /// N.
    pub n_tokens: usize,
    /// One timestep per step.
    pub timesteps: Vec<f64>,
    /// `ddim`, `dpm-solver++` or `iddpm`.
    pub sampler: String,
    /// Weight of classifier-free guidance.
    pub guidance_scale: f64,
    /// For example `f32`.
    pub dtype: String,
    /// `conditional` or `first`.
    pub residual_half: String,
}

/// The two fields that every version of the format has.
#[derive(Deserialize)]
struct Header {
    format: String,
    version: u64,
}

impl PlanFile {
    /// Reads the text of a plan file: JSON, of this format, of a known version, with the
    /// known fields. Grids larger than a plan may be are refused while they are read.
    ///
    /// # Errors
    /// [`PlanFileError`], at the first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, PlanFileError> {
        if text.len() > MAX_PLAN_FILE_BYTES {
            return Err(PlanFileError::TooLarge { found: text.len() });
        }
        let header: Header = serde_json::from_str(text).map_err(|error| not_a_plan(&error))?;
        if header.format != PLAN_FORMAT {
            let found = header.format.chars().take(40).collect();
            return Err(PlanFileError::UnknownFormat { found });
        }
        if header.version != PLAN_VERSION {
            let found = header.version;
            return Err(PlanFileError::UnknownVersion { found });
        }
        serde_json::from_str(text).map_err(|error| not_a_plan(&error))
    }
}

fn not_a_plan(error: &serde_json::Error) -> PlanFileError {
    PlanFileError::NotReadable {
        reason: alloc::format!("{error}"),
    }
}

impl From<Window> for WindowFields {
    fn from(Window { left, right }: Window) -> Self {
        Self { left, right }
    }
}

#[cfg(test)]
mod tests;
