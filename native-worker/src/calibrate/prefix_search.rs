//! Algorithm 1 without computing anything twice.
//!
//! The plan and every loss are identical to [`PlainSearch`](super::plain_search::PlainSearch)'s:
//! the same blocks run on the same numbers, only fewer times.
//!
//! - While block i is tried, the blocks before it do not change: the hidden state that
//!   enters it is kept, and only blocks i..M run.
//! - The candidates of a block share its queries, keys and values and their attention.
//!   AST computes nothing in its layer.
//! - The branches of a guided batch run apart. `asc` does for the conditional branch what
//!   `full` does, `wa_rs+asc` what `wa_rs` does: that half of the outcome is computed once.
//! - An accepted trial is adopted, with the next block that it ran `full`.
//!
//! A step costs M block evaluations for O and then, for each tried candidate of block i,
//! M - i; half as many for `asc`, and for the second of `wa_rs` and `wa_rs+asc`. The plain
//! search needs M for each candidate and 2M besides.

use candle_core::Tensor;
use dfa_core::metric::relative;
use dfa_core::search::{CandidateLosses, CellRecord, MeasuredLoss, search_step};
use dfa_core::{Block, Step, Strategy};

use super::CalibrateError;
use super::lane::{FullNext, Lane, LaneTrial, Part, Tried, joined, update_of};
use super::search_run::{SearchRun, StepSearch};
use super::step_state::values_of;
use crate::attention::shared_parts::on_conditional;
use crate::attention::{Computed, SelfAttention, SharedParts};
use crate::generate::RunError;
use crate::observer::Event;

/// Answers Algorithm 1's questions.
pub(super) struct PrefixSearch<'a> {
    run: SearchRun<'a>,
    /// Blocks that ran for one branch, or for an unguided batch.
    n_lane_evaluations: u64,
    /// The step in work; there is none before the first question about it.
    current: Option<CurrentStep<'a>>,
}

/// What is known within one step.
struct CurrentStep<'a> {
    /// One for each branch, conditional first.
    lanes: Vec<Lane<'a>>,
    /// Loss terms of the first branch with the blocks so far as chosen and the rest `full`.
    full_sum: f64,
    /// Trials of the block in question for all branches.
    tried: Vec<(Strategy, Vec<LaneTrial>)>,
    /// Those for the first branch, by what is done there.
    tried_first: Vec<(Strategy, LaneTrial)>,
    measured: Vec<MeasuredLoss>,
}

/// What a block is asked to do for a branch.
#[derive(Clone, Copy)]
struct LaneCall<'a> {
    block: Block,
    strategy: Strategy,
    /// (N, T, D).
    hidden: &'a Tensor,
    /// The conditional branch's layer output, for the other one to share.
    shared_output: Option<&'a Tensor>,
}

impl<'a> PrefixSearch<'a> {
    /// A search that goes on from the run's state.
    pub(super) fn new(run: SearchRun<'a>) -> Self {
        Self {
            run,
            n_lane_evaluations: 0,
            current: None,
        }
    }

    /// Takes the step in work out, preparing it if this is the first question about it.
    fn take_current(&mut self, step: Step) -> Result<CurrentStep<'a>, RunError> {
        if let Some(current) = self.current.take() {
            return Ok(current);
        }
        let parts = Part::of_run(self.run.denoiser.guidance).iter();
        let passes = self.run.denoiser.begin_branches(step)?;
        let lanes = parts.zip(passes).map(|(&part, pass)| {
            Ok(Lane {
                part,
                reference: Vec::new(),
                entering: pass.embed(&self.run.state.latent)?,
                parts: SharedParts::default(),
                full: None,
                pass,
            })
        });
        Ok(CurrentStep {
            lanes: lanes.collect::<Result<_, RunError>>()?,
            full_sum: 0.0,
            tried: Vec::new(),
            tried_first: Vec::new(),
            measured: Vec::new(),
        })
    }

    /// Runs one block for one branch without adopting what it leaves behind.
    fn run_block(
        &mut self,
        lane: &Lane<'_>,
        call: LaneCall<'_>,
        parts: &mut SharedParts,
    ) -> Result<Tried, RunError> {
        if self.run.observer.is_cancelled() {
            return Err(RunError::Cancelled);
        }
        self.n_lane_evaluations += 1;
        let mut computed = None;
        let mut attend = |layer: &SelfAttention, x: &Tensor| {
            computed = self.computed_by(layer, x, (lane.part, call), parts)?;
            match &computed {
                Some(computed) => Ok(computed.output.clone()),
                None => lane.part.kept_output(&self.run.state.caches[call.block.0]),
            }
        };
        let hidden = lane.pass.block(call.block, call.hidden, &mut attend)?;
        Ok(Tried { hidden, computed })
    }

    /// What the layer computes for its input x (N, T, D); nothing with AST.
    fn computed_by(
        &self,
        layer: &SelfAttention,
        x: &Tensor,
        (part, call): (Part, LaneCall<'_>),
        parts: &mut SharedParts,
    ) -> candle_core::Result<Option<Computed>> {
        if let Some(output) = call.shared_output {
            return Ok(Some(Computed {
                output: output.clone(),
                window_residual: None,
            }));
        }
        let window = self.run.request.window;
        let cache = &self.run.state.caches[call.block.0];
        Ok(match on_conditional(call.strategy) {
            Strategy::ShareSteps => None,
            Strategy::WindowOnly => Some(layer.share_windowed(x, window, None, parts)?),
            strategy if strategy.uses_residual() => {
                let residual = part.kept_residual(cache)?;
                Some(layer.share_windowed(x, window, Some(&residual), parts)?)
            }
            _ => Some(layer.share_full(x, window, parts)?),
        })
    }

    /// The block in question by `full`, for one branch.
    fn full_of(&mut self, lane: &mut Lane<'_>, block: Block) -> Result<Tried, RunError> {
        if let Some(full) = &lane.full {
            return Ok(full.clone());
        }
        let mut parts = std::mem::take(&mut lane.parts);
        let call = LaneCall {
            block,
            strategy: Strategy::Full,
            hidden: &lane.entering,
            shared_output: None,
        };
        let full = self.run_block(lane, call, &mut parts)?;
        lane.parts = parts;
        lane.full = Some(full.clone());
        Ok(full)
    }

    /// The raw output of a branch when every block from `first` on is `full`, and the first
    /// of them.
    fn full_rest(
        &mut self,
        lane: &Lane<'_>,
        first: usize,
        hidden: &Tensor,
    ) -> Result<(Vec<f32>, Option<FullNext>), RunError> {
        let mut hidden = hidden.clone();
        let mut next = None;
        for block in (first..self.run.n_blocks()).map(Block) {
            let mut parts = SharedParts::default();
            let call = LaneCall {
                block,
                strategy: Strategy::Full,
                hidden: &hidden,
                shared_output: None,
            };
            let tried = self.run_block(lane, call, &mut parts)?;
            hidden = tried.hidden.clone();
            next = next.or(Some((tried, parts)));
        }
        Ok((values_of(&lane.pass.output(&hidden)?)?, next))
    }

    /// A candidate for one branch, and then every block `full`. The loss terms are added to
    /// those of the branch before.
    fn trial(
        &mut self,
        lane: &mut Lane<'_>,
        (block, strategy): (Block, Strategy),
        before: Option<&LaneTrial>,
    ) -> Result<LaneTrial, CalibrateError> {
        let first = before.and_then(|trial| trial.tried.computed.as_ref());
        let first = first.filter(|_| strategy.shares_cfg());
        let mut parts = std::mem::take(&mut lane.parts);
        let call = LaneCall {
            block,
            strategy,
            hidden: &lane.entering,
            shared_output: first.map(|computed| &computed.output),
        };
        let tried = self.run_block(lane, call, &mut parts)?;
        lane.parts = parts;
        let (output, next) = self.full_rest(lane, block.0 + 1, &tried.hidden)?;
        let sum = before.map_or(0.0, |trial| trial.sum);
        let sum = self
            .run
            .request
            .loss
            .add_terms(sum, &lane.reference, &output)?;
        Ok(LaneTrial { tried, next, sum })
    }

    /// A candidate for the first branch.
    fn first_trial(
        &mut self,
        current: &mut CurrentStep<'_>,
        (block, candidate): (Block, Strategy),
    ) -> Result<LaneTrial, CalibrateError> {
        let strategy = on_conditional(candidate);
        let mut known = current.tried_first.iter();
        if let Some((_, trial)) = known.find(|(known, _)| *known == strategy) {
            return Ok(trial.clone());
        }
        let lane = &mut current.lanes[0];
        let trial = match strategy {
            Strategy::Full => LaneTrial {
                tried: self.full_of(lane, block)?,
                next: None,
                sum: current.full_sum,
            },
            strategy => self.trial(lane, (block, strategy), None)?,
        };
        current.tried_first.push((strategy, trial.clone()));
        Ok(trial)
    }

    /// The trials of what was chosen.
    fn chosen(
        &mut self,
        current: &mut CurrentStep<'_>,
        (block, choice): (Block, Strategy),
    ) -> Result<Vec<LaneTrial>, CalibrateError> {
        let mut tried = current.tried.drain(..);
        if let Some((_, trials)) = tried.find(|(strategy, _)| *strategy == choice) {
            return Ok(trials);
        }
        drop(tried);
        let mut trials: Vec<LaneTrial> = Vec::new();
        for lane in &mut current.lanes {
            trials.push(match choice {
                Strategy::Full => LaneTrial {
                    tried: self.full_of(lane, block)?,
                    next: None,
                    sum: current.full_sum,
                },
                _ => self.trial(lane, (block, choice), trials.last())?,
            });
        }
        Ok(trials)
    }

    /// The loss of a candidate, or as much of it as it takes to reject it.
    fn measure(
        &mut self,
        current: &mut CurrentStep<'_>,
        (block, candidate): (Block, Strategy),
        enough: f64,
    ) -> Result<MeasuredLoss, CalibrateError> {
        let n_elements = current.lanes.iter().map(|lane| lane.reference.len()).sum();
        let mut trials = vec![self.first_trial(current, (block, candidate))?];
        for lane in &mut current.lanes[1..] {
            let bound = relative::mean_of(trials[trials.len() - 1].sum, n_elements)?;
            if self.run.request.rejects_early && f64::from(bound) >= enough {
                return Ok(MeasuredLoss::at_least(candidate, bound));
            }
            trials.push(self.trial(lane, (block, candidate), trials.last())?);
        }
        let loss = relative::mean_of(trials[trials.len() - 1].sum, n_elements)?;
        current.tried.push((candidate, trials));
        Ok(MeasuredLoss::whole(candidate, loss))
    }
}

impl CandidateLosses for PrefixSearch<'_> {
    type Error = CalibrateError;

    fn begin_step(&mut self, step: Step) -> Result<(), CalibrateError> {
        let mut current = self.take_current(step)?;
        for lane in &mut current.lanes {
            let (reference, first) = self.full_rest(lane, 0, &lane.entering)?;
            lane.reference = reference;
            let (full, parts) = first.unzip();
            lane.full = full;
            lane.parts = parts.unwrap_or_default();
        }
        self.current = Some(current);
        Ok(())
    }

    fn loss_of(
        &mut self,
        (step, block): (Step, Block),
        candidate: Strategy,
        enough: f64,
    ) -> Result<MeasuredLoss, CalibrateError> {
        let mut current = self.take_current(step)?;
        let measured = self.measure(&mut current, (block, candidate), enough)?;
        current.measured.push(measured);
        self.current = Some(current);
        Ok(measured)
    }

    fn choose(&mut self, step: Step, block: Block, choice: Strategy) -> Result<(), CalibrateError> {
        let mut current = self.take_current(step)?;
        let trials = self.chosen(&mut current, (block, choice))?;
        self.run.state.adopt(block, update_of(choice, &trials)?);
        if choice != Strategy::Full {
            current.full_sum = trials[0].sum;
        }
        for (lane, trial) in current.lanes.iter_mut().zip(trials) {
            lane.advance(trial);
        }
        current.tried.clear();
        current.tried_first.clear();
        let record = CellRecord {
            measured: std::mem::take(&mut current.measured),
            choice,
        };
        self.current = Some(current);
        self.run.observer.event(Event::Decided {
            step,
            block,
            record: &record,
        });
        Ok(())
    }

    fn finish_step(&mut self, step: Step, _: &[Strategy]) -> Result<(), CalibrateError> {
        // Every block already ran as chosen: only the head is left.
        let current = self.take_current(step)?;
        let outputs = current.lanes.iter();
        let outputs = outputs.map(|lane| lane.pass.output(&lane.entering));
        let outputs: Vec<Tensor> = outputs.collect::<candle_core::Result<_>>()?;
        let output = joined(&outputs.iter().collect::<Vec<_>>())?;
        Ok(self.run.end_step(step, &output)?)
    }
}

impl<'a> StepSearch<'a> for PrefixSearch<'a> {
    fn search(&mut self, step: Step) -> Result<Vec<CellRecord>, CalibrateError> {
        let (n_blocks, settings) = (self.run.n_blocks(), &self.run.request.search);
        Ok(search_step(step, n_blocks, settings, self)?)
    }

    fn run(&mut self) -> &mut SearchRun<'a> {
        &mut self.run
    }

    fn n_block_evaluations(&self) -> f64 {
        self.n_lane_evaluations as f64 / self.run.denoiser.guidance.n_branches() as f64
    }
}
