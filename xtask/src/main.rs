//! The repository's own commands: `cargo xtask COMMAND`.
//!
//! Everything here only runs other programs (cargo, git, Node, Python) and reads text; it
//! uses none of our crates, and a foreign one only to make the page's files (feature `bundle`). What the commands are is in [`flags`],
//! which is the help text too. Exit codes: 0 done, 1 failed, 2 asked for wrongly.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program talks through these"
)]

mod bench;
mod browser;
#[cfg(feature = "bundle")]
mod bundle;
mod check;
mod clients;
mod cuda;
mod demo;
mod flags;
mod golden;
mod python;
mod repo;
mod stages;
mod test;
mod tidy;
mod wasm;
mod web;

use std::process::ExitCode;

use flags::Task;
use repo::{Failure, Repo};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = flags::parse(&args).and_then(|task| run(&task));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

fn run(task: &Task) -> Result<(), Failure> {
    if let Task::Help = task {
        print!("{}", flags::help());
        return Ok(());
    }
    let repo = Repo::find()?;
    match task {
        Task::Help => Ok(()),
        Task::Demo { extra } => demo::run(&repo, extra),
        Task::Test { strict } => test::run(&repo, *strict),
        Task::Check { strict } => check::run(&repo, *strict),
        Task::Tidy => tidy::run(&repo),
        Task::SetupWasm {
            from_source,
            std_source,
        } => wasm::setup(&repo, *from_source, std_source.as_deref()),
        Task::Golden(request) => golden::run(&repo, request),
        Task::Web(request) => web::run(&repo, request),
        Task::Serve { dev, extra } => web::serve(&repo, *dev, extra),
        Task::Cuda(request) => cuda::run(&repo, request),
        Task::GpuCheck { extra } => cuda::gpu_check(&repo, extra),
        #[cfg(feature = "bundle")]
        Task::Bundle { wasm, dist, dev } => bundle::run(&repo, wasm, dist, *dev),
        #[cfg(not(feature = "bundle"))]
        Task::Bundle { .. } => Err(Failure::usage(
            "bundle is a part of `cargo xtask web`; ask for that",
        )),
        Task::Bench(request) => bench::run(&repo, request),
    }
}
