//! Algorithm 1 as the paper writes it: every candidate is a whole forward pass, and every
//! decided step runs once more for real. The reference for
//! [`PrefixSearch`](super::PrefixSearch), and the cost that it is compared with.

use candle_core::Tensor;
use dfa_core::metric::relative;
use dfa_core::search::{CandidateLosses, CellRecord, MeasuredLoss, search_step};
use dfa_core::{Block, Step, Strategy};

use super::step_state::{StepState, values_of};
use super::{CalibrateError, CalibrateRequest, StepSearch};
use crate::attention::CacheUpdate;
use crate::diffusion::denoiser::Denoiser;
use crate::generate::RunError;
use crate::observer::Event;

/// Answers Algorithm 1's questions.
pub struct PlainSearch<'a> {
    denoiser: &'a Denoiser<'a>,
    request: &'a CalibrateRequest,
    state: StepState,
    n_block_evaluations: u64,
    /// O of the step in work.
    reference: Vec<f32>,
    /// Strategies of the step in work: as chosen so far, then `full`.
    row: Vec<Strategy>,
}

impl<'a> PlainSearch<'a> {
    /// A search that goes on from `state`.
    pub fn new(
        denoiser: &'a Denoiser<'a>,
        request: &'a CalibrateRequest,
        state: StepState,
    ) -> Self {
        let row = vec![Strategy::Full; state.caches.len()];
        Self {
            denoiser,
            request,
            state,
            n_block_evaluations: 0,
            reference: Vec::new(),
            row,
        }
    }

    /// A whole forward pass: the raw output (N, C_out, …) and what each layer leaves behind.
    fn forward(
        &mut self,
        step: Step,
        row: &[Strategy],
    ) -> Result<(Tensor, Vec<CacheUpdate>), RunError> {
        let pass = self.denoiser.begin(step)?;
        let mut hidden = self.denoiser.embed(pass.as_ref(), &self.state.latent)?;
        let mut updates = Vec::with_capacity(row.len());
        for (idx, &strategy) in row.iter().enumerate() {
            let window = self.request.window;
            let cell = (Block(idx), strategy);
            let result =
                self.state
                    .run_block(self.denoiser, window, cell, &hidden, pass.as_ref())?;
            self.n_block_evaluations += 1;
            hidden = result.hidden;
            updates.push(result.update);
        }
        Ok((pass.output(&hidden)?, updates))
    }
}

impl StepSearch for PlainSearch<'_> {
    fn search(&mut self, step: Step) -> Result<Vec<CellRecord>, CalibrateError> {
        let (n_blocks, settings) = (self.row.len(), &self.request.search);
        Ok(search_step(step, n_blocks, settings, self)?)
    }

    fn state(&self) -> &StepState {
        &self.state
    }

    fn into_state(self: Box<Self>) -> StepState {
        self.state
    }

    fn n_block_evaluations(&self) -> f64 {
        self.n_block_evaluations as f64
    }

    fn report(&mut self, _: Event<'_>) {}
}

impl CandidateLosses for PlainSearch<'_> {
    type Error = CalibrateError;

    fn begin_step(&mut self, step: Step) -> Result<(), CalibrateError> {
        self.row.fill(Strategy::Full);
        let row = self.row.clone();
        self.reference = values_of(&self.forward(step, &row)?.0)?;
        Ok(())
    }

    fn loss_of(
        &mut self,
        (step, block): (Step, Block),
        candidate: Strategy,
        _enough: f64,
    ) -> Result<MeasuredLoss, CalibrateError> {
        let mut row = self.row.clone();
        row[block.0] = candidate;
        let output = values_of(&self.forward(step, &row)?.0)?;
        let loss = relative::loss(self.request.loss, &self.reference, &output)?;
        Ok(MeasuredLoss::whole(candidate, loss))
    }

    fn choose(&mut self, _: Step, block: Block, choice: Strategy) -> Result<(), CalibrateError> {
        self.row[block.0] = choice;
        Ok(())
    }

    fn finish_step(&mut self, step: Step, row: &[Strategy]) -> Result<(), CalibrateError> {
        let (output, updates) = self.forward(step, row)?;
        for (idx, update) in updates.into_iter().enumerate() {
            self.state.adopt(Block(idx), update);
        }
        Ok(self.state.advance(self.denoiser, step, &output)?)
    }
}
