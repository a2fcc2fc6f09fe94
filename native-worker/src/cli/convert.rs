//! `dfa convert`: pickles of PyTorch → a model folder of safetensors files.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::terminal::{StopButton, note, print_result};
use super::{Failure, GlobalFlags};
use crate::convert::{ConvertObserver, ConvertRequest, Converted, convert};
use crate::report_html::bytes;

/// Convert a model from PyTorch's pickles, which are read as data and never executed.
#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// A model folder or a component of one with .bin files; or a single checkpoint: the
    /// authors' DiT (.pt) or Open-Sora's STDiT2 (.pth).
    #[arg(value_name = "FROM")]
    from: PathBuf,
    /// The model folder to make.
    #[arg(value_name = "TO")]
    to: PathBuf,
    /// VAE for a checkpoint of DiT: its folder, or a model folder with a vae/ in it.
    #[arg(long, env = "DFA_VAE", value_name = "DIR")]
    vae: Option<PathBuf>,
    /// Attention heads of a checkpoint of none of the published sizes.
    #[arg(long, env = "DFA_HEADS", value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    heads: Option<u64>,
    /// Replace the model folder TO if it is there.
    #[arg(long, env = "DFA_FORCE", value_parser = super::switch())]
    force: bool,
}

pub(crate) fn run(args: &ConvertArgs, global: GlobalFlags) -> Result<ExitCode, Failure> {
    let request = ConvertRequest {
        from: args.from.clone(),
        to: args.to.clone(),
        vae: args.vae.clone(),
        n_heads: args.heads,
        force: args.force,
    };
    let mut progress = Progress {
        bar: bar(),
        stop: StopButton::install()?,
    };
    let converted = convert(&request, &mut progress);
    progress.bar.finish_and_clear();
    let converted = converted.map_err(|error| match error.is_usage() {
        true => Failure::usage(error),
        false => Failure::failed(error),
    })?;
    report(args, &converted, global)?;
    Ok(ExitCode::SUCCESS)
}

fn report(args: &ConvertArgs, converted: &Converted, global: GlobalFlags) -> Result<(), Failure> {
    let files = converted.files.iter();
    if global.json {
        let files = files.map(|file| {
            json!({"file": file.name, "size_bytes": file.size_bytes, "n_tensors": file.n_tensors})
        });
        let value = json!({
            "path": args.to.to_string_lossy(),
            "kind": converted.kind,
            "files": files.collect::<Vec<_>>(),
            "notes": converted.notes,
        });
        return print_result(&value.to_string());
    }
    for file in files {
        let tensors = match file.n_tensors {
            Some(n) => format!(", {n} tensors"),
            None => String::new(),
        };
        print_result(&format!(
            "{}: {}{tensors}",
            file.name,
            bytes(file.size_bytes)
        ))?;
    }
    for text in &converted.notes {
        note(&format!("note: {text}"));
    }
    note(&format!("wrote {}", args.to.display()));
    Ok(())
}

/// Nothing is shown where standard error is no terminal.
fn bar() -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(None, target);
    let template = "{prefix:>11} {bar:30} {percent:>3} %  {bytes} of {total_bytes}  {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_prefix("converting");
    bar
}

struct Progress {
    bar: ProgressBar,
    stop: StopButton,
}

impl ConvertObserver for Progress {
    fn begin(&mut self, total_bytes: u64) {
        self.bar.set_length(total_bytes);
    }

    fn wrote(&mut self, n_bytes: u64) {
        self.bar.inc(n_bytes);
    }

    fn is_cancelled(&self) -> bool {
        self.stop.is_pressed()
    }
}
