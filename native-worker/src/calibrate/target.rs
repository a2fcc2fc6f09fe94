//! Calibration towards a goal instead of a threshold.
//!
//! A first search measures every candidate, so that the plan at any other threshold can be
//! estimated from its losses; the threshold that suits the goal best is bisected over these
//! estimates. Then it is searched for real, and where the goal is missed, or reached with
//! much to spare, again at another threshold.
//!
//! What is measured (`yardstick`) is the same for estimates and for real plans: kept MACs
//! are counted; a speedup is predicted from the layer MACs and the share of a raw step's
//! seconds that its self-attention layers take on this machine; PSNR is that of the
//! calibration images, as the pictures that people see.
//!
//! A calibration that was stopped goes on with all that it had: its searches and what it
//! measured are kept (`searches`).

use dfa_core::search::{Goal, SearchMode, Suited, Threshold};

use super::{CalibrateError, CalibrateRequest, Calibration, Saving};
use crate::observer::Observer;
use crate::run_setup::RunSetup;

mod searches;
mod yardstick;

use searches::Searches;
use yardstick::{Estimates, Yardstick};

/// Searches for real, at most.
const MAX_CONFIRMATIONS: usize = 6;
/// Threshold of the first search: the middle of the paper's upper half, its D4.
const FIRST_THRESHOLD: f64 = 0.1;

/// A calibration with a goal.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The run that is calibrated.
    pub setup: &'a RunSetup,
    /// What to do; its threshold is not looked at.
    pub request: &'a CalibrateRequest,
    /// What the plan is to reach.
    pub goal: Goal,
}

/// The plan that reaches a goal, or comes nearest to it.
pub struct Reached {
    /// What was asked of the search that found it: its threshold is the one that was found.
    pub request: CalibrateRequest,
    /// What the search gave.
    pub calibration: Calibration,
    /// The threshold, what it gives, and whether that reaches the goal.
    pub suited: Suited,
    /// Searches that were made, the first one included.
    pub n_searches: usize,
    /// Block evaluations of all of them, of this process (not those before a resume).
    pub n_block_evaluations: f64,
    goal: Goal,
}

impl Reached {
    /// What was found, for people.
    pub fn words(&self) -> String {
        let (goal, threshold) = (self.goal, self.suited.threshold);
        let (n, value) = (self.n_searches, goal.quantity().words(self.suited.value));
        match self.suited.is_met {
            true => format!("target {goal}: {value} at threshold {threshold}"),
            false => {
                format!(
                    "target {goal} not reached in {n} searches: the nearest is {value} at threshold {threshold}"
                )
            }
        }
    }
}

/// A search whose losses tell what plans other thresholds give.
fn first_search(request: &CalibrateRequest) -> CalibrateRequest {
    let mut first = request.clone();
    if let Ok(threshold) = Threshold::new(FIRST_THRESHOLD) {
        first.search.threshold = threshold;
    }
    if first.search.mode == SearchMode::Exact {
        first.search.mode = SearchMode::RecordAll;
    }
    first
}

/// Calibrates a plan that reaches a goal.
///
/// # Errors
/// [`CalibrateError`]. A goal that cannot be reached is none: see [`Reached::suited`].
pub fn calibrate_to(
    target: Target<'_>,
    saving: Option<&Saving<'_>>,
    observer: &mut dyn Observer,
) -> Result<Reached, CalibrateError> {
    let Target {
        setup,
        request,
        goal,
    } = target;
    let mut searches = Searches::open(target, saving)?;
    let yardstick = Yardstick::new(setup, goal.quantity(), (&mut searches, observer))?;
    let look = searches.search(&first_search(request), observer)?;
    let most = look.record.largest_threshold();
    let estimates = Estimates {
        record: &look.record,
        yardstick: &yardstick,
        target,
    };
    let range = [Threshold::ZERO, most];
    let suited = goal.bisect(range, |at| estimates.at(at, (&mut searches, observer)))?;
    let (mut next, mut tried, mut found) = (Some(suited.threshold), Vec::new(), Vec::new());
    while let Some(threshold) = next {
        let mut request = request.clone();
        request.search.threshold = threshold;
        let calibration = searches.search(&request, observer)?;
        let value = yardstick.of_calibration(setup, &calibration)?;
        tried.push(Suited {
            threshold,
            value,
            is_met: goal.is_met_by(value),
        });
        found.push((request, calibration));
        next = match tried.len() < MAX_CONFIRMATIONS {
            true => goal.next_after(&tried, most, |at| {
                estimates.at(at, (&mut searches, observer))
            })?,
            false => None,
        };
    }
    let n_searches = 1 + found.len();
    let n_block_evaluations = found.iter().fold(look.n_block_evaluations, |sum, found| {
        sum + found.1.n_block_evaluations
    });
    let best = goal.best_of(&tried).unwrap_or_default();
    let (request, calibration) = found.swap_remove(best);
    Ok(Reached {
        request,
        calibration,
        suited: tried[best],
        n_searches,
        n_block_evaluations,
        goal,
    })
}
