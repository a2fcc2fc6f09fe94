//! The plan that is shown: what the recorded losses give at the slider's δ, then the
//! locked cells as they were, then what was set by hand; and what is exact in it.
//!
//! The losses of a cell were measured under the choices before it. So every cell up to
//! and including the first changed one is exact, and every later one *could* differ if
//! the model were calibrated again (`docs/method.md`).

use dfa_core::search::{Threshold, redecide};
use dfa_core::{Block, CompressionPlan, GridShape, PlanError, Step};

use super::Workbench;
use crate::plan::opened::OpenPlan;

/// What is to be said of one cell of the plan shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CellState {
    /// Not what the search chose at its own δ.
    pub is_changed: bool,
    /// Set by hand.
    pub is_edited: bool,
    /// Locked.
    pub is_locked: bool,
    /// A loss that decides it was never measured; it is full for want of knowledge.
    pub is_unmeasured: bool,
    /// Could differ if the model were calibrated with the choices before this cell.
    pub could_differ: bool,
}

/// The plan shown, and what is exact in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// The plan.
    pub plan: CompressionPlan,
    /// The δ it was decided at; `None` for a plan without losses.
    pub threshold: Option<Threshold>,
    /// One state per cell, row by row.
    pub states: Vec<CellState>,
    /// Cells that are not what the search chose at its own δ.
    pub n_changed: usize,
    /// Cells set by hand.
    pub n_edited: usize,
    /// Locked cells.
    pub n_locked: usize,
    /// Cells that are full because a loss that decides them was never measured.
    pub n_unmeasured: usize,
    /// Cells that could differ if the model were calibrated again.
    pub n_could_differ: usize,
    /// Whether the plan is an estimate: some cell could differ.
    pub is_estimate: bool,
}

impl Shown {
    /// The state of a cell.
    ///
    /// # Panics
    /// If the cell lies outside the plan.
    pub fn state(&self, step: Step, block: Block) -> CellState {
        self.states[step.0 * self.plan.shape().n_blocks + block.0]
    }

    /// The badge beside the slider: what is exact, in one sentence; `None` for a plan
    /// that was never searched.
    pub fn badge(&self) -> Option<String> {
        self.threshold?;
        let n_cells = self.plan.shape().n_cells();
        Some(if self.is_estimate {
            format!(
                "Estimated: {} of {n_cells} cells changed, {} could differ",
                self.n_changed, self.n_could_differ
            )
        } else {
            "Exact: as the search decided".to_owned()
        })
    }
}

impl Workbench {
    /// The plan shown, and what is exact in it.
    pub fn shown(&self) -> Shown {
        let (plan, unmeasured) = self.decide();
        let mut states = self.states(&plan, &unmeasured);
        if self.settings.threshold.is_some() {
            mark_estimates(&mut states, plan.shape());
        }
        let count = |is: fn(&CellState) -> bool| states.iter().filter(|&state| is(state)).count();
        let n_could_differ = count(|state| state.could_differ);
        Shown {
            n_changed: count(|state| state.is_changed),
            n_edited: count(|state| state.is_edited),
            n_locked: count(|state| state.is_locked),
            n_unmeasured: count(|state| state.is_unmeasured),
            n_could_differ,
            is_estimate: n_could_differ > 0,
            threshold: self.settings.threshold,
            states,
            plan,
        }
    }

    /// The plan shown, alone.
    pub fn plan(&self) -> CompressionPlan {
        self.decide().0
    }

    /// The plan shown, and the cells for which a loss is missing.
    fn decide(&self) -> (CompressionPlan, Vec<(Step, Block)>) {
        let decided = self.opened.record().zip(self.settings.threshold);
        let window = self.opened.plan().window();
        let decided = decided.and_then(|(record, at)| redecide(record, at, window).ok());
        let (base, unmeasured) = match decided {
            Some(decided) => (decided.plan, decided.unmeasured),
            None => (self.recorded.clone(), Vec::new()),
        };
        let fixed = self.settings.by_hand.iter().zip(&self.settings.locked);
        let cells = base.cells().zip(fixed);
        let cells =
            cells.map(|((.., base), (&by_hand, &locked))| by_hand.or(locked).unwrap_or(base));
        let plan = CompressionPlan::new(base.shape(), window, cells.collect());
        // Whatever breaks a rule was refused when it was set, so this is always a plan.
        (plan.unwrap_or(base), unmeasured)
    }

    fn states(&self, plan: &CompressionPlan, unmeasured: &[(Step, Block)]) -> Vec<CellState> {
        let n_blocks = self.shape().n_blocks;
        let cells = plan.cells().zip(self.recorded.cells()).enumerate();
        let states = cells.map(|(idx, ((.., shown), (.., recorded)))| CellState {
            is_changed: shown != recorded,
            is_edited: self.settings.by_hand[idx].is_some(),
            is_locked: self.settings.locked[idx].is_some(),
            ..CellState::default()
        });
        let mut states: Vec<CellState> = states.collect();
        for (step, block) in unmeasured {
            let state = &mut states[step.0 * n_blocks + block.0];
            state.is_unmeasured = !state.is_edited && !state.is_locked;
        }
        states
    }
}

/// Marks the cells whose losses were measured under other choices: all after the first
/// changed one but those that a person has fixed; and those that were never measured.
fn mark_estimates(states: &mut [CellState], shape: GridShape) {
    let first = states.iter().position(|state| state.is_changed);
    for (idx, state) in states.iter_mut().enumerate().skip(shape.n_blocks) {
        let is_later = first.is_some_and(|first| idx > first);
        let is_fixed = state.is_edited || state.is_locked;
        state.could_differ = state.is_unmeasured || (is_later && !is_fixed);
    }
}

/// What the recorded losses give at a δ, nothing done by hand.
pub(super) fn decided(
    opened: &OpenPlan,
    threshold: Option<Threshold>,
) -> Result<CompressionPlan, PlanError> {
    match opened.record().zip(threshold) {
        Some((record, at)) => Ok(redecide(record, at, opened.plan().window())?.plan),
        None => Ok(opened.plan().clone()),
    }
}
