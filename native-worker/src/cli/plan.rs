//! `dfa plan`: look at, compare, check, convert and decide again.
//!
//! Every command takes plan files of this project and, where that makes sense, those of
//! others: the format is found in the content. `-` is standard input.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Failure, GlobalFlags};

mod convert;
mod diff;
pub(crate) mod read;
mod redecide;
mod show;
mod summary;
mod validate;

/// What to do with plans.
#[derive(Debug, Subcommand)]
pub(crate) enum PlanCommand {
    /// Draw a plan as a grid of letters, with its totals.
    Show(show::ShowArgs),
    /// Say where two plans differ. Exit code 0 if they are equal, 1 if not.
    Diff(diff::DiffArgs),
    /// Report every problem of plan files. Exit code 1 if there is any.
    Validate(validate::ValidateArgs),
    /// Convert a plan from or to the formats of other projects.
    Convert(convert::ConvertArgs),
    /// Decide a plan again at another threshold, from the losses that it records.
    Redecide(redecide::RedecideArgs),
}

/// What a plan's totals need and its file may not say.
#[derive(Clone, Debug, Args)]
pub(crate) struct SizeFlags {
    /// Image tokens of one sample [default: the plan's].
    #[arg(long, env = "DFA_TOKENS", value_name = "N", value_parser = parse_tokens)]
    pub(crate) tokens: Option<usize>,
    /// Model width (heads × head size), for the share of the whole layer [default: the plan's].
    #[arg(long, env = "DFA_WIDTH", value_name = "D", value_parser = parse_width)]
    pub(crate) width: Option<usize>,
}

/// Where a command writes its plan.
#[derive(Clone, Debug, Args)]
pub(crate) struct OutputFlag {
    /// File to write; - is standard output.
    #[arg(short, long, env = "DFA_OUTPUT", value_name = "FILE")]
    pub(crate) output: PathBuf,
}

/// Runs one of them.
pub(crate) fn run(command: &PlanCommand, global: GlobalFlags) -> Result<ExitCode, Failure> {
    match command {
        PlanCommand::Show(args) => show::run(args, global),
        PlanCommand::Diff(args) => diff::run(args, global),
        PlanCommand::Validate(args) => validate::run(args, global),
        PlanCommand::Convert(args) => convert::run(args, global),
        PlanCommand::Redecide(args) => redecide::run(args, global),
    }
}

fn parse_tokens(text: &str) -> Result<usize, String> {
    parse_at_most(text, dfa_core::wire::plan_file::MAX_TOKENS)
}

fn parse_width(text: &str) -> Result<usize, String> {
    parse_at_most(text, 1 << 20)
}

fn parse_at_most(text: &str, most: usize) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(format!("expected a whole number from 1 to {most}")),
    }
}
