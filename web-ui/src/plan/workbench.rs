//! The state of the page for one plan: the opened plan, where the slider stands, what was
//! set by hand, what is locked, and how to go back.
//!
//! Always true: what is shown is a plan, because changes that would break a rule are
//! refused with a sentence; and the opened plan itself never changes. What is shown of a
//! state is worked out in [`shown`], how it becomes a file in [`save`].

use std::sync::Arc;

use dfa_core::search::Threshold;
use dfa_core::{Block, CompressionPlan, GridShape, PlanError, Step, Strategy};

use super::opened::OpenPlan;
use super::threshold::{self, Direction};

pub mod history;
pub mod region;
pub mod save;
pub mod shown;

pub use region::Region;
pub use shown::{CellState, Shown};

use history::{Entry, History};

/// Where the slider begins to be of use whatever was recorded: the paper's D6.
const LEAST_SLIDER_END: f64 = 0.15;

/// Why a change is not made: one sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// What a person has set: together with the opened plan it gives the plan shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    /// Where the slider stands; `None` for a plan without losses.
    pub(super) threshold: Option<Threshold>,
    /// Cells set by hand, row by row.
    pub(super) by_hand: Vec<Option<Strategy>>,
    /// Cells kept whatever the threshold, row by row.
    pub(super) locked: Vec<Option<Strategy>>,
}

/// One open plan and everything that was done to it on the page.
#[derive(Clone, Debug, PartialEq)]
pub struct Workbench {
    opened: Arc<OpenPlan>,
    /// What the search chose, or for a plan without one the opened plan.
    recorded: CompressionPlan,
    settings: Settings,
    history: History,
    slider: Option<Slider>,
}

/// The range of the δ slider.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slider {
    /// δ of the search: here the plan is exact.
    pub recorded: Threshold,
    /// The largest δ that is offered. The smallest is 0.
    pub end: Threshold,
}

impl Workbench {
    /// Opens a plan. Cells of an edited plan that are not what its search chose (at the
    /// δ that its notes name) count as set by hand.
    ///
    /// # Errors
    /// [`PlanError`] if the search in the plan is not finished; a checked file's is.
    pub fn open(opened: OpenPlan) -> Result<Self, PlanError> {
        let recorded = match opened.record() {
            Some(record) => record.plan(opened.plan().window())?,
            None => opened.plan().clone(),
        };
        let threshold = save::threshold_of(&opened)?;
        let base = shown::decided(&opened, threshold)?;
        let by_hand = base.cells().zip(opened.plan().cells());
        let by_hand = by_hand.map(|((.., base), (.., found))| (found != base).then_some(found));
        let settings = Settings {
            threshold,
            by_hand: by_hand.collect(),
            locked: vec![None; base.shape().n_cells()],
        };
        Ok(Self {
            slider: slider_of(&opened),
            opened: Arc::new(opened),
            recorded,
            settings,
            history: History::default(),
        })
    }

    /// The plan as it was opened.
    pub fn opened(&self) -> &OpenPlan {
        &self.opened
    }

    /// Steps × blocks.
    pub fn shape(&self) -> GridShape {
        self.recorded.shape()
    }

    /// What the search chose at its own δ; for a plan without a search, the opened plan.
    pub const fn recorded(&self) -> &CompressionPlan {
        &self.recorded
    }

    /// Where the slider stands; `None` for a plan without losses.
    pub const fn threshold(&self) -> Option<Threshold> {
        self.settings.threshold
    }

    /// The slider's range; `None` for a plan without losses, whose δ cannot be moved.
    pub const fn slider(&self) -> Option<Slider> {
        self.slider
    }

    /// The nearest δ at which some cell that is neither set by hand nor locked changes.
    pub fn next_threshold(&self, direction: Direction) -> Option<Threshold> {
        let n_blocks = self.shape().n_blocks;
        let is_fixed = |step: Step, block: Block| {
            let idx = step.0 * n_blocks + block.0;
            self.settings.by_hand[idx].is_some() || self.settings.locked[idx].is_some()
        };
        let record = self.opened.record()?;
        threshold::next_change(record, self.settings.threshold?, direction, is_fixed)
    }

    /// Moves δ. Moves in a row are one action until [`settle`](Self::settle) or another
    /// action comes between.
    ///
    /// # Errors
    /// [`Refusal`] for a plan without losses.
    pub fn set_threshold(&mut self, threshold: Threshold) -> Result<(), Refusal> {
        if self.slider.is_none() {
            return Err(Refusal(
                "This plan holds no losses, so it cannot be decided again; \
                 calibrate the model to get a plan with losses."
                    .into(),
            ));
        }
        if self.settings.threshold == Some(threshold) {
            return Ok(());
        }
        let entry = Entry::slide(threshold, self.settings.clone());
        self.history.push(entry);
        self.settings.threshold = Some(threshold);
        Ok(())
    }

    /// Ends a row of slider moves: the next move is an action of its own.
    pub fn settle(&mut self) {
        self.history.settle();
    }

    /// Sets the cells of a region by hand. Step 0 is left out of a larger region, because
    /// it is always full. Returns a sentence that says what was done.
    ///
    /// # Errors
    /// [`Refusal`] if a rule of plans forbids it; nothing is changed then.
    pub fn set(&mut self, region: Region, strategy: Strategy) -> Result<String, Refusal> {
        if strategy.shares_cfg() && !self.opened.may_share_cfg() {
            return Err(Refusal(format!(
                "{} shares the conditional branch, but this plan is for runs without guidance, \
                 which have only one branch.",
                strategy.paper_name()
            )));
        }
        let mut cells = self.cells_of(region)?;
        let n_asked = cells.len();
        if strategy != Strategy::Full {
            cells.retain(|&idx| idx >= self.shape().n_blocks);
        }
        if cells.is_empty() {
            return Err(Refusal(
                "Step 0 is always full attention in every block: there is nothing yet that it \
                 could reuse."
                    .into(),
            ));
        }
        let label = format!("{region} set to {}", strategy.paper_name());
        self.begin(&label);
        for &idx in &cells {
            self.settings.by_hand[idx] = Some(strategy);
        }
        let rest = if cells.len() < n_asked {
            "; step 0 stays full"
        } else {
            ""
        };
        Ok(format!("{label}{rest}."))
    }

    /// Gives the cells of a region back to the search: what was set by hand there is
    /// forgotten. Returns a sentence that says what was done.
    ///
    /// # Errors
    /// [`Refusal`] if nothing was set by hand there.
    pub fn clear(&mut self, region: Region) -> Result<String, Refusal> {
        let mut cells = self.cells_of(region)?;
        cells.retain(|&idx| self.settings.by_hand[idx].is_some());
        if cells.is_empty() {
            return Err(Refusal(format!("Nothing was set by hand in {region}.")));
        }
        let label = format!("edits of {region} taken back");
        self.begin(&label);
        for &idx in &cells {
            self.settings.by_hand[idx] = None;
        }
        Ok(format!("{label}."))
    }

    /// Locks the cells of a region as they are shown now, or unlocks them if all of them
    /// are locked. Returns a sentence that says what was done.
    ///
    /// # Errors
    /// [`Refusal`] if the region is outside the plan.
    pub fn toggle_lock(&mut self, region: Region) -> Result<String, Refusal> {
        let cells = self.cells_of(region)?;
        let unlocks = cells.iter().all(|&idx| self.settings.locked[idx].is_some());
        let plan = self.plan();
        let shown: Vec<Strategy> = plan.cells().map(|(_, _, strategy)| strategy).collect();
        let label = format!("{region} {}", if unlocks { "unlocked" } else { "locked" });
        self.begin(&label);
        for &idx in &cells {
            self.settings.locked[idx] = (!unlocks).then_some(shown[idx]);
        }
        Ok(format!("{label}."))
    }

    /// What the next undo takes back.
    pub fn undoable(&self) -> Option<&str> {
        self.history.undoable()
    }

    /// What the next redo does again.
    pub fn redoable(&self) -> Option<&str> {
        self.history.redoable()
    }

    /// Takes the last action back. Returns a sentence, or `None` if there is none.
    pub fn undo(&mut self) -> Option<String> {
        let label = self.history.undo(&mut self.settings)?;
        Some(format!("Undone: {label}."))
    }

    /// Does the last undone action again. Returns a sentence, or `None` if there is none.
    pub fn redo(&mut self) -> Option<String> {
        let label = self.history.redo(&mut self.settings)?;
        Some(format!("Done again: {label}."))
    }

    /// Whether the plan shown is not the plan that was opened.
    pub fn is_modified(&self) -> bool {
        self.plan() != *self.opened.plan()
    }

    fn begin(&mut self, label: &str) {
        self.history.push(Entry::edit(label, self.settings.clone()));
    }

    /// The places of a region's cells in the grid.
    fn cells_of(&self, region: Region) -> Result<Vec<usize>, Refusal> {
        let shape = self.shape();
        let cells = region.cells(shape).ok_or_else(|| {
            Refusal(format!(
                "{region} is outside of this plan, which has {shape}."
            ))
        })?;
        Ok(cells
            .map(|(step, block)| step.0 * shape.n_blocks + block.0)
            .collect())
    }
}

fn slider_of(opened: &OpenPlan) -> Option<Slider> {
    let record = opened.record()?;
    let recorded = record.settings().threshold;
    let enough = (recorded.value() * 4.0).max(LEAST_SLIDER_END);
    let end = threshold::saturation(record).value().min(enough);
    let end = Threshold::new(end.max(recorded.value())).ok()?;
    Some(Slider { recorded, end })
}

#[cfg(test)]
mod tests;
