//! `dfa generate`: images, raw or by a plan.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use dfa_core::liveness::peak_cache_bytes;
use dfa_core::wire::{CheckedPlan, plan_hash};
use serde_json::json;

use super::run_flags::{PlanFlags, RunFlags, ensure_folder, ensure_parent, read_plan};
use super::terminal::{self, Progress, StopButton};
use super::{Failure, GlobalFlags};
use crate::image_batch::{ImageBatches, ImageRun};
use crate::made_files::{MadeFile, image_files, why_no_pictures};
use crate::report_html::bytes;
use crate::run_setup::{Purpose, RunSetup};
use crate::whole_file::write_whole;

/// Flags of `dfa generate`.
#[derive(Clone, Debug, Args)]
pub(crate) struct GenerateArgs {
    #[command(flatten)]
    run: RunFlags,
    /// Compression plan; without one nothing is compressed.
    #[arg(long, env = "DFA_PLAN", value_name = "FILE")]
    plan: Option<PathBuf>,
    #[command(flatten)]
    plan_flags: PlanFlags,
    /// Most images denoised at once.
    #[arg(long, env = "DFA_BATCH_SIZE", value_name = "N", default_value_t = 8, value_parser = positive)]
    batch_size: usize,
    /// Folder for the pictures.
    #[arg(
        short,
        long,
        env = "DFA_OUTPUT",
        value_name = "DIR",
        default_value = "out/generate"
    )]
    output: PathBuf,
    /// Also save the final latents, tensor `latents`, to this safetensors file.
    #[arg(long, env = "DFA_SAVE_LATENTS", value_name = "FILE")]
    save_latents: Option<PathBuf>,
}

/// A number of at least 1.
pub(super) fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err("a number of at least 1 is needed".into()),
    }
}

/// Runs `dfa generate`.
pub(super) fn run(args: &GenerateArgs, global: GlobalFlags) -> Result<ExitCode, Failure> {
    let plan = args.plan.as_deref().map(read_plan).transpose()?;
    let setup = args.run.prepare(Purpose::Generate, plan.as_ref())?;
    if let (Some(path), Some(plan)) = (&args.plan, &plan) {
        args.plan_flags.check(path, plan, &setup)?;
    }
    let makes_pictures = check_outputs(args, &setup)?;
    let predicted = plan.as_ref().map(|plan| {
        let n_in_batch = args.batch_size.min(setup.n_images());
        peak_cache_bytes(&plan.plan, setup.cache_shape(n_in_batch)).bytes
    });
    if let Some(predicted) = predicted {
        terminal::note(&format!(
            "the plan's layer caches will take {} at most",
            bytes(predicted)
        ));
    }
    let stop = StopButton::install()?;
    let batches = ImageBatches {
        setup: &setup,
        batch_size: args.batch_size,
    };
    let n_steps = batches.starts().count() * setup.run.sampler.n_steps();
    let mut progress = Progress::of_steps(&stop, "generating", n_steps);
    let made = batches.run_all(plan.as_ref().map(|plan| &plan.plan), &mut progress);
    progress.finish();
    let made = made?;
    if let Some(path) = &args.save_latents {
        save_latents(path, &made)?;
    }
    let files = if makes_pictures {
        {
            let pictures = image_files(&setup, plan.as_ref(), &made).map_err(Failure::failed)?;
            save_pictures(&args.output, &pictures)?
        }
    } else {
        Vec::new()
    };
    report(global, &files, (plan.as_ref(), predicted), &made)
}

/// Whether there will be pictures; makes the folders first, before any work is done.
fn check_outputs(args: &GenerateArgs, setup: &RunSetup) -> Result<bool, Failure> {
    if let Some(path) = &args.save_latents {
        ensure_parent(path)?;
    }
    match why_no_pictures(&setup.loaded.folder) {
        None => ensure_folder(&args.output).map(|()| true),
        Some(reason) if args.save_latents.is_some() => {
            terminal::warn(&format!("no pictures will be written: {reason}"));
            Ok(false)
        }
        Some(reason) => Err(Failure::failed(anyhow::anyhow!(
            "{reason}; --save-latents FILE keeps the latents"
        ))),
    }
}

fn save_latents(path: &Path, made: &ImageRun) -> Result<(), Failure> {
    let tensors = HashMap::from([("latents".to_owned(), made.latent.clone())]);
    let bytes = safetensors::serialize(&tensors, None).map_err(Failure::failed)?;
    write_whole(path, &bytes).map_err(|error| {
        Failure::failed(
            anyhow::Error::new(error).context(format!("cannot write {}", path.display())),
        )
    })
}

/// Writes the pictures into `folder`.
fn save_pictures(folder: &Path, pictures: &[MadeFile]) -> Result<Vec<PathBuf>, Failure> {
    let write = |file: &MadeFile| write_made(folder, file).map(|()| folder.join(&file.name));
    pictures.iter().map(write).collect()
}

/// Writes one file that a run made.
pub(super) fn write_made(folder: &Path, file: &MadeFile) -> Result<(), Failure> {
    let path = folder.join(&file.name);
    write_whole(&path, &file.bytes).map_err(|error| {
        Failure::failed(
            anyhow::Error::new(error).context(format!("cannot write {}", path.display())),
        )
    })
}

fn report(
    global: GlobalFlags,
    files: &[PathBuf],
    (plan, predicted): (Option<&CheckedPlan>, Option<u64>),
    made: &ImageRun,
) -> Result<ExitCode, Failure> {
    if global.json {
        let summary = json!({
            "pictures": files, "plan_hash": plan.map(|plan| plan_hash(&plan.plan).to_string()),
            "total_secs": made.total_secs, "attention_secs": made.attention_secs,
            "predicted_peak_cache_bytes": predicted.unwrap_or(0),
            "peak_cache_bytes": made.peak_cache_bytes,
        });
        terminal::print_result(&summary.to_string())?;
    } else {
        for file in files {
            terminal::print_result(&file.display().to_string())?;
        }
        terminal::note(&format!(
            "denoised in {:.2} s, of which {:.2} s in self-attention layers",
            made.total_secs, made.attention_secs
        ));
    }
    Ok(ExitCode::SUCCESS)
}
