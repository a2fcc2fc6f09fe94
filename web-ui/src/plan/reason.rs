//! One cell in words: what was measured against its budget, which candidates failed, and
//! why it is what it is. [`words`] is a line for a tooltip, [`reason`] the whole story.

use dfa_core::search::Threshold;
use dfa_core::{Block, Step, Strategy};

use super::workbench::{Shown, Workbench};
use crate::words::{number, percent};

/// The whole story of one cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// What the layer does at this cell.
    pub headline: String,
    /// Why, one sentence each, in the order in which they are to be read.
    pub sentences: Vec<String>,
    /// The losses of the candidates, in the order in which they are tried; empty where
    /// nothing was searched.
    pub candidates: Vec<Candidate>,
    /// The budget at the δ shown.
    pub budget: Option<f64>,
    /// How far the telling loss stays below the budget, as a share of it.
    pub margin: Option<f64>,
}

/// One candidate of a cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The strategy.
    pub strategy: Strategy,
    /// Its loss; `None` if it was not measured.
    pub loss: Option<f32>,
    /// Whether the loss is under the budget shown.
    pub passes: bool,
    /// Whether the cell shown has it.
    pub is_shown: bool,
    /// Whether the search chose it at its own δ.
    pub is_recorded: bool,
    /// What came of it, in a few words.
    pub verdict: &'static str,
}

/// What a screen reader and a tooltip say of a cell, position left out: its strategy, its
/// loss against its budget, and what is special about it.
pub fn words(bench: &Workbench, shown: &Shown, step: Step, block: Block) -> String {
    let strategy = shown.plan.strategy(step, block);
    let opened = bench.opened();
    let mut words = strategy.paper_name().to_owned();
    let loss = opened.telling_loss(step, block, strategy);
    if let Some((loss, threshold)) = loss.zip(shown.threshold) {
        let budget = opened.budget(threshold, block);
        let loss = number(loss.into());
        words += &format!(", loss {loss} of budget {}", number(budget));
        if let Some(margin) = opened.margin(threshold, step, block, strategy) {
            words += &format!(", margin {}", percent(margin));
        }
    }
    let state = shown.state(step, block);
    let marks = [
        (state.is_changed, ", changed"),
        (state.is_edited, ", set by hand"),
        (state.is_locked, ", locked"),
        (state.is_unmeasured, ", not measured"),
    ];
    for (_, mark) in marks.into_iter().filter(|&(holds, _)| holds) {
        words += mark;
    }
    words
}

/// Everything that can be said of a cell.
pub fn reason(bench: &Workbench, shown: &Shown, step: Step, block: Block) -> Reason {
    let cell = Cell {
        bench,
        shown,
        step,
        block,
        strategy: shown.plan.strategy(step, block),
    };
    let candidates = cell.candidates();
    let mut sentences = Vec::new();
    if step.0 == 0 {
        sentences.push(
            "At step 0 every block computes full attention: there is nothing yet that it could \
             reuse, so nothing is measured."
                .to_owned(),
        );
    } else {
        sentences.extend(cell.why(&candidates));
    }
    sentences.extend(cell.what_was_done());
    sentences.extend(cell.what_is_kept());
    let threshold = shown.threshold.filter(|_| step.0 > 0);
    Reason {
        headline: headline(cell.strategy).to_owned(),
        sentences,
        candidates,
        budget: threshold.map(|at| bench.opened().budget(at, block)),
        margin: threshold.and_then(|at| bench.opened().margin(at, step, block, cell.strategy)),
    }
}

/// What a strategy does, in one sentence.
pub const fn headline(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Full => "Full attention: everything is computed.",
        Strategy::WindowResidual => {
            "WA-RS: attention within the window, plus what the last full step saw outside of it."
        }
        Strategy::ShareSteps => {
            "AST: nothing is computed; the output of the last step that computed is used again."
        }
        Strategy::ShareCfg => {
            "ASC: full attention for the conditional branch only; the other branch gets the same."
        }
        Strategy::WindowResidualShareCfg => {
            "WA-RS + ASC: window attention and residual of the conditional branch, for both."
        }
        Strategy::WindowOnly => {
            "WA: attention within the window, without the residual (an ablation of the paper)."
        }
    }
}

/// One cell of the plan shown.
struct Cell<'a> {
    bench: &'a Workbench,
    shown: &'a Shown,
    step: Step,
    block: Block,
    strategy: Strategy,
}

impl Cell<'_> {
    /// The candidates with their losses against the budget shown.
    fn candidates(&self) -> Vec<Candidate> {
        let opened = self.bench.opened();
        let Some((record, threshold)) = opened.record().zip(self.shown.threshold) else {
            return Vec::new();
        };
        let Some(cell) = record
            .cell(self.step, self.block)
            .filter(|_| self.step.0 > 0)
        else {
            return Vec::new();
        };
        let budget = opened.budget(threshold, self.block);
        let mut has_winner = false;
        let candidates = record.settings().candidates.iter().map(|&strategy| {
            let loss = cell.loss_of(strategy);
            let passes = loss.is_some_and(|loss| f64::from(loss) < budget);
            let verdict = match (loss, passes, has_winner) {
                (None, ..) => "not measured",
                (Some(_), false, _) => "over the budget",
                (Some(_), true, false) => "the first under the budget",
                (Some(_), true, true) => "under the budget, but saves less",
            };
            has_winner |= passes;
            Candidate {
                strategy,
                loss,
                passes,
                is_shown: strategy == self.strategy,
                is_recorded: strategy == cell.choice,
                verdict,
            }
        });
        candidates.collect()
    }

    /// Why the losses give what they give.
    fn why(&self, candidates: &[Candidate]) -> Vec<String> {
        let Some(threshold) = self.shown.threshold.filter(|_| !candidates.is_empty()) else {
            return vec![
                "This plan holds no losses: it was made by hand or comes from another program."
                    .to_owned(),
            ];
        };
        let mut sentences = vec![self.budget_in_words(threshold)];
        // What comes after a gap in the measurements decides nothing.
        let tried = candidates
            .iter()
            .take_while(|candidate| candidate.loss.is_some());
        let failed = tried.clone().take_while(|candidate| !candidate.passes);
        let failed: Vec<String> = failed
            .map(|candidate| {
                format!(
                    "{} ({})",
                    candidate.strategy.paper_name(),
                    loss_of(candidate)
                )
            })
            .collect();
        if !failed.is_empty() {
            let verb = if failed.len() == 1 { "loses" } else { "lose" };
            sentences.push(format!("{} {verb} too much.", listed(&failed)));
        }
        let is_complete = tried.clone().count() == candidates.len();
        sentences.push(match tried.clone().find(|candidate| candidate.passes) {
            Some(winner) => format!(
                "{} with a loss of {} is the first that stays under the budget, and the strongest \
                 saving that does.",
                winner.strategy.paper_name(),
                loss_of(winner)
            ),
            None if is_complete => "No candidate passes, so the losses say full attention.".into(),
            None => "The next candidate was never measured, because the calibration stopped at \
                     its first success; so the cell is full attention until it is calibrated again."
                .into(),
        });
        sentences
    }

    fn budget_in_words(&self, threshold: Threshold) -> String {
        format!(
            "The budget is {}: {}/{} of δ = {}, because it opens with depth.",
            number(self.bench.opened().budget(threshold, self.block)),
            self.block.0 + 1,
            self.shown.plan.shape().n_blocks,
            number(threshold.value())
        )
    }

    /// What a person did here, and how far the words above can be trusted.
    fn what_was_done(&self) -> Vec<String> {
        let state = self.shown.state(self.step, self.block);
        let mut sentences = Vec::new();
        if state.is_edited {
            let name = self.strategy.paper_name();
            sentences.push(format!(
                "It was set to {name} by hand, whatever the losses say."
            ));
        } else if state.is_locked {
            sentences.push("It is locked: δ does not change it.".to_owned());
        }
        if state.is_changed {
            let recorded = self.bench.recorded().strategy(self.step, self.block);
            sentences.push(match self.bench.opened().recorded_threshold() {
                Some(at) => format!(
                    "The search chose {} at its own δ = {}.",
                    recorded.paper_name(),
                    number(at.value())
                ),
                None => format!("In the opened file it is {}.", recorded.paper_name()),
            });
        }
        if state.could_differ {
            sentences.push(
                "Its losses were measured while earlier cells were other than now, so this is an \
                 estimate; a calibration at this δ gives the truth."
                    .to_owned(),
            );
        }
        sentences
    }

    /// What the layer leaves behind here for later steps.
    fn what_is_kept(&self) -> Option<String> {
        let plan = &self.shown.plan;
        plan.needs_residual(self.step, self.block).then(|| {
            "It also keeps its window residual, because a later step adds it before the next full \
             one."
                .to_owned()
        })
    }
}

fn loss_of(candidate: &Candidate) -> String {
    candidate
        .loss
        .map_or("not measured".into(), |loss| number(loss.into()))
}

/// `a`, `a and b`, `a, b and c`.
fn listed(words: &[String]) -> String {
    match words.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests;
