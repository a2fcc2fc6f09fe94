//! How a grid is laid out on the screen: which way the steps run, and how large a cell is.
//!
//! Steps run across where the width allows it, as in the paper's figure; a plan that is
//! too long for that runs down the page, and only what is too wide either way scrolls.

use dfa_core::{Block, GridShape, Step};

/// The smallest cell in which a letter can be read.
const MIN_CELL_PX: f64 = 14.0;
/// Larger cells say nothing more.
const MAX_CELL_PX: f64 = 26.0;
/// What the names of the rows take.
pub const HEAD_PX: f64 = 44.0;

/// Which way the steps run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orientation {
    /// From left to right; a row is a block.
    StepsAcross,
    /// From top to bottom; a row is a step.
    StepsDown,
}

impl Orientation {
    /// Rows and columns on the screen.
    pub const fn size(self, shape: GridShape) -> (usize, usize) {
        match self {
            Self::StepsAcross => (shape.n_blocks, shape.n_steps),
            Self::StepsDown => (shape.n_steps, shape.n_blocks),
        }
    }

    /// Row and column of a cell.
    pub const fn place(self, (step, block): (Step, Block)) -> (usize, usize) {
        match self {
            Self::StepsAcross => (block.0, step.0),
            Self::StepsDown => (step.0, block.0),
        }
    }

    /// The cell at a row and a column.
    pub const fn cell(self, row: usize, column: usize) -> (Step, Block) {
        match self {
            Self::StepsAcross => (Step(column), Block(row)),
            Self::StepsDown => (Step(row), Block(column)),
        }
    }

    /// What a row and what a column is.
    pub const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::StepsAcross => ("block", "step"),
            Self::StepsDown => ("step", "block"),
        }
    }
}

/// How a grid is laid out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layout {
    /// Which way the steps run.
    pub orientation: Orientation,
    /// Side of a cell, in CSS pixels.
    pub cell_px: f64,
}

impl Layout {
    /// The layout of a grid in `width_px`.
    pub fn fit(shape: GridShape, width_px: f64) -> Self {
        let free_px = width_px - HEAD_PX;
        let side = |n_columns: usize| (free_px / n_columns as f64).floor();
        let across = side(shape.n_steps);
        let down = side(shape.n_blocks);
        let (orientation, cell_px) = if across >= MIN_CELL_PX {
            (Orientation::StepsAcross, across)
        } else if down >= MIN_CELL_PX || shape.n_blocks <= shape.n_steps {
            (Orientation::StepsDown, down)
        } else {
            (Orientation::StepsAcross, across)
        };
        Self {
            orientation,
            cell_px: cell_px.clamp(MIN_CELL_PX, MAX_CELL_PX),
        }
    }

    /// Every how many rows or columns a number is written, out of `count`.
    pub fn label_every(self, count: usize) -> usize {
        match count {
            _ if self.cell_px >= 20.0 && count <= 20 => 1,
            0..=100 => 5,
            _ => 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Orientation::{StepsAcross, StepsDown};

    fn shape(n_steps: usize, n_blocks: usize) -> GridShape {
        GridShape { n_steps, n_blocks }
    }

    #[test]
    fn steps_run_across_where_they_fit() {
        let check = |n_steps, n_blocks, width, orientation, cell_px| {
            let layout = Layout::fit(shape(n_steps, n_blocks), width);
            let expected = Layout {
                orientation,
                cell_px,
            };
            assert_eq!(layout, expected, "{n_steps}×{n_blocks} in {width}");
        };
        check(50, 6, 1000.0, StepsAcross, 19.0);
        check(50, 28, 1000.0, StepsAcross, 19.0);
        check(20, 6, 1000.0, StepsAcross, 26.0);
        check(250, 56, 1000.0, StepsDown, 17.0);
        check(50, 6, 340.0, StepsDown, 26.0);
        check(50, 28, 340.0, StepsDown, 14.0);
        check(30, 200, 340.0, StepsAcross, 14.0);
    }

    #[test]
    fn places_and_cells_are_inverse() {
        for orientation in [StepsAcross, StepsDown] {
            let cell = (Step(3), Block(1));
            let (row, column) = orientation.place(cell);
            assert_eq!(orientation.cell(row, column), cell);
            let (n_rows, n_columns) = orientation.size(shape(9, 4));
            assert!(row < n_rows && column < n_columns);
        }
    }

    #[test]
    fn numbers_stand_where_there_is_room() {
        let layout = Layout::fit(shape(50, 6), 1400.0);
        assert_eq!(layout.label_every(6), 1);
        assert_eq!(layout.label_every(50), 5);
        assert_eq!(layout.label_every(250), 10);
    }
}
