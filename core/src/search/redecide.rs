//! The plan that Algorithm 1 takes from recorded losses at another threshold.
//!
//! Exact at the recorded threshold. At another one it is an *estimate*: the losses of a
//! cell were measured with the choices made before it, and these may change too. A
//! calibration at the new threshold gives the truth.

use alloc::vec::Vec;

use crate::grid::{Block, Step};
use crate::plan::{CompressionPlan, PlanError};
use crate::search::{CellRecord, SearchRecord, Threshold};
use crate::strategy::Strategy;
use crate::window::Window;

/// A plan decided again, and how far it can be trusted.
#[derive(Clone, Debug, PartialEq)]
pub struct Redecision {
    /// The plan at the new threshold.
    pub plan: CompressionPlan,
    /// Whether the plan is an estimate: some cell before the last changed, so later
    /// losses were measured under other choices. `false` only if no cell changed.
    pub is_estimate: bool,
    /// Cells whose strategy differs from the recorded choice.
    pub changed: Vec<(Step, Block)>,
    /// Cells where a candidate that would have to be tried was never measured (a record
    /// of mode `exact` stops at its winner), or not to the end; they are `full` here.
    pub unmeasured: Vec<(Step, Block)>,
}

/// Decides every cell of `record` again at `threshold`.
///
/// # Errors
/// [`PlanError`] if the record holds no finished step.
pub fn redecide(
    record: &SearchRecord,
    threshold: Threshold,
    window: Window,
) -> Result<Redecision, PlanError> {
    let shape = record.shape();
    let mut cells = Vec::with_capacity(shape.n_cells());
    let mut changed = Vec::new();
    let mut unmeasured = Vec::new();
    for (step, row) in shape.steps().zip(record.rows()) {
        for (block, cell) in shape.blocks().zip(row) {
            let budget = threshold.block_budget(block, shape.n_blocks);
            let choice = match decide(cell, &record.settings().candidates, budget) {
                _ if step.0 == 0 => Strategy::Full,
                Some(choice) => choice,
                None => {
                    unmeasured.push((step, block));
                    Strategy::Full
                }
            };
            if choice != cell.choice {
                changed.push((step, block));
            }
            cells.push(choice);
        }
    }
    Ok(Redecision {
        plan: CompressionPlan::new(shape, window, cells)?,
        is_estimate: !changed.is_empty(),
        changed,
        unmeasured,
    })
}

/// The choice of one cell; `None` if a loss that decides it was never measured.
fn decide(cell: &CellRecord, candidates: &[Strategy], budget: f64) -> Option<Strategy> {
    for &candidate in candidates {
        let measured = cell.measurement_of(candidate)?;
        if measured.is_under(budget) {
            return Some(candidate);
        }
        if f64::from(measured.loss) < budget {
            return None;
        }
    }
    Some(Strategy::Full)
}

#[cfg(test)]
mod tests;
