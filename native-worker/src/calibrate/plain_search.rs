//! Algorithm 1 as the paper writes it: every candidate is a whole forward pass, and every
//! decided step runs once more for real. The reference for
//! [`PrefixSearch`](super::PrefixSearch), and the cost that it is compared with.

use candle_core::Tensor;
use dfa_core::metric::relative;
use dfa_core::search::{CandidateLosses, CellRecord, MeasuredLoss, search_step};
use dfa_core::{Block, Step, Strategy};

use super::CalibrateError;
use super::search_run::{SearchRun, StepSearch};
use super::step_state::values_of;
use crate::attention::CacheUpdate;
use crate::generate::RunError;

/// Answers Algorithm 1's questions.
pub(super) struct PlainSearch<'a> {
    run: SearchRun<'a>,
    n_block_evaluations: u64,
    /// O of the step in work.
    reference: Vec<f32>,
    /// Strategies of the step in work: as chosen so far, then `full`.
    row: Vec<Strategy>,
}

impl<'a> PlainSearch<'a> {
    /// A search that goes on from the run's state.
    pub(super) fn new(run: SearchRun<'a>) -> Self {
        let row = vec![Strategy::Full; run.n_blocks()];
        Self {
            run,
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
        let pass = self.run.denoiser.begin(step)?;
        let mut hidden = self
            .run
            .denoiser
            .embed(pass.as_ref(), &self.run.state.latent)?;
        let mut updates = Vec::with_capacity(row.len());
        for (idx, &strategy) in row.iter().enumerate() {
            let window = self.run.request.window;
            let cell = (Block(idx), strategy);
            let result = self.run.state.run_block(
                self.run.denoiser,
                window,
                cell,
                &hidden,
                pass.as_ref(),
            )?;
            self.n_block_evaluations += 1;
            hidden = result.hidden;
            updates.push(result.update);
        }
        Ok((pass.output(&hidden)?, updates))
    }
}

impl<'a> StepSearch<'a> for PlainSearch<'a> {
    fn search(&mut self, step: Step) -> Result<Vec<CellRecord>, CalibrateError> {
        let (n_blocks, settings) = (self.row.len(), &self.run.request.search);
        Ok(search_step(step, n_blocks, settings, self)?)
    }

    fn run(&mut self) -> &mut SearchRun<'a> {
        &mut self.run
    }

    fn n_block_evaluations(&self) -> f64 {
        self.n_block_evaluations as f64
    }
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
        let loss = relative::loss(self.run.request.loss, &self.reference, &output)?;
        Ok(MeasuredLoss::whole(candidate, loss))
    }

    fn choose(&mut self, _: Step, block: Block, choice: Strategy) -> Result<(), CalibrateError> {
        self.row[block.0] = choice;
        Ok(())
    }

    fn finish_step(&mut self, step: Step, row: &[Strategy]) -> Result<(), CalibrateError> {
        let (output, updates) = self.forward(step, row)?;
        for (idx, update) in updates.into_iter().enumerate() {
            self.run.state.adopt(Block(idx), update);
        }
        Ok(self.run.end_step(step, &output)?)
    }
}
