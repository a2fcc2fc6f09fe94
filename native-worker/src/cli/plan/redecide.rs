//! `dfa plan redecide`: the plan that recorded losses give at another threshold.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;
use dfa_core::search::{Redecision, Threshold, redecide};
use dfa_core::wire::{CheckedPlan, PlanSearch, plan_hash};
use serde_json::json;

use super::OutputFlag;
use super::convert::write_plan;
use super::read::read_plan;
use crate::cli::terminal::{note, print_result, warn};
use crate::cli::{Failure, GlobalFlags};

/// Decide a plan again.
#[derive(Debug, Args)]
pub(crate) struct RedecideArgs {
    /// Plan file with recorded losses; - is standard input.
    #[arg(env = "DFA_PLAN", value_name = "FILE")]
    file: PathBuf,
    /// The new threshold: a number, or the paper's D1 to D6.
    #[arg(long, env = "DFA_THRESHOLD", value_name = "THRESHOLD")]
    threshold: Threshold,
    #[command(flatten)]
    output: OutputFlag,
}

pub(super) fn run(args: &RedecideArgs, global: GlobalFlags) -> Result<ExitCode, Failure> {
    let checked = read_plan(&args.file, None)?.checked;
    let Some(search) = &checked.search else {
        return Err(Failure::Failed(anyhow!(
            "{} records no losses; calibrate with --search record-all to get a plan that can be decided again",
            args.file.display()
        )));
    };
    let decided =
        redecide(&search.record, args.threshold, checked.plan.window()).map_err(Failure::failed)?;
    let plan = edited(&checked, search, &decided, args.threshold);
    write_plan(&args.output.output, &plan)?;
    if !decided.unmeasured.is_empty() {
        warn(&format!(
            "{} cells are full because a loss that decides them was never measured; \
             calibrate with --search record-all to have them all",
            decided.unmeasured.len()
        ));
    }
    report(args, &plan, &decided, global)?;
    Ok(ExitCode::SUCCESS)
}

/// The new plan, marked. `edited_from` names the plan that the search chose, also where
/// the file's own plan had been edited before: the losses belong to that one.
fn edited(
    checked: &CheckedPlan,
    search: &PlanSearch,
    decided: &Redecision,
    threshold: Threshold,
) -> CheckedPlan {
    let chosen = search.record.plan(checked.plan.window());
    let recorded = search.record.settings().threshold;
    let note = format!(
        "{}: decided again at threshold {threshold} from losses recorded at {recorded}; \
         {} cells changed, {} could not be decided",
        if decided.is_estimate {
            "estimate"
        } else {
            "exact"
        },
        decided.changed.len(),
        decided.unmeasured.len(),
    );
    CheckedPlan {
        edited_from: chosen
            .ok()
            .map(|plan| plan_hash(&plan))
            .filter(|_| decided.is_estimate),
        plan: decided.plan.clone(),
        notes: Some(note),
        ..checked.clone()
    }
}

fn report(
    args: &RedecideArgs,
    plan: &CheckedPlan,
    decided: &Redecision,
    global: GlobalFlags,
) -> Result<(), Failure> {
    let output = &args.output.output;
    let is_stdout = output == Path::new("-");
    if global.json && !is_stdout {
        let value = json!({
            "file": output.to_string_lossy(),
            "plan_hash": plan_hash(&plan.plan),
            "threshold": args.threshold.value(),
            "is_estimate": decided.is_estimate,
            "n_changed": decided.changed.len(),
            "n_unmeasured": decided.unmeasured.len(),
        });
        return print_result(&value.to_string());
    }
    note(plan.notes.as_deref().unwrap_or_default());
    if !is_stdout {
        note(&format!("wrote {}", output.display()));
    }
    Ok(())
}
