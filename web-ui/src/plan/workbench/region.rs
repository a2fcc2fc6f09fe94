//! Cells that are changed together.

use std::fmt;

use dfa_core::{Block, GridShape, Step};

/// Cells that are changed together: a cell, a column, a row or a rectangle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// One cell.
    Cell(Step, Block),
    /// A block at every step: a column.
    Block(Block),
    /// Every block of a step: a row.
    Step(Step),
    /// Everything between two corners, both included, in any order.
    Rectangle([(Step, Block); 2]),
    /// The whole plan.
    Everything,
}

impl Region {
    /// The cells in the order in which they run; `None` if the region leaves the grid.
    pub fn cells(self, shape: GridShape) -> Option<impl Iterator<Item = (Step, Block)>> {
        let (steps, blocks) = (
            0..=shape.n_steps.checked_sub(1)?,
            0..=shape.n_blocks.checked_sub(1)?,
        );
        let (steps, blocks) = match self {
            Self::Cell(step, block) => (step.0..=step.0, block.0..=block.0),
            Self::Block(block) => (steps, block.0..=block.0),
            Self::Step(step) => (step.0..=step.0, blocks),
            Self::Rectangle([a, b]) => (
                a.0.0.min(b.0.0)..=a.0.0.max(b.0.0),
                a.1.0.min(b.1.0)..=a.1.0.max(b.1.0),
            ),
            Self::Everything => (steps, blocks),
        };
        let is_inside = *steps.end() < shape.n_steps && *blocks.end() < shape.n_blocks;
        is_inside.then(|| {
            steps.flat_map(move |step| blocks.clone().map(move |block| (Step(step), Block(block))))
        })
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cell(step, block) => write!(f, "{step}, {block}"),
            Self::Block(block) => block.fmt(f),
            Self::Step(step) => step.fmt(f),
            Self::Rectangle([a, b]) => {
                let (first, last) = (a.0.min(b.0).0, a.0.max(b.0).0);
                let (left, right) = (a.1.min(b.1).0, a.1.max(b.1).0);
                write!(f, "steps {first} to {last}, blocks {left} to {right}")
            }
            Self::Everything => f.write_str("the whole plan"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_cells_rows_columns_and_rectangles() {
        let shape = GridShape {
            n_steps: 3,
            n_blocks: 4,
        };
        let check = |region: Region, expected: Option<usize>, words: &str| {
            assert_eq!(
                region.cells(shape).map(Iterator::count),
                expected,
                "{region}"
            );
            assert_eq!(region.to_string(), words);
        };
        check(Region::Cell(Step(2), Block(3)), Some(1), "step 2, block 3");
        check(Region::Cell(Step(2), Block(4)), None, "step 2, block 4");
        check(Region::Block(Block(1)), Some(3), "block 1");
        check(Region::Step(Step(1)), Some(4), "step 1");
        check(Region::Step(Step(3)), None, "step 3");
        let corners = [(Step(2), Block(1)), (Step(1), Block(3))];
        check(
            Region::Rectangle(corners),
            Some(6),
            "steps 1 to 2, blocks 1 to 3",
        );
        check(Region::Everything, Some(12), "the whole plan");
    }
}
