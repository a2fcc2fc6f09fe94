//! `dfa plan show`: the heat map in the terminal.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use dfa_core::wire::CheckedPlan;
use dfa_core::{Block, Step, Strategy};
use serde_json::json;

use super::SizeFlags;
use super::read::{ReadPlan, read_plan};
use super::summary::{KeptShares, facts, legend, summary_json};
use crate::cli::plan_grid::{GridCell, GridStyle, draw};
use crate::cli::terminal::{print_result, warn};
use crate::cli::{Failure, GlobalFlags};
use crate::report_html::letter;

/// From this share of full cells on a plan is called ineffective.
const NEARLY_ALL_FULL: f64 = 0.95;

/// Draw a plan.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Plan file of any known format; - is standard input.
    #[arg(env = "DFA_PLAN", value_name = "FILE")]
    file: PathBuf,
    /// What the cells show.
    #[arg(long, env = "DFA_LAYER", value_enum, default_value_t = Layer::Strategy)]
    layer: Layer,
    #[command(flatten)]
    sizes: SizeFlags,
}

/// What the cells show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Layer {
    /// The strategy's letter.
    Strategy,
    /// The chosen candidate's loss, in tenths of the threshold.
    Loss,
    /// What the chosen candidate left of its block's budget, in tenths.
    Margin,
}

pub(super) fn run(args: &ShowArgs, global: GlobalFlags) -> Result<ExitCode, Failure> {
    let read = read_plan(&args.file, args.sizes.tokens)?;
    let checked = &read.checked;
    if args.layer != Layer::Strategy && checked.search.is_none() {
        let error = anyhow::anyhow!(
            "{} records no losses; only --layer strategy can be shown",
            args.file.display()
        );
        return Err(Failure::Usage(error));
    }
    let kept = KeptShares::of(checked, &args.sizes, read.has_window);
    let warnings = warnings_of(&read);
    if global.json {
        print_result(&json_of(checked, kept, &warnings).to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    for warning in &warnings {
        warn(warning);
    }
    let grid = draw(
        checked.plan.shape(),
        GridStyle::of_stdout(),
        |step, block| cell_of(checked, step, block, args.layer),
    );
    let key = match args.layer {
        Layer::Strategy => legend(checked),
        Layer::Loss => "  0-9: loss of the chosen candidate in tenths of the threshold; · nothing chosen; ? edited\n".into(),
        Layer::Margin => "  0-9: what was left of the block's budget, in tenths; · nothing chosen; ? edited\n".into(),
    };
    print_result(&format!(
        "{}\n\n{grid}\n{key}\n{}",
        facts(checked, read.has_window),
        kept.line()
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn warnings_of(read: &ReadPlan) -> Vec<String> {
    let plan = &read.checked.plan;
    let mut warnings = read.warnings.clone();
    let full = plan.count(Strategy::Full) as f64 / plan.shape().n_cells() as f64;
    if full >= NEARLY_ALL_FULL {
        warnings.push(format!(
            "{:.0} % of the cells are full attention: this plan saves next to nothing; \
             calibrate with a larger threshold",
            full * 100.0
        ));
    }
    warnings
}

fn json_of(checked: &CheckedPlan, kept: KeptShares, warnings: &[String]) -> serde_json::Value {
    let plan = &checked.plan;
    let rows = plan.shape().steps().map(|step| {
        let row = plan.row(step).iter();
        row.map(|strategy| strategy.as_str()).collect::<Vec<_>>()
    });
    let mut value = summary_json(checked, kept);
    value["warnings"] = json!(warnings);
    value["grid"] = json!(rows.collect::<Vec<_>>());
    value
}

fn cell_of(checked: &CheckedPlan, step: Step, block: Block, layer: Layer) -> GridCell {
    let strategy = checked.plan.strategy(step, block);
    let letter = match layer {
        Layer::Strategy => letter(strategy),
        Layer::Loss | Layer::Margin => tenths_of(checked, step, block, layer),
    };
    GridCell {
        letter,
        colour: Some(strategy),
    }
}

/// A digit from 0 to 9, `·` where no candidate was chosen, `?` where the cell was edited to
/// something that was never measured.
fn tenths_of(checked: &CheckedPlan, step: Step, block: Block, layer: Layer) -> char {
    let strategy = checked.plan.strategy(step, block);
    if strategy == Strategy::Full {
        return '·';
    }
    let Some(search) = &checked.search else {
        return '?';
    };
    let cell = search.record.cell(step, block);
    let Some(loss) = cell.and_then(|cell| cell.loss_of(strategy)) else {
        return '?';
    };
    let threshold = search.record.settings().threshold;
    let budget = threshold.block_budget(block, checked.plan.shape().n_blocks);
    let share = match layer {
        Layer::Margin => (budget - f64::from(loss)) / budget,
        Layer::Loss | Layer::Strategy => f64::from(loss) / threshold.value(),
    };
    // The cast saturates; a share of 1 and more is still a 9. Losses are f32: their rounding
    // must not turn five tenths into a 4.
    char::from_digit(((share * 10.0 + 1e-5) as u32).min(9), 10).unwrap_or('?')
}
