//! 2 · Makes a compression plan: drives Algorithm 1 of `dfa_core::search` with real
//! forward passes on a batch of calibration inputs.
//!
//! - [`prefix_search`]: Algorithm 1 without computing anything twice.
//! - [`plain_search`]: Algorithm 1 word for word, every candidate a whole forward pass;
//!   slow, the reference for the other.
//! - [`fast_search`]: a first look by the layers' own errors, one forward pass per step.
//! - `search_run`: what all of them work on, step by step.
//! - [`target`]: a goal instead of a threshold.
//! - [`plan_file`]: its settings as text, and the plan file it ends with.
//! - [`checkpoint`]: the state after each step on disk, so that a killed calibration goes
//!   on where it was, in whichever of its searches, and ends with the identical plan.

use std::path::Path;

use candle_core::Tensor;
use dfa_core::metric::LossKind;
use dfa_core::metric::image::ImageError;
use dfa_core::metric::relative::LossError;
use dfa_core::search::{SearchError, SearchRecord, SearchSettings};
use dfa_core::{CompressionPlan, PlanError, Window};

use crate::decoding::DecodeError;
use crate::diffusion::denoiser::Denoiser;
use crate::generate::RunError;
use crate::observer::{Observer, Unobserved};

pub mod checkpoint;
pub mod fast_search;
mod lane;
pub mod plain_search;
pub mod plan_file;
pub mod prefix_search;
mod search_run;
pub mod step_state;
pub mod target;

pub use checkpoint::{Checkpoint, CheckpointError, Measured, Snapshot};
use plain_search::PlainSearch;
pub use search_run::Begun;
use search_run::{SearchRun, go_on, search_steps};
pub use step_state::StepState;
pub use target::{Reached, Target, calibrate_to};

/// What a calibration is asked to do, besides the run it calibrates.
#[derive(Clone, Debug)]
pub struct CalibrateRequest {
    /// Threshold, candidates, mode.
    pub search: SearchSettings,
    /// The loss that is compared with the budgets.
    pub loss: LossKind,
    /// The plan's window.
    pub window: Window,
    /// Whether mode `exact` stops adding up a loss that is certain to be over its budget. The
    /// plan is the same; such losses are recorded as lower bounds.
    pub rejects_early: bool,
}

/// What a calibration gives.
pub struct Calibration {
    /// The plan.
    pub plan: CompressionPlan,
    /// Every loss that was measured.
    pub record: SearchRecord,
    /// The final latents of the calibration batch, made by the plan, (B, C, …).
    pub latent: Tensor,
    /// Forward passes of single blocks, of this process (not those before a resume). One for
    /// a single branch of a guided batch counts half.
    pub n_block_evaluations: f64,
}

/// Why a calibration ended without a plan.
#[derive(Debug, thiserror::Error)]
pub enum CalibrateError {
    /// A forward pass failed, or somebody stopped the run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A loss is not finite.
    #[error("{0}")]
    Search(String),
    /// The outputs to be compared have different sizes: a bug of the model.
    #[error(transparent)]
    Loss(#[from] LossError),
    /// The state could not be saved or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// There are no pictures whose likeness could be a goal.
    #[error("a target of psnr compares pictures, but {0}; choose a target of macs or speedup")]
    NoPictures(String),
    /// The calibration images cannot be made.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The calibration images cannot be compared.
    #[error(transparent)]
    Metric(#[from] ImageError),
    /// The choices are no plan: a bug.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

impl From<candle_core::Error> for CalibrateError {
    fn from(error: candle_core::Error) -> Self {
        Self::Run(error.into())
    }
}

impl From<SearchError<CalibrateError>> for CalibrateError {
    fn from(error: SearchError<CalibrateError>) -> Self {
        match error {
            SearchError::Unanswered(error) => error,
            broken => Self::Search(broken.to_string()),
        }
    }
}

/// Where a calibration saves its state, and whether it goes on with what is there.
pub struct Saving<'a> {
    /// The checkpoint file.
    pub path: &'a Path,
    /// Everything that decides the plan, as text: a state saved under other settings is
    /// refused.
    pub settings: &'a checkpoint::Settings,
    /// Go on with the saved state.
    pub resume: bool,
}

impl Saving<'_> {
    /// The state to go on with, if that is wanted.
    fn saved(&self) -> Result<Option<Checkpoint>, CheckpointError> {
        let load = || Checkpoint::load(self.path, self.settings);
        self.resume.then(load).transpose()
    }

    fn save(&self, snapshot: &Snapshot<'_>) -> Result<(), CheckpointError> {
        snapshot.save(self.path, self.settings)
    }
}

/// Calibrates a plan for the run of `denoiser`, starting from `latent` (B, C, …).
///
/// # Errors
/// [`CalibrateError`].
pub fn calibrate(
    denoiser: &Denoiser<'_>,
    request: &CalibrateRequest,
    latent: &Tensor,
    saving: Option<&Saving<'_>>,
    observer: &mut dyn Observer,
) -> Result<Calibration, CalibrateError> {
    let begun = match saving.map_or(Ok(None), Saving::saved)? {
        Some(saved) => saved.latest,
        None => Begun::at_start(denoiser, request, latent),
    };
    let mut keep = |record: &SearchRecord, state: &StepState| {
        let snapshot = Snapshot {
            request,
            earlier: &[],
            measured: &Measured::new(),
            latest: (record, state),
        };
        saving.map_or(Ok(()), |saving| saving.save(&snapshot))
    };
    go_on(begun, (denoiser, request), &mut keep, observer)
}

/// Algorithm 1 by whole forward passes, for comparison; see [`plain_search`].
///
/// # Errors
/// [`CalibrateError`].
pub fn calibrate_plainly(
    denoiser: &Denoiser<'_>,
    request: &CalibrateRequest,
    latent: &Tensor,
) -> Result<Calibration, CalibrateError> {
    let begun = Begun::at_start(denoiser, request, latent);
    let run = SearchRun {
        denoiser,
        request,
        observer: &mut Unobserved,
        state: begun.state,
    };
    search_steps(begun.record, &mut PlainSearch::new(run), &mut |_, _| Ok(()))
}
