//! A calibration's cells, as they are decided: a grid that fills.

use std::collections::BTreeMap;

use dfa_core::wire::job_event::DecisionEvent;
use dfa_core::{Block, GridShape, Step};

use crate::figure::palette::letter;
use crate::plan::layers::index_of;
use crate::plan::picture::{CellLook, GridPicture, Paint};
use crate::words::number;

/// What was decided so far. A step that a restarted worker decides again counts once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decisions {
    /// By step, then block.
    cells: BTreeMap<(u32, u32), DecisionEvent>,
    last: Option<(u32, u32)>,
}

impl Decisions {
    /// One more.
    pub fn push(&mut self, decision: DecisionEvent) {
        let place = (decision.step, decision.block);
        self.last = Some(place);
        self.cells.insert(place, decision);
    }

    /// How many cells are decided.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether nothing is decided yet.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The latest.
    pub fn last(&self) -> Option<&DecisionEvent> {
        self.cells.get(&self.last?)
    }

    /// From the end of the plan to its beginning.
    pub fn newest_first(&self) -> impl Iterator<Item = &DecisionEvent> {
        self.cells.values().rev()
    }

    /// The cell that is probably measured now.
    pub fn at_work(&self, shape: GridShape) -> Option<(Step, Block)> {
        let next = match self.last {
            None => 0,
            Some((step, block)) => step as usize * shape.n_blocks + block as usize + 1,
        };
        let is_inside = next < shape.n_cells();
        is_inside.then(|| (Step(next / shape.n_blocks), Block(next % shape.n_blocks)))
    }

    /// The grid as far as it is known; `at_work` is the cell that is being decided.
    pub fn picture(&self, shape: GridShape, at_work: Option<(Step, Block)>) -> GridPicture {
        let cells = shape.cells().map(|(step, block)| {
            let decision = self.at(step, block);
            CellLook {
                paint: decision.map_or(Paint::Nothing, |it| Paint::Strategy(index_of(it.choice))),
                letter: decision.map_or("", |it| letter(it.choice)),
                is_changed: false,
                is_edited: false,
                is_locked: false,
                is_at_work: at_work == Some((step, block)),
            }
        });
        GridPicture {
            shape,
            cells: cells.collect(),
        }
    }

    /// What is said of a cell, its position left out.
    pub fn words(&self, step: Step, block: Block) -> String {
        match self.at(step, block) {
            Some(decision) => outcome(decision),
            None => "not decided yet".into(),
        }
    }

    fn at(&self, step: Step, block: Block) -> Option<&DecisionEvent> {
        let place = (u32::try_from(step.0).ok()?, u32::try_from(block.0).ok()?);
        self.cells.get(&place)
    }
}

/// `Step 3, block 5: AST, loss 0.012 of budget 0.034. Too large: …`
pub fn sentence(decision: &DecisionEvent) -> String {
    let DecisionEvent { step, block, .. } = decision;
    let mut words = format!("Step {step}, block {block}: {}.", outcome(decision));
    let failed: Vec<String> = decision
        .measured
        .iter()
        .take_while(|measured| measured.candidate != decision.choice)
        .map(|it| format!("{} ({})", it.candidate.paper_name(), number(it.loss.into())))
        .collect();
    if !failed.is_empty() {
        words += &format!(" Too large: {}.", failed.join(", "));
    }
    words
}

fn outcome(decision: &DecisionEvent) -> String {
    let name = decision.choice.paper_name();
    let budget = number(decision.budget);
    let mut measured = decision.measured.iter();
    match measured.find(|measured| measured.candidate == decision.choice) {
        Some(it) => format!("{name}, loss {} of budget {budget}", number(it.loss.into())),
        None if decision.measured.is_empty() => format!("{name}, as every cell of the first step"),
        None => format!("{name}, no loss stays under {budget}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::examples::decision;
    use dfa_core::Strategy;

    const SHAPE: GridShape = GridShape {
        n_steps: 2,
        n_blocks: 2,
    };

    #[test]
    fn the_grid_fills_in_order() {
        let mut decisions = Decisions::default();
        assert_eq!(decisions.at_work(SHAPE), Some((Step(0), Block(0))));
        decisions.push(decision(0, 0, &[], Strategy::Full));
        decisions.push(decision(0, 1, &[], Strategy::Full));
        decisions.push(decision(
            1,
            0,
            &[(Strategy::ShareSteps, 0.01)],
            Strategy::ShareSteps,
        ));
        assert_eq!(decisions.at_work(SHAPE), Some((Step(1), Block(1))));
        let picture = decisions.picture(SHAPE, decisions.at_work(SHAPE));
        let letters: Vec<&str> = picture.cells.iter().map(|look| look.letter).collect();
        assert_eq!(letters, ["F", "F", "A", ""]);
        assert_eq!(picture.look(Step(1), Block(1)).paint, Paint::Nothing);
        let at_work: Vec<bool> = picture.cells.iter().map(|look| look.is_at_work).collect();
        assert_eq!(at_work, [false, false, false, true]);
        assert_eq!(decisions.words(Step(1), Block(1)), "not decided yet");
        decisions.push(decision(1, 1, &[], Strategy::Full));
        assert_eq!(decisions.at_work(SHAPE), None);
    }

    #[test]
    fn a_step_that_is_decided_again_counts_once() {
        let mut decisions = Decisions::default();
        for _ in 0..2 {
            decisions.push(decision(0, 0, &[], Strategy::Full));
        }
        assert_eq!(decisions.len(), 1);
    }

    #[test]
    fn decisions_are_said_with_what_failed_before() {
        let first = decision(0, 3, &[], Strategy::Full);
        assert_eq!(
            sentence(&first),
            "Step 0, block 3: full attention, as every cell of the first step."
        );
        let losses = [
            (Strategy::ShareSteps, 0.25),
            (Strategy::WindowResidual, 0.125),
        ];
        let chosen = decision(1, 0, &losses, Strategy::WindowResidual);
        assert_eq!(
            sentence(&chosen),
            "Step 1, block 0: WA-RS, loss 0.125 of budget 0.2. Too large: AST (0.25)."
        );
        let none = decision(1, 0, &losses, Strategy::Full);
        assert_eq!(
            sentence(&none),
            "Step 1, block 0: full attention, no loss stays under 0.2. \
             Too large: AST (0.25), WA-RS (0.125)."
        );
    }
}
