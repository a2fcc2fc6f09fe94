//! The plan library: plans by id, from calibrations and from people.

use dfa_core::Window;
use dfa_core::wire::job::PlanView;
use dfa_core::wire::{CheckedPlan, ContentHash};

use super::store::StoreError;

/// A plan of the library.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredPlan {
    /// What is known about it.
    pub view: PlanView,
    /// The plan.
    pub checked: CheckedPlan,
    /// Its file; its SHA-256 is the plan's id.
    pub text: String,
}

/// A format of plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanFormat {
    /// This project's plan file.
    Json,
    /// One line per cell.
    Csv,
    /// xDiT's JSON.
    Xdit,
    /// The reference's pickle in a zip.
    Reference,
}

/// How a foreign plan is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportSettings {
    /// The format; found in the content if not given.
    pub format: Option<PlanFormat>,
    /// The window, which foreign files do not have. Default: an eighth of `n_tokens`.
    pub window: Option<Window>,
    /// Image tokens of the model.
    pub n_tokens: Option<usize>,
}

/// A plan that came into the library, and what is not known about it.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedPlan {
    /// The plan.
    pub plan: PlanView,
    /// Whether it was there before.
    pub is_new: bool,
    /// What the file does not say.
    pub warnings: Vec<String>,
}

/// Why there is no such plan, or none could be made of a file.
#[derive(Debug, thiserror::Error)]
pub enum PlanLibraryError {
    /// Not in the library (404).
    #[error("there is no plan {0} in the library; GET /v1/plans lists them")]
    Unknown(ContentHash),
    /// The file is no plan; every problem, one per line (400).
    #[error("{}", problems.join("\n"))]
    Unreadable {
        /// What is wrong.
        problems: Vec<String>,
    },
    /// The database failed (500).
    #[error(transparent)]
    Store(#[from] StoreError),
}
