//! What a run tells its observer, as events of its job; and what makes the run stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use candle_core::Tensor;
use dfa_core::Step;
use dfa_core::search::Threshold;
use dfa_core::wire::job::{JobPhase, JobProgress};
use dfa_core::wire::job_event::{DecisionEvent, JobEventData, WarningEvent};
use tokio::sync::mpsc;

use super::config::DeviceRule;
use super::preview::preview;
use super::signs_of_life::SignsOfLife;
use crate::observer::{Event, Observer};

/// Share of the work that must be done before the rest is estimated.
const LEAST_SHARE: f64 = 0.02;

/// Why a run should stop.
#[derive(Debug, Default)]
pub struct StopFlags {
    /// Somebody cancelled the job.
    pub cancel: AtomicBool,
    /// The worker stops.
    pub shutdown: AtomicBool,
}

impl StopFlags {
    /// Whether any of them is set.
    pub fn any(&self) -> bool {
        self.cancel.load(Ordering::Relaxed) || self.shutdown.load(Ordering::Relaxed)
    }
}

/// The way out for events, and the way in for stops.
#[derive(Clone)]
pub struct JobLine {
    /// Events, in order.
    pub events: mpsc::Sender<JobEventData>,
    /// Why to stop.
    pub stop: Arc<StopFlags>,
    /// The thread's signs of life.
    pub signs: Arc<SignsOfLife>,
    /// How much is told.
    pub rule: DeviceRule,
}

impl JobLine {
    /// Sends an event; waits if the log is slow. Nobody listens any more only when the
    /// worker is being torn down.
    pub fn send(&self, event: JobEventData) {
        self.signs.touch();
        let _ = self.events.blocking_send(event);
    }

    /// Says what is done outside the steps of a run.
    pub fn phase(&self, phase: JobPhase) {
        self.send(JobEventData::Progress(JobProgress {
            phase,
            step: 0,
            steps: 0,
            block: None,
            blocks: None,
            batch: 0,
            batches: 0,
            done_share: if phase == JobPhase::Decoding {
                1.0
            } else {
                0.0
            },
            eta_secs: None,
        }));
    }

    /// Sends a warning.
    pub fn warn(&self, code: &str, message: String) {
        let code = code.to_owned();
        self.send(JobEventData::Warning(WarningEvent { code, message }));
    }
}

/// The size of a job's work.
#[derive(Clone, Copy, Debug)]
pub struct WorkSize {
    /// What it works on first.
    pub phase: JobPhase,
    /// Steps of a batch.
    pub n_steps: usize,
    /// Batches; raw and compressed counted apart.
    pub n_batches: usize,
    /// Raw and compressed batches alternate.
    pub alternates: bool,
    /// Images of a batch.
    pub batch_size: usize,
    /// Blocks and δ of a calibration.
    pub search: Option<(usize, Threshold)>,
    /// Searches that it probably takes.
    pub n_searches: usize,
}

/// Watches the run of a job.
pub struct JobObserver {
    line: JobLine,
    size: WorkSize,
    n_begun: usize,
    step: usize,
    n_decided_in_step: usize,
    /// Cells of the search in work, those of an earlier attempt included.
    n_decided: usize,
    n_searches_begun: usize,
    /// Whether this attempt decided a cell itself.
    has_decided: bool,
    /// Share of the work that an earlier attempt did.
    share_before: f64,
    start: Instant,
    last_progress: Option<Instant>,
}

impl JobObserver {
    /// An observer for work of this size.
    pub fn new(line: JobLine, size: WorkSize) -> Self {
        Self {
            line,
            n_begun: 0,
            step: 0,
            n_decided_in_step: 0,
            n_decided: 0,
            n_searches_begun: 0,
            has_decided: false,
            share_before: 0.0,
            size,
            start: Instant::now(),
            last_progress: None,
        }
    }

    fn phase(&self) -> JobPhase {
        match self.size.alternates && self.n_begun.is_multiple_of(2) {
            true => JobPhase::GeneratingCompressed,
            false => self.size.phase,
        }
    }

    fn n_batches_done(&self) -> usize {
        self.n_begun.saturating_sub(1)
    }

    fn done_share(&self) -> f64 {
        let (done, all) = match self.size.search {
            Some((n_blocks, _)) => {
                let n_cells = self.size.n_steps * n_blocks;
                // A further search than was expected goes on from where the last one began.
                let n_done = self.n_searches_begun.clamp(1, self.size.n_searches) - 1;
                (
                    n_done * n_cells + self.n_decided,
                    self.size.n_searches * n_cells,
                )
            }
            None => (
                self.n_batches_done() * self.size.n_steps + self.step,
                self.size.n_batches * self.size.n_steps,
            ),
        };
        (done as f64 / all.max(1) as f64).clamp(0.0, 1.0)
    }

    fn eta_secs(&self) -> Option<f64> {
        let done = self.done_share();
        let here = done - self.share_before;
        (here >= LEAST_SHARE).then(|| self.start.elapsed().as_secs_f64() * (1.0 - done) / here)
    }

    fn progress(&mut self, force: bool) {
        let due = |last: Instant| last.elapsed() >= self.line.rule.progress_interval;
        if !force && !self.last_progress.is_none_or(due) {
            return;
        }
        self.last_progress = Some(Instant::now());
        let blocks = self.size.search.map(|(n_blocks, _)| n_blocks as u32);
        let progress = JobProgress {
            phase: self.phase(),
            step: self.step as u32,
            steps: self.size.n_steps as u32,
            block: blocks.map(|_| self.n_decided_in_step as u32),
            blocks,
            batch: self.n_batches_done() as u32,
            batches: self.size.n_batches as u32,
            done_share: self.done_share(),
            eta_secs: self.eta_secs(),
        };
        self.line.send(JobEventData::Progress(progress));
    }

    fn search_started(&mut self, threshold: Threshold, n_decided: usize) {
        self.n_searches_begun += 1;
        self.n_decided = n_decided;
        if !self.has_decided {
            self.share_before = self.done_share();
        }
        if let Some((_, current)) = &mut self.size.search {
            *current = threshold;
        }
    }

    fn decided(&mut self, event: DecisionEvent) {
        self.has_decided = true;
        self.n_decided += 1;
        self.n_decided_in_step += 1;
        self.line.send(JobEventData::Decision(event));
        self.progress(false);
    }

    fn preview(&self, step: Step, clean: &Tensor) {
        let first = match self.size.alternates {
            true => self.n_batches_done() / 2,
            false => self.n_batches_done(),
        } * self.size.batch_size;
        if let Ok(event) = preview(step, clean, first) {
            self.line.send(JobEventData::Preview(event));
        }
    }
}

impl Observer for JobObserver {
    fn event(&mut self, event: Event<'_>) {
        self.line.signs.touch();
        match event {
            Event::SearchStarted {
                threshold,
                n_decided,
            } => self.search_started(threshold, n_decided),
            Event::StepStarted { step, .. } => {
                if self.n_begun == 0 || (step.0 == 0 && self.size.search.is_none()) {
                    self.n_begun += 1;
                }
                self.step = step.0;
                self.n_decided_in_step = 0;
                self.progress(self.n_begun == 1 && self.last_progress.is_none());
            }
            Event::Decided {
                step,
                block,
                record,
            } => {
                let Some((n_blocks, threshold)) = self.size.search else {
                    return;
                };
                let budget = threshold.block_budget(block, n_blocks);
                let cell = (step.0 as u32, block.0 as u32);
                self.decided(DecisionEvent::new(cell, budget, record));
            }
            Event::Predicted { step, clean } => self.preview(step, clean),
            Event::StepDone { step, n_steps } => {
                self.step = step.0 + 1;
                self.progress(self.step == n_steps);
            }
        }
    }

    fn is_cancelled(&self) -> bool {
        self.line.signs.touch();
        self.line.stop.any()
    }

    fn wants_prediction(&self, step: Step) -> bool {
        match self.line.rule.preview_every as usize {
            0 => false,
            every => (step.0 + 1).is_multiple_of(every) && step.0 + 1 < self.size.n_steps,
        }
    }
}

/// Time since an instant, for results.
pub(super) fn secs(since: Instant) -> f64 {
    let elapsed: Duration = since.elapsed();
    elapsed.as_secs_f64()
}
