//! Algorithm 1 of the paper: choose, step by step and block by block, the strongest
//! saving whose loss stays under the block's budget.
//!
//! The search asks questions and never touches a model: whoever calls it answers
//! "what is the loss of this candidate?" through [`CandidateLosses`], a test from a
//! table and the engine from forward passes. It goes one step at a time
//! ([`search_step`]), so that a long calibration can save its state between steps.
//!
//! - [`record`]: what was measured, with budgets and choices.
//! - [`redecide`](mod@redecide): the plan the same losses give at another threshold.
//! - [`goal`]: the threshold that suits what a plan is wanted to reach.

use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::grid::{Block, Step};
use crate::strategy::Strategy;

pub mod goal;
pub mod record;
pub mod redecide;

pub use goal::{BadGoal, Goal, Quantity, Suited};
pub use record::{CellRecord, MeasuredLoss, SearchRecord};
pub use redecide::{Redecision, redecide};

/// Threshold δ of Algorithm 1: finite and not negative.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Threshold(f64);

/// The paper's settings D1..D6 (its section 4.1).
const NAMED_THRESHOLDS: [(&str, f64); 6] = [
    ("D1", 0.025),
    ("D2", 0.05),
    ("D3", 0.075),
    ("D4", 0.10),
    ("D5", 0.125),
    ("D6", 0.15),
];

impl Threshold {
    /// Nothing passes: every cell stays `full`.
    pub const ZERO: Self = Self(0.0);

    /// A threshold from its value.
    ///
    /// # Errors
    /// [`BadThreshold`] unless `value` is finite and at least 0.
    pub fn new(value: f64) -> Result<Self, BadThreshold> {
        if value.is_finite() && value >= 0.0 {
            Ok(Self(value))
        } else {
            Err(BadThreshold)
        }
    }

    /// δ.
    pub const fn value(self) -> f64 {
        self.0
    }

    /// The paper's settings D1 to D6, by name.
    pub fn named() -> impl Iterator<Item = (&'static str, Self)> {
        NAMED_THRESHOLDS
            .into_iter()
            .map(|(name, value)| (name, Self(value)))
    }

    /// The budget of one block, `(i+1)/M · δ`: a line that opens with depth, because the
    /// loss measures everything chosen so far in this step (paper, Algorithm 1).
    pub fn block_budget(self, block: Block, n_blocks: usize) -> f64 {
        (block.0 + 1) as f64 / n_blocks as f64 * self.0
    }
}

/// A threshold that is not finite, negative, or not one of D1..D6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a threshold is a finite number of at least 0, or one of the paper's D1 to D6")]
pub struct BadThreshold;

impl FromStr for Threshold {
    type Err = BadThreshold;

    fn from_str(text: &str) -> Result<Self, BadThreshold> {
        if let Some((_, named)) = Self::named().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            return Ok(named);
        }
        Self::new(text.trim().parse().map_err(|_| BadThreshold)?)
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which candidates of a cell are measured, and by what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SearchMode {
    /// Algorithm 1 as in the paper: stop at the first candidate under budget.
    #[default]
    Exact,
    /// Measure every candidate of every cell, and choose as `Exact` does. Costs more
    /// forward passes; the record can then be decided again at any threshold.
    RecordAll,
    /// A first look, not Algorithm 1: losses are added up from the layers' own errors instead
    /// of measured on the output. One forward pass per step; every candidate is measured.
    Fast,
}

impl SearchMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Exact, Self::RecordAll, Self::Fast];

    /// The string of plan files, flags and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::RecordAll => "record-all",
            Self::Fast => "fast",
        }
    }

    /// Whether a cell's measurements end with the first candidate under budget.
    pub const fn stops_at_winner(self) -> bool {
        matches!(self, Self::Exact)
    }
}

/// What one search is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchSettings {
    /// δ.
    pub threshold: Threshold,
    /// Candidates in the order in which they are tried, without repetition.
    pub candidates: Vec<Strategy>,
    /// Which of them are measured.
    pub mode: SearchMode,
}

/// Why a list of candidates cannot be searched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CandidateError {
    /// A candidate is listed twice.
    #[error("candidate {0} is listed twice")]
    Repeated(Strategy),
    /// `full` is what remains when nothing passes, not a candidate.
    #[error("full is not a candidate: it is what a cell gets when no candidate passes")]
    Full,
    /// ASC without classifier-free guidance.
    #[error(
        "candidate {0} shares the conditional branch, which needs classifier-free guidance: \
         leave it out or set a guidance scale above 1"
    )]
    NeedsGuidance(Strategy),
}

/// Algorithm 1's default candidates; without guidance the ASC ones do not exist
/// (method, section 4).
pub fn default_candidates(guided: bool) -> Vec<Strategy> {
    Strategy::CANDIDATES
        .into_iter()
        .filter(|candidate| guided || !candidate.shares_cfg())
        .collect()
}

/// Checks a list of candidates given by a person.
///
/// # Errors
/// [`CandidateError`] names the first candidate that cannot be searched.
pub fn check_candidates(candidates: &[Strategy], guided: bool) -> Result<(), CandidateError> {
    for (idx, &candidate) in candidates.iter().enumerate() {
        if candidate == Strategy::Full {
            return Err(CandidateError::Full);
        }
        if candidates[..idx].contains(&candidate) {
            return Err(CandidateError::Repeated(candidate));
        }
        if candidate.shares_cfg() && !guided {
            return Err(CandidateError::NeedsGuidance(candidate));
        }
    }
    Ok(())
}

/// The questions that Algorithm 1 asks of a model.
///
/// For each step the calls come in this order: `begin_step`; then for each block, input
/// to output, any number of `loss_of` and one `choose`; then `finish_step`. At step 0
/// `begin_step` and `loss_of` are left out.
pub trait CandidateLosses {
    /// Why a question could not be answered.
    type Error;

    /// Computes O: the transformer output of this step with every block `full`.
    ///
    /// # Errors
    /// Whatever the forward pass fails with.
    fn begin_step(&mut self, step: Step) -> Result<(), Self::Error>;

    /// L(O, O′), where O′ is the output with the blocks before `block` as chosen,
    /// `block` using `candidate`, and the blocks after it `full`.
    ///
    /// Whoever answers may stop as soon as the loss is certain to be at least `enough`, and
    /// then answer with a lower bound that is.
    ///
    /// # Errors
    /// Whatever the forward pass fails with.
    fn loss_of(
        &mut self,
        cell: (Step, Block),
        candidate: Strategy,
        enough: f64,
    ) -> Result<MeasuredLoss, Self::Error>;

    /// Fixes the strategy of `block` for the rest of this step.
    ///
    /// # Errors
    /// Whatever the forward pass fails with.
    fn choose(&mut self, step: Step, block: Block, choice: Strategy) -> Result<(), Self::Error>;

    /// Runs the step with the chosen row for real: caches refresh, the sampler goes on.
    ///
    /// # Errors
    /// Whatever the forward pass fails with.
    fn finish_step(&mut self, step: Step, row: &[Strategy]) -> Result<(), Self::Error>;
}

/// Why a search stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchError<E> {
    /// A question could not be answered.
    #[error(transparent)]
    Unanswered(#[from] E),
    /// A loss is NaN or infinite: the model's output is broken, no plan can be trusted.
    #[error(
        "the loss of {candidate} at {step}, {block} is not a finite number: \
         the model's output holds NaN or infinity"
    )]
    LossNotFinite {
        /// Step of the cell.
        step: Step,
        /// Block of the cell.
        block: Block,
        /// The candidate that was tried.
        candidate: Strategy,
    },
}

/// One step of Algorithm 1: asks for losses, decides every block, and lets the step run.
///
/// Call it for step 0, 1, … in order and [`SearchRecord::push_row`] the result.
///
/// # Errors
/// [`SearchError`]; the step is then unfinished and its record lost.
pub fn search_step<L: CandidateLosses>(
    step: Step,
    n_blocks: usize,
    settings: &SearchSettings,
    losses: &mut L,
) -> Result<Vec<CellRecord>, SearchError<L::Error>> {
    if step.0 > 0 {
        losses.begin_step(step)?;
    }
    let mut records = Vec::with_capacity(n_blocks);
    for block in (0..n_blocks).map(Block) {
        let record = if step.0 == 0 {
            CellRecord::first_step()
        } else {
            search_cell((step, block), n_blocks, settings, |candidate, enough| {
                losses.loss_of((step, block), candidate, enough)
            })?
        };
        losses.choose(step, block, record.choice)?;
        records.push(record);
    }
    let row: Vec<Strategy> = records.iter().map(|record| record.choice).collect();
    losses.finish_step(step, &row)?;
    Ok(records)
}

/// The inner loop of Algorithm 1: the first candidate whose loss is under the budget.
/// `measure` answers as [`CandidateLosses::loss_of`] does.
///
/// # Errors
/// [`SearchError`].
pub fn search_cell<E>(
    (step, block): (Step, Block),
    n_blocks: usize,
    settings: &SearchSettings,
    mut measure: impl FnMut(Strategy, f64) -> Result<MeasuredLoss, E>,
) -> Result<CellRecord, SearchError<E>> {
    let budget = settings.threshold.block_budget(block, n_blocks);
    // Losses that are to be decided again have to be whole.
    let enough = match settings.mode {
        SearchMode::Exact => budget,
        SearchMode::RecordAll | SearchMode::Fast => f64::INFINITY,
    };
    let mut record = CellRecord::first_step();
    let mut chosen = None;
    for &candidate in &settings.candidates {
        let measured = measure(candidate, enough)?;
        if !measured.loss.is_finite() {
            return Err(SearchError::LossNotFinite {
                step,
                block,
                candidate,
            });
        }
        record.measured.push(measured);
        if chosen.is_none() && measured.is_under(budget) {
            chosen = Some(candidate);
            if settings.mode.stops_at_winner() {
                break;
            }
        }
    }
    record.choice = chosen.unwrap_or(Strategy::Full);
    Ok(record)
}

#[cfg(test)]
mod tests;
