//! The plan as a heat map: steps from left to right, blocks from top to bottom. Every cell
//! has a letter as well as a colour, and a title with what was measured there.

use std::fmt::Write as _;

use dfa_core::search::{CellRecord, Threshold};
use dfa_core::wire::CheckedPlan;
use dfa_core::{Block, Step, Strategy};
use maud::{Markup, html};

use super::{ReportPage, counted, css_class, in_words, letter, percent};

/// Larger plans are not drawn: nobody could read them, and the file would be huge.
const MAX_CELLS: usize = 20_000;
/// Side of a cell where every step has room for its timestep, in pixels.
const WIDE_CELL: usize = 26;
/// Side of a cell in a plan of many steps, in pixels; every fifth step is labelled.
const NARROW_CELL: usize = 19;
/// The most steps that are drawn with wide cells.
const MAX_WIDE_STEPS: usize = 34;
/// Room for the blocks' numbers.
const LEFT: usize = 68;
/// Room for the steps' numbers and timesteps.
const TOP: usize = 48;

/// Heat map, legend, and the same as a table.
pub(super) fn section(page: &ReportPage<'_>) -> Markup {
    let plan = &page.plan.plan;
    let is_drawn = plan.shape().n_cells() <= MAX_CELLS;
    html! {
        section aria-labelledby="plan" {
            h2 id="plan" { "The compression plan" }
            (legend(page.plan))
            @if is_drawn {
                figure {
                    div.wide tabindex="0" role="region" aria-label="heat map of the plan" { (drawing(page.plan)) }
                    figcaption { (caption(page.plan)) }
                }
                details {
                    summary { "The same as a table of letters" }
                    div.wide { (table(page.plan)) }
                }
            } @else {
                p { "A plan of " (plan.shape()) " is too large to be drawn here; dfa plan show prints it." }
            }
        }
    }
}

fn caption(checked: &CheckedPlan) -> Markup {
    html! {
        "One column per denoising step, noisiest first, with the step above and its timestep below that; "
        "one row per transformer block, from the input down."
        @if checked.search.is_some() { " Rest the pointer on a cell to see its losses, budget and margin." }
    }
}

fn legend(checked: &CheckedPlan) -> Markup {
    let n_cells = checked.plan.shape().n_cells() as f64;
    let counts = Strategy::ALL.map(|strategy| (strategy, checked.plan.count(strategy)));
    html! {
        ul.legend {
            @for (strategy, count) in counts.into_iter().filter(|&(strategy, count)| count > 0 || strategy != Strategy::WindowOnly) {
                li {
                    span class={ "key " (css_class(strategy)) } { (letter(strategy)) }
                    span { (in_words(strategy)) ": " (counted(count, "cell")) ", " (percent(count as f64 / n_cells)) }
                }
            }
        }
    }
}

fn drawing(checked: &CheckedPlan) -> Markup {
    let shape = checked.plan.shape();
    let side = cell_side(checked);
    let width = LEFT + shape.n_steps * side + 2;
    let height = TOP + shape.n_blocks * side + 2;
    html! {
        svg.plan xmlns="http://www.w3.org/2000/svg" width=(width) height=(height)
            viewBox=(format!("0 0 {width} {height}")) role="group" aria-label=(format!("plan of {shape}")) {
            text.axis x="0" y="16" { "step" }
            text.axis x="0" y="34" { @if checked.fingerprint.is_some() { "timestep" } }
            @for step in shape.steps().filter(|step| side == WIDE_CELL || step.0 % 5 == 0) {
                (step_label(checked, step))
            }
            @for block in shape.blocks() {
                text.axis x="0" y=(TOP + block.0 * side + side / 2 + 4) { "block " (block.0) }
            }
            @for (step, block, strategy) in checked.plan.cells() {
                (cell(checked, step, block, strategy))
            }
        }
    }
}

fn cell_side(checked: &CheckedPlan) -> usize {
    if checked.plan.shape().n_steps > MAX_WIDE_STEPS {
        NARROW_CELL
    } else {
        WIDE_CELL
    }
}

fn step_label(checked: &CheckedPlan, step: Step) -> Markup {
    let side = cell_side(checked);
    let middle = LEFT + step.0 * side + side / 2;
    let timestep = checked
        .fingerprint
        .as_ref()
        .and_then(|fingerprint| fingerprint.timesteps.get(step.0));
    html! {
        text x=(middle) y="16" text-anchor="middle" { (step.0) }
        @if let Some(timestep) = timestep {
            text x=(middle) y="34" text-anchor="middle" { (format!("{timestep:.0}")) }
        }
    }
}

fn cell(checked: &CheckedPlan, step: Step, block: Block, strategy: Strategy) -> Markup {
    let side = cell_side(checked);
    let (x, y) = (LEFT + step.0 * side, TOP + block.0 * side);
    html! {
        g class={ "cell " (css_class(strategy)) } {
            title { (cell_in_words(checked, step, block, strategy)) }
            rect x=(x + 1) y=(y + 1) width=(side - 2) height=(side - 2) rx="3" {}
            text.letter x=(x + side / 2) y=(y + side / 2 + 4) { (letter(strategy)) }
        }
    }
}

/// Where the cell is, what it does, and what the search measured there.
fn cell_in_words(checked: &CheckedPlan, step: Step, block: Block, strategy: Strategy) -> String {
    let mut words = format!("{step}, {block}");
    if let Some(timestep) = checked
        .fingerprint
        .as_ref()
        .and_then(|made_for| made_for.timesteps.get(step.0))
    {
        let _ = write!(words, ", timestep {timestep}");
    }
    let _ = write!(words, "\n{}", in_words(strategy));
    let Some(search) = &checked.search else {
        return words;
    };
    let Some(record) = search.record.cell(step, block) else {
        return words;
    };
    if record.measured.is_empty() {
        words.push_str("\nnothing measured: the first step is always full");
        return words;
    }
    let threshold = search.record.settings().threshold;
    push_losses(
        &mut words,
        record,
        threshold,
        block,
        checked.plan.shape().n_blocks,
    );
    if record.choice != strategy {
        let _ = write!(
            words,
            "\nedited: the search chose {}",
            in_words(record.choice)
        );
    }
    words
}

fn push_losses(
    words: &mut String,
    record: &CellRecord,
    threshold: Threshold,
    block: Block,
    n_blocks: usize,
) {
    let budget = threshold.block_budget(block, n_blocks);
    for measured in &record.measured {
        let loss = f64::from(measured.loss);
        let verdict = match () {
            () if measured.candidate == record.choice => "chosen",
            () if loss < budget => "would pass too",
            () => "over budget",
        };
        let _ = write!(words, "\n{}: loss {loss:.5}, {verdict}", measured.candidate);
    }
    let _ = write!(words, "\nbudget {budget:.5}");
    match record.loss_of(record.choice) {
        Some(loss) => {
            let _ = write!(words, ", margin {:.5}", budget - f64::from(loss));
        }
        None => words.push_str(": no candidate passed"),
    }
}

fn table(checked: &CheckedPlan) -> Markup {
    let plan = &checked.plan;
    html! {
        table.letters {
            thead { tr {
                th scope="col" { "step" }
                @for block in plan.shape().blocks() { th scope="col" { "block " (block.0) } }
            } }
            tbody {
                @for step in plan.shape().steps() {
                    tr {
                        th scope="row" { (step.0) }
                        @for &strategy in plan.row(step) { td class=(css_class(strategy)) { (letter(strategy)) } }
                    }
                }
            }
        }
    }
}
