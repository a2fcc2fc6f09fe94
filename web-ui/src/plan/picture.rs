//! What the grid shows: one look per cell, ready to be drawn. A grid knows nothing of
//! plans, losses or layers; whoever makes a picture chooses letters and colours. What is
//! said of a cell in words is asked for cell by cell, see [`super::reason`].

use dfa_core::{Block, GridShape, Step};

/// A grid of cells, row by row: step t, block i at `t * n_blocks + i`.
#[derive(Clone, Debug, PartialEq)]
pub struct GridPicture {
    /// Steps × blocks.
    pub shape: GridShape,
    /// One look per cell.
    pub cells: Vec<CellLook>,
}

impl GridPicture {
    /// The look of a cell.
    ///
    /// # Panics
    /// If the cell lies outside the grid.
    pub fn look(&self, step: Step, block: Block) -> &CellLook {
        &self.cells[step.0 * self.shape.n_blocks + block.0]
    }
}

/// How one cell looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CellLook {
    /// Its colour.
    pub paint: Paint,
    /// What stands in it: at most two characters, so that it can be read in grey.
    pub letter: &'static str,
    /// Outlined: differs from what was recorded (or from the other plan).
    pub is_changed: bool,
    /// Set by hand.
    pub is_edited: bool,
    /// Kept as it is, whatever the threshold.
    pub is_locked: bool,
    /// Being decided right now.
    pub is_at_work: bool,
}

/// The colour of a cell. The numbers are chosen by the style sheet, per theme.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Paint {
    /// One of the strategies' colours: an index into `Strategy::ALL`.
    Strategy(usize),
    /// A place on the one-colour scale of a number, in [0, 1].
    Scale(f32),
    /// A place on the two-colour scale of a number that may be negative, in [-1, 1].
    Balance(f32),
    /// Nothing is known here.
    Nothing,
}
