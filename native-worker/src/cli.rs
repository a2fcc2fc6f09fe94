//! The command line `dfa`: what the user typed → a call of the library → what is printed.
//!
//! Results go to standard output (with `--json` as one JSON value), everything else to
//! standard error. Exit codes: 0 done, 2 the command line asks for something that cannot
//! be, 1 it failed on the way. Every flag is also an environment variable, `DFA_…`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::kernels::isa::Isa;

mod calibrate;
mod client;
mod compare;
mod completions;
mod convert;
mod device_flags;
mod doctor;
mod failure;
mod generate;
mod jobs;
mod models;
mod plan;
mod plan_grid;
mod run_flags;
mod search_flags;
mod serve;
mod submit;
mod sweep;
mod terminal;
mod watch;

pub use failure::Failure;

/// DiTFastAttn: find which attention work a Diffusion Transformer can skip, and skip it.
#[derive(Parser)]
#[command(name = "dfa", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: GlobalFlags,
}

/// A switch as a variable: `0`, `false`, `no`, `off` and nothing turn it off.
fn switch() -> clap::builder::FalseyValueParser {
    clap::builder::FalseyValueParser::new()
}

/// Flags of every subcommand.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct GlobalFlags {
    /// Print results as JSON, for machines.
    #[arg(long, global = true, env = "DFA_JSON", value_parser = switch())]
    pub(crate) json: bool,
    /// Threads to compute with [default: all].
    #[arg(long, global = true, env = "DFA_THREADS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// Instruction set of the CPU kernels: portable, avx2, avx512 or amx [default: the best
    /// that the machine has, as `dfa doctor` says].
    #[arg(long, global = true, env = "DFA_ISA", value_name = "NAME", value_parser = parse_isa)]
    pub(crate) isa: Option<Isa>,
}

/// One that this machine has.
fn parse_isa(name: &str) -> Result<Isa, String> {
    Isa::named(name).ok_or_else(|| {
        let all: Vec<&str> = Isa::available().into_iter().map(Isa::name).collect();
        format!(
            "{name:?} is none of them: this machine has {}",
            all.join(", ")
        )
    })
}

#[derive(Subcommand)]
enum Command {
    /// Make a compression plan for a model by calibration (Algorithm 1).
    Calibrate(calibrate::CalibrateArgs),
    /// Generate images, raw or with a compression plan.
    Generate(generate::GenerateArgs),
    /// Generate the same images raw and compressed, and report how they differ.
    Compare(compare::CompareArgs),
    /// Calibrate at several thresholds and table what each saves and costs.
    Sweep(sweep::SweepArgs),
    /// Look at, compare, check and convert compression plans.
    #[command(subcommand)]
    Plan(plan::PlanCommand),
    /// Convert a model from pickles to safetensors files.
    Convert(convert::ConvertArgs),
    /// Say what a model folder is, or list the models below a folder.
    Models(models::ModelsArgs),
    /// Check this machine and a model folder.
    Doctor(doctor::DoctorArgs),
    /// Serve models over HTTP.
    Serve(Box<serve::ServeArgs>),
    /// Give a worker a job.
    Submit(submit::SubmitArgs),
    /// List a worker's jobs; show, cancel or delete one.
    Jobs(jobs::JobsArgs),
    /// Watch a worker's job until it ends.
    Watch(watch::WatchArgs),
    /// Print a completion script for a shell.
    Completions(completions::CompletionsArgs),
}

/// Runs one command line; prints its errors.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match execute(cli) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

/// Runs on one of the threads that compute, so that it takes its share of every operation
/// at once instead of waking another thread and waiting for it.
fn computing<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    rayon::scope(|_| run())
}

fn execute(cli: Cli) -> Result<ExitCode, Failure> {
    if let Some(n) = cli.global.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n.into());
        pool.build_global().map_err(Failure::failed)?;
    }
    if let Some(isa) = cli.global.isa {
        // Nothing has computed yet.
        isa.choose();
    }
    let global = cli.global;
    if !matches!(cli.command, Command::Serve(_)) {
        terminal::show_warnings();
    }
    match cli.command {
        Command::Calibrate(args) => computing(|| calibrate::run(&args, global)),
        Command::Generate(args) => computing(|| generate::run(&args, global)),
        Command::Compare(args) => computing(|| compare::run(&args, global)),
        Command::Sweep(args) => computing(|| sweep::run(&args, global)),
        Command::Serve(args) => serve::run(&args, global),
        Command::Submit(args) => submit::run(&args, global),
        Command::Jobs(args) => jobs::run(&args, global),
        Command::Watch(args) => watch::run(&args, global),
        Command::Plan(command) => plan::run(&command, global),
        Command::Convert(args) => convert::run(&args, global),
        Command::Completions(args) => completions::run(&args, global),
        Command::Models(args) => models::run(&args, global),
        Command::Doctor(args) => doctor::run(&args, global),
    }
}
