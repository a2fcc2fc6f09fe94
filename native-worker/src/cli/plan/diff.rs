//! `dfa plan diff`: where two plans differ.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use dfa_core::{Block, Step, Strategy};
use serde_json::{Value, json};

use super::SizeFlags;
use super::read::{ReadPlan, read_plan};
use super::summary::{KeptShares, summary_json};
use crate::cli::plan_grid::{GridCell, GridStyle, draw};
use crate::cli::terminal::{print_result, warn};
use crate::cli::{Failure, GlobalFlags};
use crate::report_html::letter;

/// Compare two plans.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The first plan, in any known format.
    #[arg(value_name = "A")]
    a: PathBuf,
    /// The second plan.
    #[arg(value_name = "B")]
    b: PathBuf,
    #[command(flatten)]
    sizes: SizeFlags,
}

/// Two plans, and the cells that differ; none if the shapes do.
struct Difference {
    plans: [ReadPlan; 2],
    kept: [KeptShares; 2],
    changed: Option<Vec<(Step, Block)>>,
    windows_differ: bool,
}

pub(super) fn run(args: &DiffArgs, global: GlobalFlags) -> Result<ExitCode, Failure> {
    let a = read_plan(&args.a, args.sizes.tokens)?;
    let b = read_plan(&args.b, args.sizes.tokens)?;
    if !global.json {
        for warning in a.warnings.iter().chain(&b.warnings) {
            warn(warning);
        }
    }
    let difference = Difference::of(a, b, &args.sizes);
    let text = if global.json {
        difference.json().to_string()
    } else {
        difference.text()
    };
    print_result(text.trim_end())?;
    Ok(ExitCode::from(u8::from(!difference.is_none())))
}

impl Difference {
    fn of(a: ReadPlan, b: ReadPlan, sizes: &SizeFlags) -> Self {
        let kept = [&a, &b].map(|read| KeptShares::of(&read.checked, sizes, read.has_window));
        let windows = [&a, &b].map(|read| read.has_window.then(|| read.checked.plan.window()));
        Self {
            changed: a.checked.plan.changed_cells(&b.checked.plan),
            // A plan that does not say its window differs in none.
            windows_differ: matches!(windows, [Some(first), Some(second)] if first != second),
            plans: [a, b],
            kept,
        }
    }

    fn is_none(&self) -> bool {
        !self.windows_differ && self.changed.as_ref().is_some_and(Vec::is_empty)
    }

    fn strategies(&self, (step, block): (Step, Block)) -> [Strategy; 2] {
        [0, 1].map(|idx| self.plans[idx].checked.plan.strategy(step, block))
    }

    /// Share of the cells after step 0 that are equal: at step 0 no plan has a choice. Of a
    /// plan of one step, 1.
    fn equal_share(&self) -> Option<f64> {
        let shape = self.plans[0].checked.plan.shape();
        let n_chosen = shape.n_cells() - shape.n_blocks;
        let n_changed = self.changed.as_ref()?.len();
        Some(match n_chosen {
            0 => 1.0,
            n => 1.0 - n_changed as f64 / n as f64,
        })
    }

    fn json(&self) -> Value {
        let cell = |&(step, block): &(Step, Block)| {
            let [a, b] = self.strategies((step, block));
            json!({"step": step.0, "block": block.0, "a": a.as_str(), "b": b.as_str()})
        };
        let changed = self.changed.as_ref();
        json!({
            "equal": self.is_none(),
            "windows_differ": self.windows_differ,
            "shapes_differ": changed.is_none(),
            "a": summary_json(&self.plans[0].checked, self.kept[0]),
            "b": summary_json(&self.plans[1].checked, self.kept[1]),
            "equal_share": self.equal_share(),
            "changed": changed.map(|cells| cells.iter().map(cell).collect::<Vec<_>>()),
        })
    }

    fn text(&self) -> String {
        let [a, b] = [0, 1].map(|idx| &self.plans[idx].checked.plan);
        let Some(changed) = &self.changed else {
            return format!(
                "the plans have different shapes: {} and {}",
                a.shape(),
                b.shape()
            );
        };
        let mut text = String::new();
        if self.windows_differ {
            let _ = writeln!(
                text,
                "the windows differ: {:?} and {:?}",
                a.window(),
                b.window()
            );
        }
        if changed.is_empty() {
            text.push_str("the strategies are equal\n");
        } else {
            let n_cells = a.shape().n_cells();
            let _ = writeln!(
                text,
                "{} of {n_cells} cells differ ({:.1} % of those after step 0 agree); B's letter where they do:\n",
                changed.len(),
                100.0 * self.equal_share().unwrap_or(0.0),
            );
            text.push_str(&self.grid(changed));
            text.push('\n');
            text.push_str(&self.list(changed));
        }
        for (name, kept) in ["A", "B"].into_iter().zip(self.kept) {
            let _ = writeln!(text, "{name}: {}", kept.line());
        }
        text
    }

    /// B's letter in the cells that differ, a dot elsewhere.
    fn grid(&self, changed: &[(Step, Block)]) -> String {
        let shape = self.plans[1].checked.plan.shape();
        draw(shape, GridStyle::of_stdout(), |step, block| {
            // Sorted by construction: the plan is walked in the order of its cells.
            if changed.binary_search(&(step, block)).is_err() {
                return GridCell {
                    letter: '·',
                    colour: None,
                };
            }
            let [_, strategy] = self.strategies((step, block));
            GridCell {
                letter: letter(strategy),
                colour: Some(strategy),
            }
        })
    }

    /// The cells that differ, by what became what.
    fn list(&self, changed: &[(Step, Block)]) -> String {
        let mut groups: BTreeMap<[Strategy; 2], Vec<(Step, Block)>> = BTreeMap::new();
        for &cell in changed {
            groups.entry(self.strategies(cell)).or_default().push(cell);
        }
        let mut text = String::new();
        for ([from, to], cells) in groups {
            let _ = writeln!(text, "{from} → {to}, {} cells (step:block):", cells.len());
            let places: Vec<String> = cells
                .iter()
                .map(|(step, block)| format!("{}:{}", step.0, block.0))
                .collect();
            for line in places.chunks(12) {
                let _ = writeln!(text, "  {}", line.join(" "));
            }
        }
        text
    }
}
