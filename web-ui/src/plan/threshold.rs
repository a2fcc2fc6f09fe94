//! At which δ the next cell changes. Between two such values no δ makes a difference, so
//! a slider can jump from one to the next.
//!
//! Every answer is exact in f64: at the δ that is named the cell really decides otherwise,
//! as Algorithm 1's own comparison says.

use dfa_core::search::{CellRecord, SearchRecord, Threshold};
use dfa_core::{Block, Step, Strategy};

/// Which way δ moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To a larger δ: more is compressed.
    Up,
    /// To a smaller δ: less is compressed.
    Down,
}

/// The nearest δ in a direction at which some cell decides otherwise than at `from`,
/// cells that `is_fixed` left out. `None` if no δ changes anything any more.
pub fn next_change(
    record: &SearchRecord,
    from: Threshold,
    direction: Direction,
    is_fixed: impl Fn(Step, Block) -> bool,
) -> Option<Threshold> {
    let mut nearest: Option<f64> = None;
    let shape = record.shape();
    for (step, block) in shape.cells().filter(|&(step, _)| step.0 > 0) {
        let Some(cell) = record.cell(step, block) else {
            continue;
        };
        if is_fixed(step, block) {
            continue;
        }
        let cell = Cell {
            record,
            cell,
            block,
        };
        let found = match direction {
            Direction::Up => cell.next_up(from),
            Direction::Down => cell.next_down(from),
        };
        nearest = match (nearest, found, direction) {
            (Some(a), Some(b), Direction::Up) => Some(a.min(b)),
            (Some(a), Some(b), Direction::Down) => Some(a.max(b)),
            (a, b, _) => a.or(b),
        };
    }
    Threshold::new(nearest?).ok()
}

/// The smallest δ above which no cell changes any more: the end of a slider.
pub fn saturation(record: &SearchRecord) -> Threshold {
    let mut last = 0.0f64;
    for (step, block) in record.shape().cells() {
        let Some(cell) = record.cell(step, block) else {
            continue;
        };
        let first = record.settings().candidates.first();
        let loss = first.and_then(|&candidate| cell.loss_of(candidate));
        let cell = Cell {
            record,
            cell,
            block,
        };
        if let Some(value) = loss.map(|loss| cell.first_passing(loss)) {
            last = last.max(value);
        }
    }
    Threshold::new(last).unwrap_or(record.settings().threshold)
}

/// One cell with what decides it.
struct Cell<'a> {
    record: &'a SearchRecord,
    cell: &'a CellRecord,
    block: Block,
}

impl Cell<'_> {
    fn passes(&self, loss: f32, value: f64) -> bool {
        let Ok(threshold) = Threshold::new(value) else {
            return false;
        };
        let n_blocks = self.record.shape().n_blocks;
        f64::from(loss) < threshold.block_budget(self.block, n_blocks)
    }

    /// The smallest δ at which `loss` is under the budget: near the quotient, found by
    /// asking the comparison itself.
    fn first_passing(&self, loss: f32) -> f64 {
        let share = (self.block.0 + 1) as f64 / self.record.shape().n_blocks as f64;
        let mut value = f64::from(loss) / share;
        while self.passes(loss, value) {
            value = value.next_down();
        }
        while !self.passes(loss, value) {
            value = value.next_up();
        }
        value
    }

    /// The losses that are looked at, in the order in which candidates are tried, up to
    /// the first that was not measured.
    fn losses(&self) -> impl Iterator<Item = (Strategy, f32)> + '_ {
        let candidates = self.record.settings().candidates.iter();
        candidates.map_while(|&candidate| Some((candidate, self.cell.loss_of(candidate)?)))
    }

    /// Where an earlier candidate than the present winner begins to pass.
    fn next_up(&self, from: Threshold) -> Option<f64> {
        let failing = self.losses();
        let failing = failing.take_while(|&(_, loss)| !self.passes(loss, from.value()));
        failing
            .map(|(_, loss)| self.first_passing(loss))
            .min_by(f64::total_cmp)
    }

    /// Where the present winner no longer passes.
    fn next_down(&self, from: Threshold) -> Option<f64> {
        let mut losses = self.losses();
        let (_, loss) = losses.find(|&(_, loss)| self.passes(loss, from.value()))?;
        Some(self.first_passing(loss).next_down())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::examples;
    use dfa_core::search::{SearchMode, redecide};

    fn decided(record: &SearchRecord, value: f64) -> Vec<Strategy> {
        let threshold = Threshold::new(value).unwrap();
        let plan = redecide(record, threshold, examples::WINDOW).unwrap().plan;
        plan.cells().map(|(_, _, strategy)| strategy).collect()
    }

    #[test]
    fn the_named_threshold_is_the_first_that_changes_a_cell() {
        for mode in SearchMode::ALL {
            let record = examples::record(0.1, mode);
            for start in [0.0, 0.013, 0.05, 0.1, 0.31] {
                let from = Threshold::new(start).unwrap();
                let here = decided(&record, start);
                let up = next_change(&record, from, Direction::Up, |_, _| false);
                if let Some(up) = up.map(Threshold::value) {
                    assert!(up > start);
                    assert_ne!(decided(&record, up), here, "{start} up {up}");
                    assert_eq!(decided(&record, up.next_down()), here, "{start} up {up}");
                }
                let down = next_change(&record, from, Direction::Down, |_, _| false);
                if let Some(down) = down.map(Threshold::value) {
                    assert!(down < start);
                    assert_ne!(decided(&record, down), here, "{start} down {down}");
                    assert_eq!(decided(&record, down.next_up()), here, "{start}");
                }
            }
        }
    }

    #[test]
    fn beyond_the_saturation_nothing_changes() {
        let record = examples::record(0.1, SearchMode::RecordAll);
        let end = saturation(&record);
        let next = next_change(&record, end, Direction::Up, |_, _| false);
        assert_eq!(next, None);
        assert_ne!(
            decided(&record, end.value()),
            decided(&record, end.value().next_down())
        );
    }

    #[test]
    fn fixed_cells_are_left_out() {
        let record = examples::record(0.1, SearchMode::RecordAll);
        let from = Threshold::new(0.1).unwrap();
        assert_eq!(next_change(&record, from, Direction::Up, |_, _| true), None);
    }
}
