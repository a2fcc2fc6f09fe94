//! `dfa sweep`: one plan per threshold, each compared with raw on images that calibration
//! did not see, as one table: what a threshold costs in quality and gives in time.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use dfa_core::search::Threshold;
use dfa_core::wire::{CheckedPlan, Report};
use serde_json::json;

use super::generate::positive;
use super::run_flags::{RunFlags, ensure_folder};
use super::search_flags::SearchFlags;
use super::terminal::{self, Progress, StopButton};
use super::{Failure, GlobalFlags};
use crate::calibrate::{CalibrateError, calibrate, plan_file};
use crate::compare::{CompareError, compare};
use crate::made_files::why_no_pictures;
use crate::run_setup::{Purpose, RunSetup};
use crate::whole_file::write_whole;

/// Flags of `dfa sweep`.
#[derive(Clone, Debug, Args)]
pub(crate) struct SweepArgs {
    #[command(flatten)]
    run: RunFlags,
    #[command(flatten)]
    search: SearchFlags,
    /// Thresholds δ: numbers, or the paper's D1 to D6.
    #[arg(
        long,
        env = "DFA_THRESHOLDS",
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "D1,D2,D3,D4,D5,D6"
    )]
    thresholds: Vec<Threshold>,
    /// Images that each plan is compared on, of random classes.
    #[arg(long, env = "DFA_COMPARE_IMAGES", value_name = "N", default_value_t = 16, value_parser = positive)]
    compare_images: usize,
    /// Seed of the compared images [default: --seed plus 1, so that they are new ones].
    #[arg(long, env = "DFA_COMPARE_SEED", value_name = "SEED")]
    compare_seed: Option<u64>,
    /// Most images denoised at once; raw and compressed alternate by batches.
    #[arg(long, env = "DFA_BATCH_SIZE", value_name = "N", default_value_t = 2, value_parser = positive)]
    batch_size: usize,
    /// Folder for the plans, sweep.json and sweep.md.
    #[arg(
        short,
        long,
        env = "DFA_OUTPUT",
        value_name = "DIR",
        default_value = "out/sweep"
    )]
    output: PathBuf,
}

/// One threshold's outcome.
struct Row {
    threshold: Threshold,
    plan_file: PathBuf,
    calibrate_secs: f64,
    report: Report,
}

/// Runs `dfa sweep`.
pub(super) fn run(args: &SweepArgs, global: GlobalFlags) -> Result<ExitCode, Failure> {
    ensure_folder(&args.output)?;
    let seen = args.run.prepare(Purpose::Calibrate, None)?;
    if let Some(reason) = why_no_pictures(&seen.loaded.folder) {
        return Err(Failure::failed(anyhow::anyhow!("{reason}")));
    }
    let seed = args.compare_seed.unwrap_or(args.run.seed.wrapping_add(1));
    let held_out = args.run.of_new_images(seed, args.compare_images);
    let held_out = held_out.prepare(Purpose::Compare, None)?;
    let stop = StopButton::install()?;
    let mut rows = Vec::new();
    for &threshold in &args.thresholds {
        let row = sweep_one(args, threshold, (&seen, &held_out), &stop)?;
        let kept = 100.0 * row.report.cost.attention_kept_share;
        terminal::note(&format!(
            "{}: {kept:.1} % of the attention MACs kept, calibrated in {:.0} s",
            name_of(threshold),
            row.calibrate_secs
        ));
        rows.push(row);
        // After every threshold: a sweep that is stopped keeps what it has.
        save(args, &rows)?;
    }
    if global.json {
        terminal::print_result(&as_json(&rows).to_string())?;
    } else {
        terminal::print_result(markdown(&rows).trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn sweep_one(
    args: &SweepArgs,
    threshold: Threshold,
    (seen, held_out): (&RunSetup, &RunSetup),
    stop: &StopButton,
) -> Result<Row, Failure> {
    let request = args.search.request(threshold, seen)?;
    let n_steps = seen.run.sampler.n_steps();
    let mut progress = Progress::of_cells(stop, "calibrating", n_steps * seen.geometry().n_blocks);
    let start = Instant::now();
    let denoiser = seen.whole_denoiser();
    let found = calibrate(&denoiser, &request, &seen.latent, None, &mut progress);
    progress.finish();
    let plan = plan_file::plan_of(
        seen,
        &request,
        &found.map_err(|error| match error {
            CalibrateError::Run(error) => error.into(),
            error => Failure::failed(error),
        })?,
    );
    let calibrate_secs = start.elapsed().as_secs_f64();
    let plan_file = args
        .output
        .join(format!("plan-{}.json", name_of(threshold)));
    let text = plan.to_json().map_err(Failure::failed)?;
    write(&plan_file, &text)?;
    let report = compared(args, held_out, &plan, stop)?;
    Ok(Row {
        threshold,
        plan_file,
        calibrate_secs,
        report,
    })
}

fn compared(
    args: &SweepArgs,
    setup: &RunSetup,
    plan: &CheckedPlan,
    stop: &StopButton,
) -> Result<Report, Failure> {
    let n_batches = setup.n_images().div_ceil(args.batch_size);
    let n_steps = 2 * n_batches * setup.run.sampler.n_steps();
    let mut progress = Progress::of_steps(stop, "comparing", n_steps);
    let found = compare(setup, plan, None, args.batch_size, &mut progress);
    progress.finish();
    let found = found.map_err(|error| match error {
        CompareError::Run(error) => error.into(),
        error => Failure::failed(error),
    })?;
    Ok(found.report)
}

/// `D4`, or the number where the paper has no name for it.
fn name_of(threshold: Threshold) -> String {
    let mut named = Threshold::named();
    named
        .find(|(_, value)| *value == threshold)
        .map_or_else(|| threshold.to_string(), |(name, _)| name.to_owned())
}

fn save(args: &SweepArgs, rows: &[Row]) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(&as_json(rows)).map_err(Failure::failed)?;
    write(&args.output.join("sweep.json"), &(json + "\n"))?;
    write(&args.output.join("sweep.md"), &markdown(rows))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    write_whole(path, text.as_bytes()).map_err(|error| {
        Failure::failed(
            anyhow::Error::new(error).context(format!("cannot write {}", path.display())),
        )
    })
}

fn as_json(rows: &[Row]) -> serde_json::Value {
    let row = |row: &Row| {
        json!({
            "threshold": row.threshold.value(), "plan": row.plan_file,
            "calibrate_secs": row.calibrate_secs, "report": row.report,
        })
    };
    rows.iter().map(row).collect()
}

/// The table of `docs/results.md`.
fn markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "| δ | attention MACs kept | layer MACs kept | full, WA-RS, AST, ASC, WA-RS + ASC (% of cells) | layer time | run time | PSNR median (worst) | SSIM median (worst) | calibrated in |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in rows {
        text += &table_row(row);
    }
    text
}

fn table_row(row: &Row) -> String {
    let Report {
        cost,
        timings,
        images,
        plan,
        ..
    } = &row.report;
    // The ablation is no candidate unless asked for; it is in the plan file.
    let shares: Vec<String> = plan
        .strategies
        .iter()
        .filter(|share| share.strategy != dfa_core::Strategy::WindowOnly)
        .map(|share| format!("{:.0}", 100.0 * share.share))
        .collect();
    let ratio = |part: fn(&dfa_core::wire::report::RunTiming) -> f64| {
        part(&timings.compressed) / part(&timings.raw)
    };
    let psnr = images
        .iter()
        .map(|image| image.psnr_db.unwrap_or(f64::INFINITY));
    let (psnr_median, psnr_worst) = median_and_worst(psnr);
    let (ssim_median, ssim_worst) = median_and_worst(images.iter().map(|image| image.ssim));
    format!(
        "| {} ({}) | {:.1} % | {:.1} % | {} | × {:.2} | × {:.2} | {psnr_median:.1} dB ({psnr_worst:.1}) | {ssim_median:.3} ({ssim_worst:.3}) | {:.0} s |\n",
        name_of(row.threshold),
        row.threshold,
        100.0 * cost.attention_kept_share,
        100.0 * cost.layer_kept_share,
        shares.join(", "),
        ratio(|timing| timing.attention_secs),
        ratio(|timing| timing.total_secs),
        row.calibrate_secs,
    )
}

/// The median, because one image that turns out otherwise would carry a mean away.
fn median_and_worst(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = |at: usize| values.get(at).copied().unwrap_or(f64::NAN);
    let n = values.len();
    let median = (middle(n.saturating_sub(1) / 2) + middle(n / 2)) / 2.0;
    (median, middle(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_called_by_the_papers_names() {
        let check = |text: &str, expected: &str| {
            assert_eq!(text.parse().map(name_of), Ok(expected.to_owned()), "{text}");
        };
        check("0.1", "D4");
        check("d6", "D6");
        check("0.11", "0.11");
    }

    #[test]
    fn the_worst_of_a_similarity_is_the_smallest() {
        assert_eq!(median_and_worst([1.0, 0.5].into_iter()), (0.75, 0.5));
        assert_eq!(median_and_worst([9.0, 2.0, 1.0].into_iter()), (2.0, 1.0));
    }
}
