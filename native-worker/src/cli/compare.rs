//! `dfa compare`: the same images raw and compressed, as a table, a picture grid, single
//! pictures, a JSON report and an HTML report.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use dfa_core::wire::report::ImageMetrics;
use dfa_core::wire::{CheckedPlan, Report};

use super::generate::{positive, write_made};
use super::run_flags::{PlanFlags, RunFlags, ensure_folder, read_plan};
use super::terminal::{self, Progress, StopButton};
use super::{Failure, GlobalFlags};
use crate::compare::{CompareError, compare};
use crate::made_files::{comparison_files, why_no_pictures};
use crate::run_setup::{Purpose, RunSetup, Subjects};

/// Flags of `dfa compare`.
#[derive(Clone, Debug, Args)]
pub(crate) struct CompareArgs {
    #[command(flatten)]
    run: RunFlags,
    /// Compression plan.
    #[arg(long, env = "DFA_PLAN", value_name = "FILE")]
    plan: PathBuf,
    #[command(flatten)]
    plan_flags: PlanFlags,
    /// Most images denoised at once.
    #[arg(long, env = "DFA_BATCH_SIZE", value_name = "N", default_value_t = 8, value_parser = positive)]
    batch_size: usize,
    /// Folder for report.html, report.json, grid.png and the pictures.
    #[arg(
        short,
        long,
        env = "DFA_OUTPUT",
        value_name = "DIR",
        default_value = "out/compare"
    )]
    output: PathBuf,
}

/// Runs `dfa compare`.
pub(super) fn run(args: &CompareArgs, global: GlobalFlags) -> Result<ExitCode, Failure> {
    let plan = read_plan(&args.plan)?;
    let setup = args.run.prepare(Purpose::Compare, Some(&plan))?;
    args.plan_flags.check(&args.plan, &plan, &setup)?;
    if let Some(reason) = why_no_pictures(&setup.loaded.folder) {
        return Err(Failure::failed(anyhow::anyhow!("{reason}")));
    }
    if calibrated_on(&plan, &setup) {
        terminal::note(
            "these are the images that the plan was calibrated on; another --seed shows what it does to new ones",
        );
    }
    ensure_folder(&args.output.join("images"))?;
    let stop = StopButton::install()?;
    let n_batches = setup.n_images().div_ceil(args.batch_size);
    let n_steps = 2 * n_batches * setup.run.sampler.n_steps();
    let mut progress = Progress::of_steps(&stop, "comparing", n_steps);
    let plan_file = args
        .plan
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let found = compare(&setup, &plan, plan_file, args.batch_size, &mut progress);
    progress.finish();
    let found = found.map_err(|error| match error {
        CompareError::Run(error) => error.into(),
        error => Failure::failed(error),
    })?;
    let commands = commands(args, &setup);
    let files = comparison_files(&setup, &plan, &found, &commands).map_err(Failure::failed)?;
    for file in &files {
        write_made(&args.output, file)?;
    }
    if global.json {
        terminal::print_result(&serde_json::to_string(&found.report).map_err(Failure::failed)?)?;
    } else {
        terminal::print_result(&table(&found.report))?;
        terminal::note(&format!(
            "pictures and report: {0}/report.html, {0}/grid.png, {0}/report.json",
            args.output.display()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether the plan was calibrated on these very images.
fn calibrated_on(plan: &CheckedPlan, setup: &RunSetup) -> bool {
    let own = setup.provenance();
    plan.provenance.as_ref().is_some_and(|plan| {
        (plan.seed, &plan.inputs, plan.latents_sha256)
            == (own.seed, &own.inputs, own.latents_sha256)
    })
}

/// The command that makes the same report again, every choice spelled out.
fn commands(args: &CompareArgs, setup: &RunSetup) -> Vec<String> {
    let subjects = subject_flags(setup);
    let mut command = format!(
        "dfa compare --model {} --plan {} {subjects} --steps {} --sampler {} --guidance {} --seed {} --batch-size {}",
        quoted(&args.run.model),
        quoted(&args.plan),
        setup.run.sampler.n_steps(),
        setup.run.sampler_kind,
        setup.run.guidance.scale(),
        setup.run.seed,
        args.batch_size
    );
    for (flag, value) in args.run.typed_again() {
        command += &format!(" {flag} {}", quoted(Path::new(&value)));
    }
    if args.run.bins_resolution() {
        command += " --resolution-binning";
    }
    vec![command + &format!(" -o {}", quoted(&args.output))]
}

/// What the images show, as flags.
fn subject_flags(setup: &RunSetup) -> String {
    match &setup.run.subjects {
        Subjects::Classes(classes) => {
            let labels: Vec<String> = classes.iter().map(u32::to_string).collect();
            format!("--labels {}", labels.join(","))
        }
        Subjects::Prompts { prompts, negative } => {
            let mut flags: Vec<String> = prompts
                .iter()
                .map(|prompt| format!("--prompt {}", quoted(Path::new(prompt))))
                .collect();
            if !negative.is_empty() {
                flags.push(format!("--negative-prompt {}", quoted(Path::new(negative))));
            }
            flags.join(" ")
        }
        // Their file is among the flags that are typed again.
        Subjects::Embeds { .. } => String::new(),
    }
}

/// A path or a text as a shell word.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+:=,".contains(letter);
    if !text.is_empty() && text.chars().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The numbers for a terminal.
fn table(report: &Report) -> String {
    let title = format!(
        "{} images, {} steps, plan {}",
        report.images.len(),
        report.settings.n_steps,
        report.plan.plan_hash.short()
    );
    let paragraphs = [
        vec![title],
        cost_lines(report),
        time_lines(report),
        likeness_lines(&report.images),
        strategy_lines(report),
    ];
    paragraphs.map(|lines| lines.join("\n")).join("\n\n")
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn cost_lines(report: &Report) -> Vec<String> {
    let attention = percent(report.cost.attention_kept_share);
    let layer = percent(report.cost.layer_kept_share);
    vec![
        format!("attention MACs kept (QKᵀ and AV)   {attention:>8}"),
        format!("whole layer, with projections      {layer:>8}"),
    ]
}

fn time_lines(report: &Report) -> Vec<String> {
    let (raw, compressed) = (report.timings.raw, report.timings.compressed);
    let line = |name: &str, raw: f64, compressed: f64| {
        let speed_up = raw / compressed;
        format!("{name:<33}{raw:>8.2} s {compressed:>8.2} s   × {speed_up:.2}")
    };
    vec![
        "                                        raw  compressed  speed-up".to_owned(),
        line(
            "self-attention layers",
            raw.attention_secs,
            compressed.attention_secs,
        ),
        line("whole run", raw.total_secs, compressed.total_secs),
    ]
}

fn likeness_lines(images: &[ImageMetrics]) -> Vec<String> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let worst = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
    let ssim: Vec<f64> = images.iter().map(|image| image.ssim).collect();
    let psnr: Vec<f64> = images.iter().filter_map(|image| image.psnr_db).collect();
    let n_identical = images.len() - psnr.len();
    let identical = match n_identical {
        0 => String::new(),
        n => format!(" ({n} identical)"),
    };
    let psnr = if psnr.is_empty() {
        "identical".to_owned()
    } else {
        let (mean, worst) = (mean(&psnr), worst(&psnr));
        format!("mean {mean:.2} dB, worst {worst:.2} dB{identical}")
    };
    let (mean, worst) = (mean(&ssim), worst(&ssim));
    vec![
        format!("PSNR to raw                        {psnr}"),
        format!("SSIM to raw                        mean {mean:.4}, worst {worst:.4}"),
    ]
}

/// The strategies that the plan uses.
fn strategy_lines(report: &Report) -> Vec<String> {
    let used = report.plan.strategies.iter();
    let used = used.filter(|share| share.share > 0.0);
    let lines = used.map(|share| {
        let name = share.strategy.paper_name();
        format!("{name:<34} {:>8}", percent(share.share))
    });
    lines.collect()
}
