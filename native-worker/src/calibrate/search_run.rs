//! One search from its first step, or from where it was stopped, to its last: what every
//! way to search works on, and the loop that they share.

use candle_core::Tensor;
use dfa_core::Step;
use dfa_core::search::{CellRecord, SearchMode, SearchRecord};

use super::checkpoint::CheckpointError;
use super::fast_search::FastSearch;
use super::prefix_search::PrefixSearch;
use super::step_state::StepState;
use super::{CalibrateError, CalibrateRequest, Calibration};
use crate::diffusion::denoiser::Denoiser;
use crate::generate::RunError;
use crate::observer::{Event, Observer};

/// A search that has begun.
pub struct Begun {
    /// Losses and choices of its finished steps.
    pub record: SearchRecord,
    /// The state after the last of them.
    pub state: StepState,
}

impl Begun {
    /// A search before its first step, from the start noise (B, C, …).
    pub(super) fn at_start(
        denoiser: &Denoiser<'_>,
        request: &CalibrateRequest,
        latent: &Tensor,
    ) -> Self {
        let n_blocks = denoiser.model.geometry().n_blocks;
        Self {
            record: SearchRecord::new(request.search.clone(), n_blocks),
            state: StepState::start(denoiser, latent.clone()),
        }
    }
}

/// What a search works on.
pub(super) struct SearchRun<'a> {
    pub(super) denoiser: &'a Denoiser<'a>,
    pub(super) request: &'a CalibrateRequest,
    pub(super) observer: &'a mut dyn Observer,
    /// After the last finished step.
    pub(super) state: StepState,
}

impl SearchRun<'_> {
    pub(super) fn n_blocks(&self) -> usize {
        self.denoiser.model.geometry().n_blocks
    }

    /// Ends a step with its raw output (N, C_out, …).
    pub(super) fn end_step(&mut self, step: Step, output: &Tensor) -> Result<(), RunError> {
        let denoiser = self.denoiser;
        self.state
            .show_prediction(denoiser, step, output, self.observer)?;
        self.state.advance(denoiser, step, output)
    }
}

/// A way to search: one step of the run after the other.
pub(super) trait StepSearch<'a> {
    /// Decides every block of `step` and lets the step run.
    fn search(&mut self, step: Step) -> Result<Vec<CellRecord>, CalibrateError>;

    /// What it works on.
    fn run(&mut self) -> &mut SearchRun<'a>;

    /// How many times a single block ran for the whole batch; for one of two branches
    /// counts half.
    fn n_block_evaluations(&self) -> f64;
}

/// Told after every step what a saved state has to hold.
pub(super) type Keep<'a> = dyn FnMut(&SearchRecord, &StepState) -> Result<(), CheckpointError> + 'a;

/// Makes what is missing of a search, in the way that its mode says.
pub(super) fn go_on(
    begun: Begun,
    (denoiser, request): (&Denoiser<'_>, &CalibrateRequest),
    keep: &mut Keep<'_>,
    observer: &mut dyn Observer,
) -> Result<Calibration, CalibrateError> {
    let run = SearchRun {
        denoiser,
        request,
        observer,
        state: begun.state.brought_to(denoiser.model.device())?,
    };
    match request.search.mode {
        SearchMode::Fast => search_steps(begun.record, &mut FastSearch::new(run), keep),
        SearchMode::Exact | SearchMode::RecordAll => {
            search_steps(begun.record, &mut PrefixSearch::new(run), keep)
        }
    }
}

/// Searches the steps that are not in the record yet.
pub(super) fn search_steps<'a>(
    mut record: SearchRecord,
    search: &mut dyn StepSearch<'a>,
    keep: &mut Keep<'_>,
) -> Result<Calibration, CalibrateError> {
    let SearchRun {
        denoiser, request, ..
    } = *search.run();
    let n_steps = denoiser.sampler.n_steps();
    search.run().observer.event(Event::SearchStarted {
        threshold: request.search.threshold,
        n_decided: record.shape().n_cells(),
    });
    for step in (record.shape().n_steps..n_steps).map(Step) {
        let started = Event::StepStarted { step, n_steps };
        search.run().observer.event(started);
        record.push_row(search.search(step)?)?;
        keep(&record, &search.run().state)?;
        let done = Event::StepDone { step, n_steps };
        search.run().observer.event(done);
    }
    Ok(Calibration {
        plan: record.plan(request.window)?,
        record,
        n_block_evaluations: search.n_block_evaluations(),
        latent: search.run().state.latent.clone(),
    })
}
