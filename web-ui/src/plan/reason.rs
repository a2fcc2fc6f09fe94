//! One cell in words: what was measured against its budget, which candidates failed, and
//! why it is what it is.

use dfa_core::{Block, Step};

use super::workbench::{Shown, Workbench};
use crate::words::{number, percent};

/// What a screen reader and a tooltip say of a cell, position left out: its strategy, its
/// loss against its budget, and what is special about it.
pub fn words(bench: &Workbench, shown: &Shown, step: Step, block: Block) -> String {
    let strategy = shown.plan.strategy(step, block);
    let opened = bench.opened();
    let mut words = strategy.paper_name().to_owned();
    let loss = opened.telling_loss(step, block, strategy);
    if let Some((loss, threshold)) = loss.zip(shown.threshold) {
        let budget = opened.budget(threshold, block);
        words += &format!(
            ", loss {} of budget {}",
            number(loss.into()),
            number(budget)
        );
    }
    if let Some(threshold) = shown.threshold
        && let Some(margin) = opened.margin(threshold, step, block, strategy)
    {
        words += &format!(", margin {}", percent(margin));
    }
    let state = shown.state(step, block);
    let marks = [
        (state.is_changed, "changed"),
        (state.is_edited, "set by hand"),
        (state.is_locked, "locked"),
        (state.is_unmeasured, "not measured"),
    ];
    for (_, mark) in marks.into_iter().filter(|&(holds, _)| holds) {
        words += ", ";
        words += mark;
    }
    words
}
