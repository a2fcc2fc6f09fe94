//! From an element under the mouse to the cell, step or block that it stands for.

use dfa_core::{Block, Step};
use web_sys::Element;

use crate::plan::layout::Orientation;

/// What an element of a grid stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A cell.
    Cell((Step, Block)),
    /// The name of a step.
    Step(Step),
    /// The name of a block.
    Block(Block),
    /// Where the names of rows and columns meet.
    Corner,
}

impl Place {
    /// Rows and columns count from 1 with the names, so cells begin at 2.
    pub(super) fn of(element: &Element, orientation: Orientation) -> Option<Self> {
        let part = element.closest("[aria-colindex]").ok().flatten()?;
        let row = part.closest("[aria-rowindex]").ok().flatten()?;
        let index = |element: &Element, name: &str| -> Option<usize> {
            element.get_attribute(name)?.parse().ok()
        };
        let row = index(&row, "aria-rowindex")?;
        let column = index(&part, "aria-colindex")?;
        let cell = orientation.cell(row.saturating_sub(2), column.saturating_sub(2));
        Some(match (row, column, orientation) {
            (1, 1, _) => Self::Corner,
            (1, _, Orientation::StepsAcross) | (_, 1, Orientation::StepsDown) => Self::Step(cell.0),
            (1, ..) | (_, 1, _) => Self::Block(cell.1),
            _ => Self::Cell(cell),
        })
    }
}
