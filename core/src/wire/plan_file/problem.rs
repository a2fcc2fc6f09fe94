//! What can be wrong with a plan file.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::grid::{Block, Step};
use crate::plan::PlanError;
use crate::search::CandidateError;
use crate::strategy::Strategy;
use crate::wire::plan_file::{MAX_PLAN_FILE_BYTES, PLAN_FORMAT, PLAN_VERSION};

/// Why a plan file is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlanFileError {
    /// Longer than any plan.
    #[error("a plan file has at most {MAX_PLAN_FILE_BYTES} bytes, found {found}")]
    TooLarge {
        /// Bytes found.
        found: usize,
    },
    /// Not JSON, a missing or unknown field, or a value of the wrong type.
    #[error("not a readable plan file: {reason}; docs/plan-format.md describes the format")]
    NotReadable {
        /// What the JSON reader says, with line and column.
        reason: String,
    },
    /// JSON, but of something else.
    #[error("not a plan file: its format is {found:?}, expected {PLAN_FORMAT:?}")]
    UnknownFormat {
        /// The format found, shortened to 40 characters.
        found: String,
    },
    /// A plan file of another version.
    #[error(
        "plan file version {found} is not known here (this program reads version {PLAN_VERSION}); \
         use a newer program or calibrate again"
    )]
    UnknownVersion {
        /// The version found.
        found: u64,
    },
    /// Readable, but wrong.
    #[error(transparent)]
    Invalid(#[from] Problems),
}

/// Everything that is wrong with a readable plan file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

/// Problems shown before the rest is only counted.
const MAX_SHOWN: usize = 20;

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_problems = self.0.len();
        let noun = if n_problems == 1 {
            "problem"
        } else {
            "problems"
        };
        write!(f, "the plan file has {n_problems} {noun}:")?;
        for problem in self.0.iter().take(MAX_SHOWN) {
            write!(f, "\n  {problem}")?;
        }
        if n_problems > MAX_SHOWN {
            write!(f, "\n  and {} more", n_problems - MAX_SHOWN)?;
        }
        Ok(())
    }
}

/// One thing that is wrong, and where: `place` is the path of the JSON value.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Problem {
    /// A word that is not one of those allowed there.
    #[error("{place}: {reason}")]
    BadWord {
        /// Where.
        place: String,
        /// What is wrong with it and what is expected.
        reason: String,
    },
    /// A number outside its range.
    #[error("{place}: must be {expected}, found {found}")]
    OutOfRange {
        /// Where.
        place: String,
        /// What is allowed.
        expected: &'static str,
        /// What was found.
        found: String,
    },
    /// A list with the wrong number of entries.
    #[error("{place}: must have {expected} entries ({because}), found {found}")]
    WrongLength {
        /// Where.
        place: String,
        /// Entries expected.
        expected: usize,
        /// Entries found.
        found: usize,
        /// What fixes the number.
        because: &'static str,
    },
    /// The grid breaks a rule of plans.
    #[error("strategies: {0}")]
    Plan(#[from] PlanError),
    /// The candidates cannot be searched.
    #[error("search.candidates: {0}")]
    Candidates(#[from] CandidateError),
    /// A strategy that shares the conditional branch in an unguided run.
    #[error(
        "strategies[{}][{}]: {strategy} shares the conditional branch, but \
         fingerprint.guidance_scale of 1 or less means that there is only one branch",
        step.0, block.0
    )]
    NeedsGuidance {
        /// Step of the cell.
        step: Step,
        /// Block of the cell.
        block: Block,
        /// Its strategy.
        strategy: Strategy,
    },
    /// A window wider than the sequence.
    #[error("window.{side}: must be at most fingerprint.n_tokens = {n_tokens}, found {found}")]
    WindowTooWide {
        /// `left` or `right`.
        side: &'static str,
        /// Keys on that side.
        found: usize,
        /// Tokens of the model.
        n_tokens: usize,
    },
    /// The candidates of a cell were not measured in the order and number that the mode
    /// and the losses dictate.
    #[error(
        "search.losses[{}][{}]: {} is not what the search measures there: {expected}",
        step.0, block.0, describe_measured(found)
    )]
    WrongMeasurements {
        /// Step of the cell.
        step: Step,
        /// Block of the cell.
        block: Block,
        /// Candidates in the order found.
        found: Vec<Strategy>,
        /// What would be right.
        expected: &'static str,
    },
    /// A choice that the losses and the budget do not give.
    #[error(
        "strategies[{}][{}] is {found}, but by search.losses and the threshold it is {expected}; \
         a plan changed by hand must name the plan it comes from in edited_from",
        step.0, block.0
    )]
    ContradictsLosses {
        /// Step of the cell.
        step: Step,
        /// Block of the cell.
        block: Block,
        /// The strategy in the file.
        found: Strategy,
        /// The strategy that Algorithm 1 chooses.
        expected: Strategy,
    },
}

fn describe_measured(found: &[Strategy]) -> String {
    let words: Vec<&str> = found.iter().map(|strategy| strategy.as_str()).collect();
    alloc::format!("[{}]", words.join(", "))
}
