//! The compression plan: which strategy each block uses at each step, and the window
//! that its window attention sees.
//!
//! Always true of a plan that exists: it has at least one step and one block, one
//! strategy per (step, block), and every block of step 0 is `full`, so an output and a
//! residual to reuse always exist. A plan does not know the model it was made for; the
//! plan file's fingerprint records that and checks it on loading.

use alloc::vec::Vec;

use crate::grid::{Block, GridShape, Step};
use crate::strategy::Strategy;
use crate::window::Window;

/// Most steps a plan may have.
pub const MAX_STEPS: usize = 4096;
/// Most blocks a plan may have.
pub const MAX_BLOCKS: usize = 1024;

/// One strategy per (step, block), and the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompressionPlan {
    shape: GridShape,
    window: Window,
    /// Row by row: cell (t, i) at `t * n_blocks + i`.
    cells: Vec<Strategy>,
}

/// Why a grid of strategies is not a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No step or no block, or absurdly many.
    #[error(
        "a plan needs 1 to {MAX_STEPS} steps and 1 to {MAX_BLOCKS} blocks, found {n_steps} × {n_blocks}"
    )]
    BadShape {
        /// Steps found.
        n_steps: usize,
        /// Blocks found.
        n_blocks: usize,
    },
    /// The number of cells is not steps × blocks.
    #[error("a plan of {shape} has {} cells, found {found}", shape.n_cells())]
    WrongSize {
        /// The shape asked for.
        shape: GridShape,
        /// Cells found.
        found: usize,
    },
    /// A block of the first step is not full attention.
    #[error(
        "step 0 must be full attention in every block (nothing to reuse exists yet), but {block} is {strategy}"
    )]
    FirstStepNotFull {
        /// The first block that is not full.
        block: Block,
        /// What it is.
        strategy: Strategy,
    },
    /// A change outside the plan.
    #[error("{step}, {block} is outside a plan of {shape}")]
    OutsidePlan {
        /// The step asked for.
        step: Step,
        /// The block asked for.
        block: Block,
        /// The plan's shape.
        shape: GridShape,
    },
}

impl CompressionPlan {
    /// A plan from its cells, row by row (all blocks of step 0, then of step 1, …).
    ///
    /// # Errors
    /// [`PlanError`] names the invariant that does not hold.
    pub fn new(shape: GridShape, window: Window, cells: Vec<Strategy>) -> Result<Self, PlanError> {
        let GridShape { n_steps, n_blocks } = shape;
        if !(1..=MAX_STEPS).contains(&n_steps) || !(1..=MAX_BLOCKS).contains(&n_blocks) {
            return Err(PlanError::BadShape { n_steps, n_blocks });
        }
        if cells.len() != shape.n_cells() {
            let found = cells.len();
            return Err(PlanError::WrongSize { shape, found });
        }
        for (block, &strategy) in shape.blocks().zip(&cells) {
            if strategy != Strategy::Full {
                return Err(PlanError::FirstStepNotFull { block, strategy });
            }
        }
        Ok(Self {
            shape,
            window,
            cells,
        })
    }

    /// The plan that compresses nothing.
    ///
    /// # Errors
    /// [`PlanError::BadShape`].
    pub fn all_full(shape: GridShape, window: Window) -> Result<Self, PlanError> {
        let n_cells = shape
            .n_steps
            .min(MAX_STEPS)
            .saturating_mul(shape.n_blocks.min(MAX_BLOCKS));
        Self::new(shape, window, alloc::vec![Strategy::Full; n_cells])
    }

    /// Steps × blocks.
    pub fn shape(&self) -> GridShape {
        self.shape
    }

    /// The window of this plan's window attention.
    pub fn window(&self) -> Window {
        self.window
    }

    /// The strategy of one cell.
    ///
    /// # Panics
    /// If the cell is outside the plan; iterate over [`shape`](Self::shape) to stay inside.
    pub fn strategy(&self, step: Step, block: Block) -> Strategy {
        self.row(step)[block.0]
    }

    /// The strategies of all blocks at one step, input to output.
    ///
    /// # Panics
    /// If the step is outside the plan.
    pub fn row(&self, step: Step) -> &[Strategy] {
        let start = step.0 * self.shape.n_blocks;
        &self.cells[start..start + self.shape.n_blocks]
    }

    /// Every cell, row by row.
    pub fn cells(&self) -> impl Iterator<Item = (Step, Block, Strategy)> + '_ {
        self.shape
            .cells()
            .zip(&self.cells)
            .map(|((step, block), &strategy)| (step, block, strategy))
    }

    /// A copy with one cell changed.
    ///
    /// # Errors
    /// [`PlanError::OutsidePlan`], or [`PlanError::FirstStepNotFull`] at step 0.
    pub fn with_strategy(
        &self,
        step: Step,
        block: Block,
        strategy: Strategy,
    ) -> Result<Self, PlanError> {
        let shape = self.shape;
        if step.0 >= shape.n_steps || block.0 >= shape.n_blocks {
            return Err(PlanError::OutsidePlan { step, block, shape });
        }
        let mut cells = self.cells.clone();
        cells[step.0 * shape.n_blocks + block.0] = strategy;
        Self::new(shape, self.window, cells)
    }

    /// How many cells use `strategy`.
    pub fn count(&self, strategy: Strategy) -> usize {
        self.cells.iter().filter(|&&cell| cell == strategy).count()
    }

    /// Whether any cell shares the conditional branch, which needs guidance.
    pub fn needs_cfg(&self) -> bool {
        self.cells.iter().any(|cell| cell.shares_cfg())
    }

    /// Whether the layer must keep its window residual at `step`: it computes full
    /// attention and a WA-RS step comes before the next full-computing one
    /// (method, section 2).
    pub fn needs_residual(&self, step: Step, block: Block) -> bool {
        self.strategy(step, block).computes_full()
            && (step.0 + 1..self.shape.n_steps)
                .map(|later| self.strategy(Step(later), block))
                .take_while(|strategy| !strategy.computes_full())
                .any(Strategy::uses_residual)
    }

    /// Cells in which two plans of the same shape differ; `None` if the shapes differ.
    pub fn changed_cells(&self, other: &Self) -> Option<Vec<(Step, Block)>> {
        (self.shape == other.shape).then(|| {
            self.cells()
                .filter(|&(step, block, strategy)| other.strategy(step, block) != strategy)
                .map(|(step, block, _)| (step, block))
                .collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Strategy::{Full as F, ShareCfg as C, ShareSteps as A, WindowResidual as W};

    const SHAPE: GridShape = GridShape {
        n_steps: 3,
        n_blocks: 2,
    };

    fn column(strategies: &[Strategy]) -> CompressionPlan {
        let shape = GridShape {
            n_steps: strategies.len(),
            n_blocks: 1,
        };
        CompressionPlan::new(shape, Window::symmetric(1), strategies.to_vec()).unwrap()
    }

    #[test]
    fn bad_grids_are_refused() {
        let check = |shape, cells: &[Strategy], expected| {
            let found = CompressionPlan::new(shape, Window::symmetric(1), cells.to_vec());
            assert_eq!(found.unwrap_err(), expected);
        };
        let empty = GridShape {
            n_steps: 0,
            n_blocks: 2,
        };
        check(
            empty,
            &[],
            PlanError::BadShape {
                n_steps: 0,
                n_blocks: 2,
            },
        );
        check(
            SHAPE,
            &[F; 5],
            PlanError::WrongSize {
                shape: SHAPE,
                found: 5,
            },
        );
        check(
            SHAPE,
            &[F, A, F, F, F, F],
            PlanError::FirstStepNotFull {
                block: Block(1),
                strategy: A,
            },
        );
    }

    #[test]
    fn a_residual_is_needed_until_the_next_full_step() {
        let check = |strategies: &[Strategy], expected: &[usize]| {
            let plan = column(strategies);
            let found: Vec<usize> = (0..strategies.len())
                .filter(|&t| plan.needs_residual(Step(t), Block(0)))
                .collect();
            assert_eq!(found, expected, "{strategies:?}");
        };
        check(&[F, F, F], &[]);
        check(&[F, W, F], &[0]);
        check(&[F, F, A, W, C, A], &[1]);
        check(&[F, A, C, A, W, W], &[2]);
    }

    #[test]
    fn a_cell_can_be_changed_but_not_at_step_0() {
        let plan = CompressionPlan::all_full(SHAPE, Window::symmetric(1)).unwrap();
        let edited = plan.with_strategy(Step(2), Block(1), A).unwrap();
        assert_eq!(edited.strategy(Step(2), Block(1)), A);
        assert_eq!(
            plan.changed_cells(&edited),
            Some(alloc::vec![(Step(2), Block(1))])
        );
        assert!(plan.with_strategy(Step(0), Block(1), A).is_err());
        assert!(plan.with_strategy(Step(3), Block(0), A).is_err());
    }
}
