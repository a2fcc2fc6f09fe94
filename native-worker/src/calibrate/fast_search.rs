//! A first look: candidates are judged by their layer's own error, not by the output's, so
//! that a step takes one forward pass.
//!
//! A layer's own error is L(A, A′): A is the layer's output by `full`, A′ by the candidate,
//! both before the gate and the skip connection, for the hidden state that the blocks so
//! far leave as they were chosen. The *local loss* of a candidate at block i is the sum of
//! the own errors of the layers before it, as chosen in this step, and of its own, over M:
//! it adds up along the blocks as the true loss does, and is compared with the same budgets.
//! What an error does to later blocks is not seen: the plan is a guess.

use candle_core::Tensor;
use dfa_core::metric::relative;
use dfa_core::search::{CellRecord, MeasuredLoss, SearchError, search_cell};
use dfa_core::{Block, Step, Strategy};

use super::search_run::{SearchRun, StepSearch};
use super::step_state::values_of;
use super::{CalibrateError, CalibrateRequest};
use crate::attention::layer_cache::conditional_half;
use crate::attention::shared_parts::on_conditional;
use crate::attention::{
    CacheUpdate, Computed, Halves, Kept, LayerCache, SelfAttention, SharedParts,
};
use crate::generate::RunError;
use crate::observer::Event;

/// Decides by local losses.
pub(super) struct FastSearch<'a> {
    run: SearchRun<'a>,
    n_block_evaluations: u64,
}

/// A layer at its turn.
struct LayerInQuestion<'a> {
    layer: &'a SelfAttention,
    /// (N, T, D).
    x: &'a Tensor,
    cache: &'a LayerCache,
    request: &'a CalibrateRequest,
    parts: SharedParts,
    /// Own errors of the layers before it, added up.
    error_before: f64,
}

impl<'a> FastSearch<'a> {
    /// A search that goes on from the run's state.
    pub(super) fn new(run: SearchRun<'a>) -> Self {
        Self {
            run,
            n_block_evaluations: 0,
        }
    }
}

impl LayerInQuestion<'_> {
    /// The layer's output and what it leaves behind, by any strategy.
    fn by(&mut self, strategy: Strategy) -> candle_core::Result<(Kept, CacheUpdate)> {
        let window = self.request.window;
        let computed = match on_conditional(strategy) {
            Strategy::ShareSteps => {
                return Ok((self.cache.output()?.clone(), CacheUpdate::unchanged()));
            }
            Strategy::WindowOnly => {
                let (layer, x) = (self.layer, self.x);
                layer.share_windowed(x, window, None, &mut self.parts)?
            }
            Strategy::Full => self.full()?,
            _ => {
                let residual = self.cache.window_residual()?;
                let residual = residual.for_both_branches()?;
                let (layer, x) = (self.layer, self.x);
                layer.share_windowed(x, window, Some(&residual), &mut self.parts)?
            }
        };
        let kept = |tensor: &Tensor| -> candle_core::Result<Kept> {
            Ok(match strategy.shares_cfg() {
                true => Kept::new(conditional_half(tensor)?, Halves::Conditional),
                false => Kept::new(tensor.clone(), Halves::All),
            })
        };
        let output = kept(&computed.output)?;
        let residual = computed.window_residual.as_ref().map(kept).transpose()?;
        Ok((output.clone(), CacheUpdate::computed(output, residual)))
    }

    fn full(&mut self) -> candle_core::Result<Computed> {
        let (layer, x) = (self.layer, self.x);
        layer.share_full(x, self.request.window, &mut self.parts)
    }

    /// L(A, A′).
    fn own_error(&mut self, full: &[f32], candidate: Strategy) -> Result<f64, CalibrateError> {
        let output = self.by(candidate)?.0.for_both_branches()?;
        let error = relative::loss(self.request.loss, full, &values_of(&output)?)?;
        Ok(error.into())
    }

    /// Decides the cell, and adds the choice's own error to those before it.
    fn decide(
        &mut self,
        cell: (Step, Block),
        n_blocks: usize,
    ) -> Result<CellRecord, CalibrateError> {
        if cell.0.0 == 0 {
            return Ok(CellRecord::first_step());
        }
        let mut errors = vec![(Strategy::Full, 0.0)];
        let full = values_of(&self.full()?.output)?;
        let settings = &self.request.search;
        let record = search_cell(cell, n_blocks, settings, |candidate, _| {
            let error = self.own_error(&full, candidate)?;
            errors.push((candidate, error));
            let loss = (self.error_before + error) / n_blocks as f64;
            Ok(MeasuredLoss::whole(candidate, loss as f32))
        });
        let record = record.map_err(|error: SearchError<CalibrateError>| error)?;
        let chosen = errors.iter().find(|(tried, _)| *tried == record.choice);
        self.error_before += chosen.map_or(0.0, |(_, error)| *error);
        Ok(record)
    }
}

impl<'a> StepSearch<'a> for FastSearch<'a> {
    fn search(&mut self, step: Step) -> Result<Vec<CellRecord>, CalibrateError> {
        let n_blocks = self.run.n_blocks();
        let pass = self.run.denoiser.begin(step)?;
        let mut hidden = self
            .run
            .denoiser
            .embed(pass.as_ref(), &self.run.state.latent)?;
        let mut records = Vec::with_capacity(n_blocks);
        let mut error_before = 0.0;
        for block in (0..n_blocks).map(Block) {
            if self.run.observer.is_cancelled() {
                return Err(RunError::Cancelled.into());
            }
            self.n_block_evaluations += 1;
            let mut decided = None;
            let mut attend = |layer: &SelfAttention, x: &Tensor| {
                let mut layer = LayerInQuestion {
                    layer,
                    x,
                    cache: &self.run.state.caches[block.0],
                    request: self.run.request,
                    parts: SharedParts::default(),
                    error_before,
                };
                let record = layer.decide((step, block), n_blocks);
                // The block goes on as chosen; after an error it does not matter how.
                let choice = record
                    .as_ref()
                    .map_or(Strategy::Full, |record| record.choice);
                let (output, update) = layer.by(choice)?;
                error_before = layer.error_before;
                decided = Some((record, update));
                output.for_both_branches()
            };
            hidden = pass.block(block, &hidden, &mut attend)?;
            let Some((record, update)) = decided else {
                continue;
            };
            let record = record?;
            self.run.state.adopt(block, update);
            self.run.observer.event(Event::Decided {
                step,
                block,
                record: &record,
            });
            records.push(record);
        }
        let output = pass.output(&hidden)?;
        self.run.end_step(step, &output)?;
        Ok(records)
    }

    fn run(&mut self) -> &mut SearchRun<'a> {
        &mut self.run
    }

    fn n_block_evaluations(&self) -> f64 {
        self.n_block_evaluations as f64
    }
}
