//! `dfa plan convert`: from and to the formats of other projects.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use dfa_core::Window;
use dfa_core::wire::csv::export_csv;
use dfa_core::wire::plan_file::MAX_TOKENS;
use dfa_core::wire::reference::export_reference;
use dfa_core::wire::xdit::export_xdit;
use dfa_core::wire::{CheckedPlan, plan_hash};
use serde_json::json;

use super::read::{Format, format_of, plan_from_bytes, read_bytes};
use crate::cli::terminal::{note, print_result, warn};
use crate::cli::{Failure, GlobalFlags};
use crate::whole_file::write_whole;

/// Convert a plan.
#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// The plan to convert; - is standard input.
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The file to write; - is standard output.
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// Format to write.
    #[arg(long, env = "DFA_TO", value_enum)]
    to: Format,
    /// Format of IN.
    #[arg(long, env = "DFA_FROM", value_enum, default_value_t = From::Auto)]
    from: From,
    /// Window for formats that do not record it: keys on each side, or LEFT,RIGHT.
    #[arg(long, env = "DFA_WINDOW", value_name = "N|LEFT,RIGHT|1/8", value_parser = parse_window)]
    window: Option<WindowFlag>,
    /// Image tokens of one sample: the window is then an eighth of them on each side.
    #[arg(long, env = "DFA_TOKENS", value_name = "N", value_parser = super::parse_tokens)]
    tokens: Option<usize>,
}

/// Format of the file that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum From {
    /// Whatever the content looks like.
    Auto,
    /// This project's plan file.
    Json,
    /// One line per cell.
    Csv,
    /// xDiT's JSON.
    Xdit,
    /// The reference's pickle in a zip; read as data, never executed.
    Reference,
}

/// A window as typed.
#[derive(Clone, Copy, Debug)]
enum WindowFlag {
    Keys(Window),
    Eighth,
}

pub(super) fn run(args: &ConvertArgs, global: GlobalFlags) -> Result<ExitCode, Failure> {
    let bytes = read_bytes(&args.input)?;
    let format = args.from.or_found_in(&bytes);
    let window = match (args.window, args.tokens) {
        (Some(WindowFlag::Keys(window)), _) => Some(window),
        (Some(WindowFlag::Eighth), None) => {
            return Err(Failure::Usage(anyhow!(
                "--window 1/8 is a share of the tokens; give --tokens too"
            )));
        }
        _ => None,
    };
    let read = plan_from_bytes(&bytes, format, &args.input, (window, args.tokens))?;
    if args.to == Format::Json && !read.has_window {
        return Err(Failure::Usage(anyhow!(
            "{} does not record its window, which a plan file needs; give --window, or --tokens for an eighth on each side",
            args.input.display()
        )));
    }
    let mut warnings = read.warnings;
    if read.format == Format::Json && args.window.is_some() {
        warnings.push("the plan file records its window; --window is ignored".into());
    }
    warnings.extend(losses_of_conversion(
        &read.checked,
        args.to,
        read.has_window,
    ));
    let text = export(&read.checked, args.to).map_err(Failure::Failed)?;
    for warning in &warnings {
        warn(warning);
    }
    write(&args.output, &text)?;
    report(args, &read.checked, &warnings, global)?;
    Ok(ExitCode::SUCCESS)
}

impl From {
    fn or_found_in(self, bytes: &[u8]) -> Format {
        match self {
            Self::Auto => format_of(bytes),
            Self::Json => Format::Json,
            Self::Csv => Format::Csv,
            Self::Xdit => Format::Xdit,
            Self::Reference => Format::Reference,
        }
    }
}

fn export(checked: &CheckedPlan, to: Format) -> anyhow::Result<Vec<u8>> {
    Ok(match to {
        Format::Json => checked.to_json()?.into_bytes(),
        Format::Csv => export_csv(checked).into_bytes(),
        Format::Xdit => export_xdit(&checked.plan)?.into_bytes(),
        Format::Reference => export_reference(&checked.plan),
    })
}

/// What the written format cannot hold.
fn losses_of_conversion(checked: &CheckedPlan, to: Format, has_window: bool) -> Option<String> {
    if to == Format::Json {
        return None;
    }
    let window = checked.plan.window();
    let mut lost = Vec::new();
    if has_window {
        lost.push(format!(
            "the window ({} keys before and {} after a query)",
            window.left, window.right
        ));
    }
    if checked.search.is_some() && to != Format::Csv {
        lost.push("the losses".into());
    }
    if checked.fingerprint.is_some() {
        lost.push("what the plan was made for".into());
    }
    (!lost.is_empty()).then(|| format!("the written format does not hold {}", lost.join(", ")))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if path == Path::new("-") {
        let mut out = std::io::stdout().lock();
        return match out.write_all(bytes).and_then(|()| out.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Failure::failed(error))
            }
            _ => Ok(()),
        };
    }
    let written = write_whole(path, bytes);
    written
        .with_context(|| format!("cannot write {}", path.display()))
        .map_err(Failure::Failed)
}

/// Says what was written, unless standard output holds the plan itself.
fn report(
    args: &ConvertArgs,
    checked: &CheckedPlan,
    warnings: &[String],
    global: GlobalFlags,
) -> Result<(), Failure> {
    if args.output == Path::new("-") {
        return Ok(());
    }
    if global.json {
        let file = args.output.to_string_lossy();
        let value =
            json!({"file": file, "plan_hash": plan_hash(&checked.plan), "warnings": warnings});
        return print_result(&value.to_string());
    }
    note(&format!("wrote {}", args.output.display()));
    Ok(())
}

fn parse_window(text: &str) -> Result<WindowFlag, String> {
    if text == "1/8" {
        return Ok(WindowFlag::Eighth);
    }
    let side = |text: &str| {
        text.trim()
            .parse()
            .ok()
            .filter(|&keys: &usize| keys <= MAX_TOKENS)
    };
    let sides = match text.split_once(',') {
        Some((left, right)) => side(left).zip(side(right)),
        None => side(text).zip(side(text)),
    };
    let window = sides.map(|(left, right)| WindowFlag::Keys(Window { left, right }));
    window.ok_or_else(|| "expected the keys on each side, LEFT,RIGHT, or 1/8".into())
}

/// Writes a plan file.
pub(super) fn write_plan(path: &Path, checked: &CheckedPlan) -> Result<(), Failure> {
    let text = checked.to_json().map_err(Failure::failed)?;
    write(path, text.as_bytes())
}
