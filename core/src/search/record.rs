//! What a search measured: every loss in the order in which it was measured, and the
//! choice of every cell.

use alloc::vec::Vec;

use crate::grid::{Block, GridShape, Step};
use crate::plan::{CompressionPlan, PlanError};
use crate::search::{SearchSettings, Threshold};
use crate::strategy::Strategy;
use crate::window::Window;

/// One measurement: the loss of one candidate at one cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeasuredLoss {
    /// The candidate that was tried.
    pub candidate: Strategy,
    /// L(O, O′), dimensionless, finite, at least 0.
    pub loss: f32,
    /// Whether the loss is at least this and was not added up further, because that was
    /// enough to reject the candidate.
    pub is_lower_bound: bool,
}

impl MeasuredLoss {
    /// A loss of which every term was added up.
    pub const fn whole(candidate: Strategy, loss: f32) -> Self {
        Self {
            candidate,
            loss,
            is_lower_bound: false,
        }
    }

    /// A loss of which only so much is known: it is at least `loss`.
    pub const fn at_least(candidate: Strategy, loss: f32) -> Self {
        Self {
            candidate,
            loss,
            is_lower_bound: true,
        }
    }

    /// Whether the loss is known to be under the budget.
    pub fn is_under(&self, budget: f64) -> bool {
        !self.is_lower_bound && f64::from(self.loss) < budget
    }
}

/// One cell of the search: its measurements and its choice.
#[derive(Clone, Debug, PartialEq)]
pub struct CellRecord {
    /// Losses in the order in which they were measured.
    pub measured: Vec<MeasuredLoss>,
    /// What was chosen.
    pub choice: Strategy,
}

impl CellRecord {
    /// A cell in which nothing was measured: step 0, always `full`.
    pub const fn first_step() -> Self {
        Self {
            measured: Vec::new(),
            choice: Strategy::Full,
        }
    }

    /// The loss measured for `candidate`, if it was tried and all of it is known.
    pub fn loss_of(&self, candidate: Strategy) -> Option<f32> {
        self.measurement_of(candidate)
            .filter(|measured| !measured.is_lower_bound)
            .map(|measured| measured.loss)
    }

    /// What was measured for `candidate`, if it was tried.
    pub fn measurement_of(&self, candidate: Strategy) -> Option<&MeasuredLoss> {
        let mut measured = self.measured.iter();
        measured.find(|measured| measured.candidate == candidate)
    }
}

/// Everything that one search measured and chose, finished or not.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchRecord {
    settings: SearchSettings,
    n_blocks: usize,
    /// One row per finished step.
    rows: Vec<Vec<CellRecord>>,
}

impl SearchRecord {
    /// An empty record.
    pub const fn new(settings: SearchSettings, n_blocks: usize) -> Self {
        Self {
            settings,
            n_blocks,
            rows: Vec::new(),
        }
    }

    /// Appends the cells of the next step.
    ///
    /// # Errors
    /// [`PlanError::WrongSize`] if the row does not have one cell per block.
    pub fn push_row(&mut self, row: Vec<CellRecord>) -> Result<(), PlanError> {
        if row.len() != self.n_blocks {
            let shape = GridShape {
                n_steps: 1,
                n_blocks: self.n_blocks,
            };
            let found = row.len();
            return Err(PlanError::WrongSize { shape, found });
        }
        self.rows.push(row);
        Ok(())
    }

    /// What the search was asked to do.
    pub fn settings(&self) -> &SearchSettings {
        &self.settings
    }

    /// Finished steps × blocks.
    pub fn shape(&self) -> GridShape {
        GridShape {
            n_steps: self.rows.len(),
            n_blocks: self.n_blocks,
        }
    }

    /// The cells of one finished step.
    pub fn row(&self, step: Step) -> Option<&[CellRecord]> {
        self.rows.get(step.0).map(Vec::as_slice)
    }

    /// One cell, if its step is finished.
    pub fn cell(&self, step: Step, block: Block) -> Option<&CellRecord> {
        self.rows.get(step.0)?.get(block.0)
    }

    /// The finished steps, first to last.
    pub fn rows(&self) -> &[Vec<CellRecord>] {
        &self.rows
    }

    /// Number of losses measured.
    pub fn n_measured(&self) -> usize {
        let cells = self.rows.iter().flatten();
        cells.map(|cell| cell.measured.len()).sum()
    }

    /// A threshold above which no candidate is rejected: every recorded loss is under its
    /// budget there.
    pub fn largest_threshold(&self) -> Threshold {
        let mut largest = 0.0;
        for row in &self.rows {
            for (block, cell) in row.iter().enumerate() {
                let share = (block + 1) as f64 / self.n_blocks as f64;
                for measured in &cell.measured {
                    largest = f64::max(largest, f64::from(measured.loss) / share);
                }
            }
        }
        // A loss equal to its budget does not pass; one part in a thousand is far beyond
        // rounding.
        Threshold(largest * 1.001)
    }

    /// The plan that was chosen.
    ///
    /// # Errors
    /// [`PlanError`] if no step is finished, or step 0 is not all `full`.
    pub fn plan(&self, window: Window) -> Result<CompressionPlan, PlanError> {
        let cells = self.rows.iter().flatten().map(|cell| cell.choice);
        CompressionPlan::new(self.shape(), window, cells.collect())
    }
}
