//! `dfa doctor`: is this machine, and is this model folder, fit to work with?
//!
//! One line per check: `ok`, `warn` (works, but worth knowing) or `fail`. Exit code 1 if
//! anything fails.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::terminal::print_result;
use super::{Failure, GlobalFlags};

mod machine;
mod model;
mod stages;

/// Check machine and model.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// A model folder to check too.
    #[arg(long, env = "DFA_MODEL", value_name = "DIR")]
    model: Option<PathBuf>,
    /// Images per batch, for the memory estimates.
    #[arg(long, env = "DFA_BATCH_SIZE", value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    batch_size: u16,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Ok,
    Warn,
    Fail,
}

/// One line of the report.
#[derive(Clone, Debug)]
struct Finding {
    level: Level,
    check: &'static str,
    text: String,
}

impl Finding {
    fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(Level::Ok, check, text)
    }

    fn warn(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(Level::Warn, check, text)
    }

    fn fail(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(Level::Fail, check, text)
    }

    fn new(level: Level, check: &'static str, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { level, check, text }
    }
}

impl Level {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

pub(crate) fn run(args: &DoctorArgs, global: GlobalFlags) -> Result<ExitCode, Failure> {
    let mut findings = machine::findings();
    if let Some(model) = &args.model {
        findings.extend(model::findings(model, args.batch_size.into()));
    }
    let is_good = findings.iter().all(|finding| finding.level != Level::Fail);
    if global.json {
        let list: Vec<Value> = findings
            .iter()
            .map(|finding| json!({"level": finding.level.as_str(), "check": finding.check, "text": finding.text}))
            .collect();
        print_result(&json!({"healthy": is_good, "findings": list}).to_string())?;
    } else {
        for finding in &findings {
            print_result(&format!(
                "{:4}  {}: {}",
                finding.level.as_str(),
                finding.check,
                finding.text
            ))?;
        }
    }
    Ok(ExitCode::from(u8::from(!is_good)))
}
