//! Where the keyboard stands in a grid, and which cells are selected. Always a cell of
//! the grid, and the selection always holds it.

use dfa_core::{Block, GridShape, Step};

use super::layout::Orientation;
use super::workbench::Region;

/// How far Page Up and Page Down go, in rows.
const PAGE_ROWS: usize = 10;

/// Where the keyboard stands, and what is selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The cell with the focus.
    pub cell: (Step, Block),
    /// Where a rectangle begins.
    anchor: (Step, Block),
    /// What is selected.
    pub region: Region,
}

impl Cursor {
    /// One cell.
    pub const fn at(cell: (Step, Block)) -> Self {
        Self {
            cell,
            anchor: cell,
            region: Region::Cell(cell.0, cell.1),
        }
    }

    /// A step, a block or everything; the focus goes to its first cell.
    #[must_use]
    pub const fn whole(self, region: Region) -> Self {
        let cell = match region {
            Region::Cell(step, block) => (step, block),
            Region::Block(block) => (Step(0), block),
            Region::Step(step) => (step, Block(0)),
            Region::Rectangle([first, _]) => first,
            Region::Everything => self.cell,
        };
        Self {
            cell,
            anchor: cell,
            region,
        }
    }

    /// A step, a block or everything, from the cell that has the focus.
    #[must_use]
    pub const fn selecting(self, region: Region) -> Self {
        Self { region, ..self }
    }

    /// Another cell; with `extends`, a rectangle from where the selection began.
    #[must_use]
    pub fn to(self, cell: (Step, Block), extends: bool) -> Self {
        if !extends || cell == self.anchor {
            return Self::at(cell);
        }
        Self {
            cell,
            anchor: self.anchor,
            region: Region::Rectangle([self.anchor, cell]),
        }
    }

    /// The same, or the first cell where the grid is too small for it.
    #[must_use]
    pub fn within(self, shape: GridShape) -> Self {
        if self.region.cells(shape).is_some() {
            return self;
        }
        let (step, block) = self.cell;
        let is_inside = step.0 < shape.n_steps && block.0 < shape.n_blocks;
        Self::at(if is_inside {
            self.cell
        } else {
            (Step(0), Block(0))
        })
    }
}

/// A key that moves the focus, as it is seen on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// One cell to the left.
    Left,
    /// One cell to the right.
    Right,
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// To the first cell of the row.
    RowStart,
    /// To the last cell of the row.
    RowEnd,
    /// To the first cell of the grid.
    First,
    /// To the last cell of the grid.
    Last,
    /// Some rows up.
    PageUp,
    /// Some rows down.
    PageDown,
}

impl Motion {
    /// The motion of a key.
    pub fn of_key(key: &str, with_ctrl: bool) -> Option<Self> {
        Some(match (key, with_ctrl) {
            ("ArrowLeft", false) => Self::Left,
            ("ArrowRight", false) => Self::Right,
            ("ArrowUp", false) => Self::Up,
            ("ArrowDown", false) => Self::Down,
            ("Home", false) | ("ArrowLeft", true) => Self::RowStart,
            ("End", false) | ("ArrowRight", true) => Self::RowEnd,
            ("Home", true) => Self::First,
            ("End", true) => Self::Last,
            ("PageUp", _) => Self::PageUp,
            ("PageDown", _) => Self::PageDown,
            _ => return None,
        })
    }

    /// Where it leads from `cell`; never out of the grid.
    pub fn from(
        self,
        cell: (Step, Block),
        shape: GridShape,
        orientation: Orientation,
    ) -> (Step, Block) {
        let (n_rows, n_columns) = orientation.size(shape);
        let (row, column) = orientation.place(cell);
        let (row, column) = match self {
            Self::Left => (row, column.saturating_sub(1)),
            Self::Right => (row, column + 1),
            Self::Up => (row.saturating_sub(1), column),
            Self::Down => (row + 1, column),
            Self::RowStart => (row, 0),
            Self::RowEnd => (row, n_columns),
            Self::First => (0, 0),
            Self::Last => (n_rows, n_columns),
            Self::PageUp => (row.saturating_sub(PAGE_ROWS), column),
            Self::PageDown => (row + PAGE_ROWS, column),
        };
        orientation.cell(row.min(n_rows - 1), column.min(n_columns - 1))
    }
}

/// The cell that a person means by `12, 3`, `12 3` or `step 12 block 3`.
///
/// # Errors
/// A sentence that says what is expected.
pub fn named_cell(text: &str, shape: GridShape) -> Result<(Step, Block), String> {
    let numbers = text.split(|letter: char| !letter.is_ascii_digit());
    let numbers: Vec<usize> = numbers.filter_map(|part| part.parse().ok()).collect();
    let &[step, block] = numbers.as_slice() else {
        return Err("Type a step and a block, for example 12, 3.".into());
    };
    if step >= shape.n_steps || block >= shape.n_blocks {
        return Err(format!(
            "There is no step {step}, block {block}: steps go from 0 to {}, blocks from 0 to {}.",
            shape.n_steps - 1,
            shape.n_blocks - 1
        ));
    }
    Ok((Step(step), Block(block)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: GridShape = GridShape {
        n_steps: 30,
        n_blocks: 6,
    };

    #[test]
    fn keys_move_on_the_screen_and_never_leave_it() {
        let check = |key, ctrl, orientation, (step, block)| {
            let from = (Step(12), Block(2));
            let motion = Motion::of_key(key, ctrl).unwrap();
            let expected = (Step(step), Block(block));
            assert_eq!(motion.from(from, SHAPE, orientation), expected, "{key}");
        };
        use Orientation::{StepsAcross, StepsDown};
        check("ArrowRight", false, StepsAcross, (13, 2));
        check("ArrowRight", false, StepsDown, (12, 3));
        check("ArrowUp", false, StepsAcross, (12, 1));
        check("ArrowUp", false, StepsDown, (11, 2));
        check("Home", false, StepsAcross, (0, 2));
        check("End", false, StepsDown, (12, 5));
        check("Home", true, StepsDown, (0, 0));
        check("End", true, StepsAcross, (29, 5));
        check("PageDown", false, StepsAcross, (12, 5));
        check("PageUp", false, StepsDown, (2, 2));
        assert_eq!(Motion::of_key("x", false), None);
    }

    #[test]
    fn shift_makes_rectangles_from_where_it_began() {
        let start = Cursor::at((Step(3), Block(1)));
        let wide = start.to((Step(5), Block(1)), true);
        let wide = wide.to((Step(5), Block(4)), true);
        let corners = [(Step(3), Block(1)), (Step(5), Block(4))];
        assert_eq!(wide.region, Region::Rectangle(corners));
        assert_eq!(wide.to((Step(3), Block(1)), true), start);
        let column = start.whole(Region::Step(Step(7)));
        assert_eq!(column.cell, (Step(7), Block(0)));
        assert_eq!(column.within(SHAPE), column);
        let small = GridShape {
            n_steps: 2,
            n_blocks: 2,
        };
        assert_eq!(column.within(small), Cursor::at((Step(0), Block(0))));
    }

    #[test]
    fn cells_are_found_by_their_numbers() {
        let check = |text: &str, expected: Option<(usize, usize)>| {
            let expected = expected.map(|(step, block)| (Step(step), Block(block)));
            assert_eq!(named_cell(text, SHAPE).ok(), expected, "{text}");
        };
        check("12, 3", Some((12, 3)));
        check("step 29 block 5", Some((29, 5)));
        check("30 0", None);
        check("4", None);
        check("", None);
    }
}
