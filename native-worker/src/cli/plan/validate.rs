//! `dfa plan validate`: every problem of every file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use dfa_core::wire::{CheckedPlan, PlanFile, plan_hash};
use serde_json::{Value, json};

use super::read::{Format, format_of, plan_from_bytes, read_bytes};
use crate::cli::terminal::print_result;
use crate::cli::{Failure, GlobalFlags};

/// Check plans.
#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// Plan files, in any known format; - is standard input.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

pub(super) fn run(args: &ValidateArgs, global: GlobalFlags) -> Result<ExitCode, Failure> {
    let mut is_good = true;
    let mut values = Vec::new();
    for path in &args.files {
        let outcome = check(path);
        is_good &= outcome.is_ok();
        if global.json {
            values.push(json_of(path, &outcome));
        } else {
            print_result(&text_of(path, &outcome))?;
        }
    }
    if global.json {
        print_result(&Value::from(values).to_string())?;
    }
    Ok(ExitCode::from(u8::from(!is_good)))
}

/// The plan, or all that is wrong with its file.
fn check(path: &Path) -> Result<CheckedPlan, Vec<String>> {
    let one = |failure: Failure| vec![message_of(&failure)];
    let bytes = read_bytes(path).map_err(one)?;
    match format_of(&bytes) {
        Format::Json => check_json(&bytes),
        format => {
            let read = plan_from_bytes(&bytes, format, path, (None, None));
            read.map(|read| read.checked).map_err(one)
        }
    }
}

fn check_json(bytes: &[u8]) -> Result<CheckedPlan, Vec<String>> {
    let text =
        std::str::from_utf8(bytes).map_err(|error| vec![format!("not a text file: {error}")])?;
    let file = PlanFile::parse(text).map_err(|error| vec![error.to_string()])?;
    let problems =
        |problems: dfa_core::wire::Problems| problems.0.iter().map(ToString::to_string).collect();
    file.check().map_err(problems)
}

/// What is wrong, without the path, which is said once per file.
fn message_of(failure: &Failure) -> String {
    match failure {
        Failure::Usage(error) | Failure::Failed(error) => error.root_cause().to_string(),
    }
}

fn text_of(path: &Path, outcome: &Result<CheckedPlan, Vec<String>>) -> String {
    let path = path.display();
    match outcome {
        Ok(checked) => format!(
            "{path}: ok, {}, plan {}",
            checked.plan.shape(),
            plan_hash(&checked.plan).short()
        ),
        Err(problems) => {
            let ending = if problems.len() == 1 { "" } else { "s" };
            format!(
                "{path}: {} problem{ending}\n  {}",
                problems.len(),
                problems.join("\n  ")
            )
        }
    }
}

fn json_of(path: &Path, outcome: &Result<CheckedPlan, Vec<String>>) -> Value {
    let hash = outcome
        .as_ref()
        .ok()
        .map(|checked| plan_hash(&checked.plan));
    json!({
        "file": path.to_string_lossy(),
        "valid": outcome.is_ok(),
        "plan_hash": hash,
        "problems": outcome.as_ref().err().cloned().unwrap_or_default(),
    })
}
