//! Where a decision sits: denoising step × transformer block.
//!
//! The two indices have types of their own because they are the two numbers of this
//! project that are most easily swapped:
//!
//! ```compile_fail
//! # use dfa_core::{Block, CompressionPlan, Step};
//! fn swapped(plan: &CompressionPlan) {
//!     plan.strategy(Block(12), Step(3));
//! }
//! ```

use core::fmt;

/// Position in the denoising loop: 0 is the first, noisiest step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step(pub usize);

/// Position of a transformer block, counted from the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block(pub usize);

/// Size of a plan: steps × blocks, both at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GridShape {
    /// Denoising steps, T in the paper.
    pub n_steps: usize,
    /// Transformer blocks, M in our notation.
    pub n_blocks: usize,
}

impl GridShape {
    /// Number of (step, block) cells.
    pub fn n_cells(self) -> usize {
        self.n_steps * self.n_blocks
    }

    /// All steps, first (noisiest) to last.
    pub fn steps(self) -> impl DoubleEndedIterator<Item = Step> + ExactSizeIterator {
        (0..self.n_steps).map(Step)
    }

    /// All blocks, input to output.
    pub fn blocks(self) -> impl DoubleEndedIterator<Item = Block> + ExactSizeIterator {
        (0..self.n_blocks).map(Block)
    }

    /// All cells, row by row: every block of step 0, then of step 1, and so on.
    pub fn cells(self) -> impl Iterator<Item = (Step, Block)> {
        self.steps()
            .flat_map(move |step| self.blocks().map(move |block| (step, block)))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}", self.0)
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {}", self.0)
    }
}

impl fmt::Display for GridShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} steps × {} blocks", self.n_steps, self.n_blocks)
    }
}
