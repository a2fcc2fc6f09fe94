//! Calibration towards a goal instead of a threshold.
//!
//! A first search measures every candidate, so that the plan at any other threshold can be
//! estimated from its losses; the threshold that suits the goal best is bisected over these
//! estimates. Then it is searched for real, and where the goal is missed again at a
//! threshold corrected by the error of the estimate.
//!
//! What is measured ([`Yardstick`]) is the same for estimates and for real plans: kept MACs
//! are counted; a speedup is predicted from the layer MACs and the share of a raw step's
//! seconds that its self-attention layers take on this machine; PSNR is that of the
//! calibration images, as the pictures that people see.

use dfa_core::CompressionPlan;
use dfa_core::cost::PlanCost;
use dfa_core::search::{Goal, Quantity, SearchMode, SearchRecord, Suited, Threshold, redecide};

use super::{CalibrateError, CalibrateRequest, Calibration, Saving, calibrate};
use crate::compare::mean_psnr_db;
use crate::decoding;
use crate::generate::{attention_share, generate};
use crate::made_files::why_no_pictures;
use crate::observer::{Event, Observer};
use crate::picture::Clip;
use crate::run_setup::RunSetup;

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
    /// Block evaluations of all of them.
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

/// The first search of a calibration with a goal; its state is what can be saved.
pub fn first_search(request: &CalibrateRequest) -> CalibrateRequest {
    let mut first = request.clone();
    if let Ok(threshold) = Threshold::new(FIRST_THRESHOLD) {
        first.search.threshold = threshold;
    }
    if first.search.mode == SearchMode::Exact {
        first.search.mode = SearchMode::RecordAll;
    }
    first
}

/// Calibrates a plan that reaches a goal. `saving` is for the [`first_search`].
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
    let yardstick = Yardstick::new(setup, goal.quantity(), observer)?;
    let first = first_search(request);
    let look = search(setup, &first, saving, observer)?;
    let most = look.record.largest_threshold();
    let mut estimates = Estimates {
        record: &look.record,
        yardstick: &yardstick,
        target,
        known: Vec::new(),
    };
    let range = [Threshold::ZERO, most];
    let suited = goal.bisect(range, |threshold| estimates.at(threshold, observer))?;
    let (mut next, mut tried, mut found) = (Some(suited.threshold), Vec::new(), Vec::new());
    while let Some(threshold) = next {
        let mut request = request.clone();
        request.search.threshold = threshold;
        let calibration = search(setup, &request, None, observer)?;
        let value = yardstick.of_calibration(setup, &calibration)?;
        tried.push(Suited {
            threshold,
            value,
            is_met: goal.is_met_by(value),
        });
        found.push((request, calibration));
        next = match tried.len() < MAX_CONFIRMATIONS {
            true => goal.next_after(&tried, most, |at| estimates.at(at, observer))?,
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

fn search(
    setup: &RunSetup,
    request: &CalibrateRequest,
    saving: Option<&Saving<'_>>,
    observer: &mut dyn Observer,
) -> Result<Calibration, CalibrateError> {
    let threshold = request.search.threshold;
    observer.event(Event::SearchStarted { threshold });
    let denoiser = setup.whole_denoiser();
    calibrate(&denoiser, request, &setup.latent, saving, observer)
}

/// What plans reach at other thresholds than the recorded one, as far as can be told.
struct Estimates<'a> {
    record: &'a SearchRecord,
    yardstick: &'a Yardstick,
    target: Target<'a>,
    /// Many thresholds give the same plan.
    known: Vec<(CompressionPlan, f64)>,
}

impl Estimates<'_> {
    fn at(
        &mut self,
        threshold: Threshold,
        observer: &mut dyn Observer,
    ) -> Result<f64, CalibrateError> {
        let window = self.target.request.window;
        let plan = redecide(self.record, threshold, window)?.plan;
        if let Some((_, value)) = self.known.iter().find(|(known, _)| *known == plan) {
            return Ok(*value);
        }
        let value = self.yardstick.of_plan(self.target.setup, &plan, observer)?;
        self.known.push((plan, value));
        Ok(value)
    }
}

/// How a quantity is measured.
enum Yardstick {
    KeptMacs,
    /// Share of a raw step's seconds in self-attention layers, 0 to 1.
    Speedup {
        attention_share: f64,
    },
    /// The calibration images without compression.
    Psnr {
        raw: Vec<Clip>,
    },
}

impl Yardstick {
    fn new(
        setup: &RunSetup,
        quantity: Quantity,
        observer: &mut dyn Observer,
    ) -> Result<Self, CalibrateError> {
        let denoiser = setup.whole_denoiser();
        Ok(match quantity {
            Quantity::KeptMacs => Self::KeptMacs,
            Quantity::Speedup => Self::Speedup {
                attention_share: attention_share(&denoiser, &setup.latent, observer)?,
            },
            Quantity::Psnr => {
                if let Some(reason) = why_no_pictures(&setup.loaded.folder) {
                    return Err(CalibrateError::NoPictures(reason));
                }
                let raw = generate(&denoiser, None, &setup.latent, observer)?;
                let raw = decoding::clips(setup, &raw.latent)?;
                Self::Psnr { raw }
            }
        })
    }

    fn of_plan(
        &self,
        setup: &RunSetup,
        plan: &CompressionPlan,
        observer: &mut dyn Observer,
    ) -> Result<f64, CalibrateError> {
        match self {
            Self::Psnr { raw } => {
                let denoiser = setup.whole_denoiser();
                let made = generate(&denoiser, Some(plan), &setup.latent, observer)?;
                let made = decoding::clips(setup, &made.latent)?;
                Ok(mean_psnr_db(raw, &made)?)
            }
            _ => Ok(self.of_cost(setup, plan)),
        }
    }

    /// A search has made the images of its plan.
    fn of_calibration(&self, setup: &RunSetup, found: &Calibration) -> Result<f64, CalibrateError> {
        match self {
            Self::Psnr { raw } => {
                let made = decoding::clips(setup, &found.latent)?;
                Ok(mean_psnr_db(raw, &made)?)
            }
            _ => Ok(self.of_cost(setup, &found.plan)),
        }
    }

    fn of_cost(&self, setup: &RunSetup, plan: &CompressionPlan) -> f64 {
        let cost = PlanCost::of(plan, setup.layer_shape(), setup.run.guidance.is_on());
        match self {
            Self::Speedup { attention_share } => {
                1.0 / (1.0 - attention_share * (1.0 - cost.layer_kept_share()))
            }
            Self::KeptMacs | Self::Psnr { .. } => cost.attention_kept_share(),
        }
    }
}
