//! How a long run tells what it does and learns that it should stop.

use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::Tensor;
use dfa_core::search::{CellRecord, Threshold};
use dfa_core::{Block, Step};

/// Something that happened in a run.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A calibration begins a search, or goes on with one; with a goal it makes several.
    SearchStarted {
        /// δ of this one.
        threshold: Threshold,
        /// Cells that were decided before, by a process that was stopped.
        n_decided: usize,
    },
    /// A denoising step begins.
    StepStarted {
        /// Which.
        step: Step,
        /// Of how many.
        n_steps: usize,
    },
    /// Calibration decided one cell.
    Decided {
        /// Step of the cell.
        step: Step,
        /// Block of the cell.
        block: Block,
        /// Losses and choice.
        record: &'a CellRecord,
    },
    /// What the model now takes for the final latent; only sent where
    /// [`wants_prediction`](Observer::wants_prediction) said so.
    Predicted {
        /// The step that predicted it.
        step: Step,
        /// (B, C, h, w).
        clean: &'a Tensor,
    },
    /// A denoising step is done; its state is saved if it is saved at all.
    StepDone {
        /// Which.
        step: Step,
        /// Of how many.
        n_steps: usize,
    },
}

/// Watches a run.
pub trait Observer {
    /// Called from the thread that computes; must return quickly.
    fn event(&mut self, event: Event<'_>);

    /// Asked at every step and every candidate; `true` ends the run with an error.
    fn is_cancelled(&self) -> bool;

    /// Whether the step's prediction of the final latent is wanted. It costs little, but
    /// not nothing, so it is computed only on demand.
    fn wants_prediction(&self, step: Step) -> bool {
        let _ = step;
        false
    }
}

/// Watches nothing and never cancels.
pub struct Unobserved;

impl Observer for Unobserved {
    fn event(&mut self, _: Event<'_>) {}

    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Watches nothing, stops when the flag is set.
pub struct StopFlag<'a>(pub &'a AtomicBool);

impl Observer for StopFlag<'_> {
    fn event(&mut self, _: Event<'_>) {}

    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
