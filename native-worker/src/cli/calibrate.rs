//! `dfa calibrate`: a compression plan for a model.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use dfa_core::Strategy;
use dfa_core::cost::PlanCost;
use dfa_core::search::{Goal, Threshold};
use dfa_core::wire::{CheckedPlan, plan_hash};
use serde_json::json;

use super::run_flags::RunFlags;
use super::search_flags::SearchFlags;
use super::terminal::{self, Progress, StopButton};
use super::{Failure, GlobalFlags};
use crate::calibrate::{
    CalibrateError, CalibrateRequest, CheckpointError, Saving, Target, calibrate, calibrate_to,
    plan_file,
};
use crate::generate::RunError;
use crate::run_setup::{Purpose, RunSetup};
use crate::whole_file::write_whole;

/// Flags of `dfa calibrate`.
#[derive(Clone, Debug, Args)]
pub(crate) struct CalibrateArgs {
    #[command(flatten)]
    run: RunFlags,
    /// Threshold δ: a number, or the paper's D1 to D6.
    #[arg(
        long,
        env = "DFA_THRESHOLD",
        value_name = "DELTA",
        default_value = "D2"
    )]
    threshold: Threshold,
    /// What the plan is to reach, instead of a threshold: macs=50% (attention MACs kept, at
    /// most), speedup=1.5 (predicted, at least) or psnr>=30 (dB, mean of the calibration
    /// images, at least). Exit code 1 if it cannot be reached; the plan is then the nearest.
    #[arg(
        long,
        env = "DFA_TARGET",
        value_name = "GOAL",
        conflicts_with = "threshold"
    )]
    target: Option<Goal>,
    #[command(flatten)]
    search: SearchFlags,
    /// Go on with a calibration that was stopped.
    #[arg(long, env = "DFA_RESUME", conflicts_with = "restart", value_parser = super::switch())]
    resume: bool,
    /// Throw away the saved state of a calibration that was stopped.
    #[arg(long, env = "DFA_RESTART", value_parser = super::switch())]
    restart: bool,
    /// Where the plan goes; the state goes beside it, to PLAN.state.
    #[arg(
        short,
        long,
        env = "DFA_OUTPUT",
        value_name = "PLAN",
        default_value = "plan.json"
    )]
    output: PathBuf,
}

/// Runs `dfa calibrate`.
pub(super) fn run(args: &CalibrateArgs, global: GlobalFlags) -> Result<ExitCode, Failure> {
    let state = state_path(&args.output);
    if state.exists() && !args.resume && !args.restart {
        return Err(Failure::usage(anyhow::anyhow!(
            "{} holds a calibration that was stopped: add --resume to go on with it, or --restart to throw it away",
            state.display()
        )));
    }
    super::run_flags::ensure_parent(&args.output)?;
    let setup = args.run.prepare(Purpose::Calibrate, None)?;
    let request = args.search.request(args.threshold, &setup)?;
    let settings = plan_file::settings(&setup, &request, args.target);
    let saving = Saving {
        path: &state,
        settings: &settings,
        resume: args.resume,
    };
    let stop = StopButton::install()?;
    let n_blocks = setup.geometry().n_blocks;
    let mut progress =
        Progress::of_cells(&stop, "calibrating", setup.run.sampler.n_steps() * n_blocks);
    let start = Instant::now();
    let found = find(args.target, &setup, &request, &saving, &mut progress);
    progress.finish();
    let found = found.map_err(|error| explain(error, &state))?;
    let elapsed_secs = start.elapsed().as_secs_f64();
    let plan = &found.plan;
    let text = plan.to_json().map_err(Failure::failed)?;
    write_whole(&args.output, text.as_bytes()).map_err(|error| {
        Failure::failed(
            anyhow::Error::new(error).context(format!("cannot write {}", args.output.display())),
        )
    })?;
    // The plan is safe; a state that cannot be removed is only clutter.
    let _ = std::fs::remove_file(&state);
    report(args, global, &setup, &found, elapsed_secs)
}

/// What a calibration found, by a threshold or a goal.
struct Found {
    plan: CheckedPlan,
    /// Losses that the search of the plan measured.
    n_losses: usize,
    /// Of all searches.
    n_block_evaluations: f64,
    /// How a goal was reached, in words, and whether it was.
    goal: Option<(String, bool)>,
}

fn find(
    target: Option<Goal>,
    setup: &RunSetup,
    request: &CalibrateRequest,
    saving: &Saving<'_>,
    progress: &mut Progress,
) -> Result<Found, CalibrateError> {
    let Some(goal) = target else {
        let denoiser = setup.whole_denoiser();
        let found = calibrate(&denoiser, request, &setup.latent, Some(saving), progress)?;
        return Ok(Found {
            plan: plan_file::plan_of(setup, request, &found),
            n_losses: found.record.n_measured(),
            n_block_evaluations: found.n_block_evaluations,
            goal: None,
        });
    };
    let target = Target {
        setup,
        request,
        goal,
    };
    let reached = calibrate_to(target, Some(saving), progress)?;
    Ok(Found {
        plan: plan_file::plan_reached(setup, &reached),
        n_losses: reached.calibration.record.n_measured(),
        n_block_evaluations: reached.n_block_evaluations,
        goal: Some((reached.words(), reached.suited.is_met)),
    })
}

/// `PLAN.state`.
fn state_path(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".state");
    name.into()
}

fn explain(error: CalibrateError, state: &Path) -> Failure {
    match error {
        CalibrateError::Run(RunError::Cancelled) => Failure::failed(stopped(state)),
        CalibrateError::Run(error) => error.into(),
        CalibrateError::Checkpoint(
            error @ (CheckpointError::Nothing(_) | CheckpointError::OtherSettings { .. }),
        ) => Failure::usage(error),
        error => Failure::failed(error),
    }
}

/// How to go on after Ctrl-C.
fn stopped(state: &Path) -> anyhow::Error {
    if state.exists() {
        anyhow::anyhow!(
            "stopped; run the same command with --resume to go on after the last finished step ({})",
            state.display()
        )
    } else {
        anyhow::anyhow!(
            "stopped before the first step was finished, so nothing is saved; run the same command again"
        )
    }
}

fn report(
    args: &CalibrateArgs,
    global: GlobalFlags,
    setup: &RunSetup,
    found: &Found,
    elapsed_secs: f64,
) -> Result<ExitCode, Failure> {
    if let Some((words, false)) = &found.goal {
        return Err(Failure::failed(anyhow::anyhow!(
            "{words}; {} holds that plan",
            args.output.display()
        )));
    }
    let plan = &found.plan.plan;
    let cost = PlanCost::of(plan, setup.layer_shape(), setup.run.guidance.is_on());
    if global.json {
        let summary = summary(args, found, &cost, elapsed_secs);
        terminal::print_result(&summary.to_string())?;
    } else {
        let text = format!(
            "{}: {}, attention MACs kept {:.1} % (whole layer {:.1} %), plan {}, {:.1} s",
            args.output.display(),
            plan.shape(),
            100.0 * cost.attention_kept_share(),
            100.0 * cost.layer_kept_share(),
            plan_hash(plan).short(),
            elapsed_secs
        );
        terminal::print_result(&text)?;
        terminal::note(&format!(
            "look at it with `dfa plan show {0}`, use it with `dfa generate --model {1} --plan {0}`",
            args.output.display(),
            args.run.model.display()
        ));
    }
    if let Some((words, _)) = &found.goal {
        terminal::note(words);
    }
    if args.search.is_fast() {
        terminal::note(
            "a first look, by the layers' own errors: calibrate without --search fast before the plan is used; `dfa plan diff` shows how far both agree",
        );
    }
    let full_share = plan.count(Strategy::Full) as f64 / plan.shape().n_cells() as f64;
    if full_share >= 0.95 {
        terminal::warn(
            "at least 95 % of the cells are full attention: this threshold saves next to nothing here; try a larger one",
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// What `--json` prints.
fn summary(
    args: &CalibrateArgs,
    found: &Found,
    cost: &PlanCost,
    elapsed_secs: f64,
) -> serde_json::Value {
    let plan = &found.plan.plan;
    let search = found.plan.search.as_ref();
    let threshold = search.map(|search| search.record.settings().threshold.value());
    let counts: serde_json::Map<String, serde_json::Value> = Strategy::ALL
        .iter()
        .map(|strategy| (strategy.to_string(), plan.count(*strategy).into()))
        .collect();
    json!({
        "plan": args.output, "plan_hash": plan_hash(plan).to_string(), "threshold": threshold,
        "attention_kept_share": cost.attention_kept_share(), "layer_kept_share": cost.layer_kept_share(),
        "strategies": counts, "n_losses": found.n_losses,
        "n_block_evaluations": found.n_block_evaluations, "elapsed_secs": elapsed_secs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_run_advises_only_what_will_work() {
        let check = |state: &str, expected: &str| {
            let text = stopped(Path::new(state)).to_string();
            assert!(text.contains(expected), "{state}: {text}");
        };
        check(
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
            "--resume",
        );
        check("no/such.state", "nothing is saved");
    }
}
