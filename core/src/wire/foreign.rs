//! What all foreign formats share: other projects' names of the strategies, and a grid
//! that is filled cell by cell in any order.
//!
//! Foreign files hold strategies and little else: no window, no guidance, no losses. An
//! import therefore yields a bare plan and a list of warnings about what is not known.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::grid::{Block, GridShape, Step};
use crate::plan::{CompressionPlan, MAX_BLOCKS, MAX_STEPS, PlanError};
use crate::strategy::Strategy;
use crate::window::Window;

/// A plan from a foreign file.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The plan.
    pub plan: CompressionPlan,
    /// What the file does not say, one sentence each, for people.
    pub warnings: Vec<String>,
}

/// The reference's string of a strategy.
pub const fn reference_name(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Full => "full_attn",
        Strategy::WindowResidual => "residual_window_attn",
        Strategy::ShareSteps => "output_share",
        Strategy::ShareCfg => "full_attn+cfg_attn_share",
        Strategy::WindowResidualShareCfg => "residual_window_attn+cfg_attn_share",
        Strategy::WindowOnly => "residual_window_attn+without_residual",
    }
}

/// xDiT's string of a strategy; it has none for window attention without residual.
pub const fn xdit_name(strategy: Strategy) -> Option<&'static str> {
    match strategy {
        Strategy::Full => Some("FULL_ATTN"),
        Strategy::WindowResidual => Some("RESIDUAL_WINDOW_ATTN"),
        Strategy::ShareSteps => Some("OUTPUT_SHARE"),
        Strategy::ShareCfg => Some("FULL_ATTN_CFG_SHARE"),
        Strategy::WindowResidualShareCfg => Some("RESIDUAL_WINDOW_ATTN_CFG_SHARE"),
        Strategy::WindowOnly => None,
    }
}

/// The strategy that the reference calls `name`.
pub fn strategy_from_reference(name: &str) -> Option<Strategy> {
    let mut all = Strategy::ALL.into_iter();
    all.find(|&strategy| reference_name(strategy) == name)
}

/// The strategy that xDiT calls `name`.
pub fn strategy_from_xdit(name: &str) -> Option<Strategy> {
    let mut all = Strategy::ALL.into_iter();
    all.find(|&strategy| xdit_name(strategy) == Some(name))
}

/// Why the cells of a foreign file are not a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GridError {
    /// A cell outside any plan.
    #[error(
        "{step}, {block} is beyond the largest plan of {MAX_STEPS} steps × {MAX_BLOCKS} blocks"
    )]
    TooLarge {
        /// Step of the cell.
        step: Step,
        /// Block of the cell.
        block: Block,
    },
    /// A cell that is given twice.
    #[error("{step}, {block} is given twice")]
    Repeated {
        /// Step of the cell.
        step: Step,
        /// Block of the cell.
        block: Block,
    },
    /// A cell that is not given.
    #[error("{step}, {block} is missing from a plan of {shape}")]
    Missing {
        /// Step of the cell.
        step: Step,
        /// Block of the cell.
        block: Block,
        /// The shape that the other cells span.
        shape: GridShape,
    },
    /// The grid is complete but breaks a rule of plans.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// Cells in any order, until they are a plan.
#[derive(Default)]
pub(crate) struct CellTable {
    cells: BTreeMap<(usize, usize), Strategy>,
}

impl CellTable {
    /// Fills one cell.
    pub(crate) fn insert(
        &mut self,
        step: Step,
        block: Block,
        strategy: Strategy,
    ) -> Result<(), GridError> {
        if step.0 >= MAX_STEPS || block.0 >= MAX_BLOCKS {
            return Err(GridError::TooLarge { step, block });
        }
        match self.cells.insert((step.0, block.0), strategy) {
            None => Ok(()),
            Some(_) => Err(GridError::Repeated { step, block }),
        }
    }

    /// The plan, if no cell of the grid that the cells span is missing.
    pub(crate) fn into_plan(self, window: Window) -> Result<CompressionPlan, GridError> {
        let n_of = |largest: Option<usize>| largest.map_or(0, |largest| largest + 1);
        let shape = GridShape {
            n_steps: n_of(self.cells.keys().map(|&(step, _)| step).max()),
            n_blocks: n_of(self.cells.keys().map(|&(_, block)| block).max()),
        };
        for ((step, block), &found) in shape.cells().zip(self.cells.keys()) {
            if (step.0, block.0) != found {
                return Err(GridError::Missing { step, block, shape });
            }
        }
        if let Some((step, block)) = shape.cells().nth(self.cells.len()) {
            return Err(GridError::Missing { step, block, shape });
        }
        let cells = self.cells.into_values().collect();
        Ok(CompressionPlan::new(shape, window, cells)?)
    }
}

/// The first 40 characters of a word, for messages.
pub(crate) fn shortened(word: &str) -> String {
    word.chars().take(40).collect()
}

/// The warnings that hold for every foreign file.
pub(crate) fn common_warnings(plan: &CompressionPlan) -> Vec<String> {
    let Window { left, right } = plan.window();
    let mut warnings = alloc::vec![alloc::format!(
        "the file does not name its window, model, steps or guidance; \
         the window is set to {left} keys before and {right} after each query"
    )];
    if plan.count(Strategy::WindowResidualShareCfg) > 0 {
        warnings.push(
            "the plan was searched with the first half of the window residual in wa_rs+asc, \
             which is the unconditional one in some pipelines; run it with residual half \
             \"first\" to reproduce that"
                .into(),
        );
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use Strategy::{Full, ShareSteps};

    #[test]
    fn names_are_those_of_the_method() {
        for strategy in Strategy::ALL {
            let reference = strategy_from_reference(reference_name(strategy));
            assert_eq!(reference, Some(strategy));
            let xdit = xdit_name(strategy).map(strategy_from_xdit);
            assert_eq!(
                xdit,
                (strategy != Strategy::WindowOnly).then_some(Some(strategy))
            );
        }
    }

    #[test]
    fn incomplete_grids_are_refused() {
        let check = |cells: &[(usize, usize, Strategy)], expected: &str| {
            let mut table = CellTable::default();
            let filled = cells.iter().try_for_each(|&(step, block, strategy)| {
                table.insert(Step(step), Block(block), strategy)
            });
            let plan = filled.and_then(|()| table.into_plan(Window::symmetric(1)));
            match plan {
                Ok(plan) => assert_eq!(alloc::format!("{}", plan.shape()), expected),
                Err(error) => assert!(alloc::format!("{error}").contains(expected), "{error}"),
            }
        };
        check(&[], "found 0 × 0");
        check(&[(1, 0, ShareSteps), (0, 0, Full)], "2 steps × 1 blocks");
        check(&[(0, 0, Full), (1, 1, Full)], "step 0, block 1 is missing");
        check(
            &[(0, 0, Full), (0, 1, Full), (1, 0, Full)],
            "step 1, block 1 is missing",
        );
        check(&[(1, 0, Full)], "step 0, block 0 is missing");
        check(
            &[(0, 0, Full), (0, 0, Full)],
            "step 0, block 0 is given twice",
        );
        check(&[(0, 0, ShareSteps)], "step 0 must be full");
        check(&[(MAX_STEPS, 0, Full)], "beyond the largest plan");
        check(&[(0, usize::MAX, Full)], "beyond the largest plan");
        check(&[(4095, 1023, Full)], "step 0, block 0 is missing");
    }
}
