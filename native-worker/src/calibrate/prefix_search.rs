//! Algorithm 1 with the prefix kept: while block i is tried, the blocks before it do not
//! change, so the hidden state that enters block i is kept and only blocks i..M run.
//!
//! The plan and every loss are identical to [`PlainSearch`](super::PlainSearch)'s: the
//! same blocks run on the same numbers, only fewer times. A step costs M block
//! evaluations for the full output, M - i for each candidate of block i, and one for each
//! block that stays `full`; the plain search needs M for each candidate and 2M besides.

use candle_core::Tensor;
use dfa_core::metric::relative;
use dfa_core::search::{CandidateLosses, CellRecord, MeasuredLoss};
use dfa_core::{Block, Step, Strategy};

use super::step_state::{BlockResult, StepState, values_of};
use super::{CalibrateError, CalibrateRequest};
use crate::diffusion::denoiser::Denoiser;
use crate::generate::RunError;
use crate::model::ForwardPass;
use crate::observer::{Event, Observer};

/// Answers Algorithm 1's questions.
pub struct PrefixSearch<'a> {
    denoiser: &'a Denoiser<'a>,
    request: &'a CalibrateRequest,
    observer: &'a mut dyn Observer,
    state: StepState,
    n_block_evaluations: u64,
    /// The step in work; there is none before the first question about it.
    current: Option<CurrentStep<'a>>,
}

/// What is known within one step.
struct CurrentStep<'a> {
    pass: Box<dyn ForwardPass + 'a>,
    /// O: the raw output with every block `full`; empty at step 0.
    reference: Vec<f32>,
    /// Hidden state entering the block in question, the blocks before it as chosen.
    entering: Tensor,
    /// Results of the block in question, by candidate.
    tried: Vec<(Strategy, BlockResult)>,
    measured: Vec<MeasuredLoss>,
}

impl<'a> PrefixSearch<'a> {
    /// A search that goes on from `state`.
    pub fn new(
        denoiser: &'a Denoiser<'a>,
        request: &'a CalibrateRequest,
        state: StepState,
        observer: &'a mut dyn Observer,
    ) -> Self {
        Self {
            denoiser,
            request,
            observer,
            state,
            n_block_evaluations: 0,
            current: None,
        }
    }

    /// The state after the last finished step.
    pub fn state(&self) -> &StepState {
        &self.state
    }

    /// The state after the last finished step.
    pub fn into_state(self) -> StepState {
        self.state
    }

    /// How many times a single block ran.
    pub fn n_block_evaluations(&self) -> u64 {
        self.n_block_evaluations
    }

    pub(super) fn report(&mut self, event: Event<'_>) {
        self.observer.event(event);
    }

    fn n_blocks(&self) -> usize {
        self.state.caches.len()
    }

    fn run_block(
        &mut self,
        cell: (Block, Strategy),
        hidden: &Tensor,
        pass: &dyn ForwardPass,
    ) -> Result<BlockResult, RunError> {
        if self.observer.is_cancelled() {
            return Err(RunError::Cancelled);
        }
        self.n_block_evaluations += 1;
        self.state
            .run_block(self.denoiser, self.request.window, cell, hidden, pass)
    }

    /// The raw output when every block from `first` on is `full`.
    fn output_of_full_rest(
        &mut self,
        first: usize,
        hidden: Tensor,
        pass: &dyn ForwardPass,
    ) -> Result<Vec<f32>, RunError> {
        let mut hidden = hidden;
        for block in (first..self.n_blocks()).map(Block) {
            hidden = self
                .run_block((block, Strategy::Full), &hidden, pass)?
                .hidden;
        }
        values_of(&pass.output(&hidden)?)
    }

    /// Takes the step in work out, preparing it if this is the first question about it.
    fn take_current(&mut self, step: Step) -> Result<CurrentStep<'a>, RunError> {
        if let Some(current) = self.current.take() {
            return Ok(current);
        }
        let pass = self.denoiser.begin(step)?;
        Ok(CurrentStep {
            reference: Vec::new(),
            entering: self.denoiser.embed(pass.as_ref(), &self.state.latent)?,
            tried: Vec::new(),
            measured: Vec::new(),
            pass,
        })
    }
}

impl CandidateLosses for PrefixSearch<'_> {
    type Error = CalibrateError;

    fn begin_step(&mut self, step: Step) -> Result<(), CalibrateError> {
        let mut current = self.take_current(step)?;
        let hidden = current.entering.clone();
        current.reference = self.output_of_full_rest(0, hidden, current.pass.as_ref())?;
        self.current = Some(current);
        Ok(())
    }

    fn loss_of(
        &mut self,
        step: Step,
        block: Block,
        candidate: Strategy,
    ) -> Result<f32, CalibrateError> {
        let mut current = self.take_current(step)?;
        let result =
            self.run_block((block, candidate), &current.entering, current.pass.as_ref())?;
        let hidden = result.hidden.clone();
        let output = self.output_of_full_rest(block.0 + 1, hidden, current.pass.as_ref())?;
        let loss = relative::loss(self.request.loss, &current.reference, &output)?;
        current.tried.push((candidate, result));
        current.measured.push(MeasuredLoss { candidate, loss });
        self.current = Some(current);
        Ok(loss)
    }

    fn choose(&mut self, step: Step, block: Block, choice: Strategy) -> Result<(), CalibrateError> {
        let mut current = self.take_current(step)?;
        let tried = current
            .tried
            .drain(..)
            .find(|(strategy, _)| *strategy == choice);
        let result = match tried {
            Some((_, result)) => result,
            None => self.run_block((block, choice), &current.entering, current.pass.as_ref())?,
        };
        self.state.adopt(block, result.update);
        current.entering = result.hidden;
        let record = CellRecord {
            measured: std::mem::take(&mut current.measured),
            choice,
        };
        self.current = Some(current);
        self.observer.event(Event::Decided {
            step,
            block,
            record: &record,
        });
        Ok(())
    }

    fn finish_step(&mut self, step: Step, _: &[Strategy]) -> Result<(), CalibrateError> {
        // Every block already ran as chosen: only the head is left.
        let current = self.take_current(step)?;
        let output = current.pass.output(&current.entering)?;
        if self.observer.wants_prediction(step) {
            let latent = &self.state.latent;
            let clean = self.denoiser.predict_clean(step, latent, &output);
            let clean = &clean.map_err(RunError::from)?;
            self.observer.event(Event::Predicted { step, clean });
        }
        Ok(self.state.advance(self.denoiser, step, &output)?)
    }
}
