//! `dfa completions`: a completion script for a shell.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use serde_json::json;

use super::terminal::print_result;
use super::{Cli, Failure, GlobalFlags};

/// Print a completion script.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(env = "DFA_SHELL", value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs, global: GlobalFlags) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "dfa", &mut script);
    let script = String::from_utf8_lossy(&script);
    let script = script.trim_end();
    if global.json {
        let value = json!({"shell": args.shell.to_string(), "script": script});
        print_result(&value.to_string())?;
    } else {
        print_result(script)?;
    }
    Ok(ExitCode::SUCCESS)
}
