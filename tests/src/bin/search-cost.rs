//! What a search costs: Algorithm 1 by whole forward passes, as the reference searches,
//! beside the search that is used, and beside the same with early rejection and the first
//! look. Prints one line per search, as a row of `docs/results.md`.
//!
//! `search-cost MODEL STEPS GUIDANCE IMAGES THRESHOLD`
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints a table"
)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use dfa_core::Window;
use dfa_core::metric::LossKind;
use dfa_core::search::{SearchMode, SearchSettings, Threshold, default_candidates};
use dfa_native_worker::calibrate::{
    CalibrateError, CalibrateRequest, Calibration, calibrate, calibrate_plainly,
};
use dfa_native_worker::observer::Unobserved;
use dfa_tests::engine::TestRun;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let read = || {
        let [model, steps, guidance, images, threshold] = args.as_slice() else {
            return None;
        };
        let labels: Vec<u32> = (0..images.parse().ok()?).collect();
        let (steps, guidance) = (steps.parse().ok()?, guidance.parse().ok()?);
        let run = TestRun::open(&PathBuf::from(model), steps, guidance, &labels);
        Some((run, threshold.parse().ok()?))
    };
    let Some((run, threshold)) = read() else {
        eprintln!("usage: search-cost MODEL STEPS GUIDANCE IMAGES THRESHOLD");
        return ExitCode::from(2);
    };
    match compare(&run, threshold) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(run: &TestRun, threshold: Threshold) -> Result<(), CalibrateError> {
    let request = |mode, rejects_early| CalibrateRequest {
        search: SearchSettings {
            threshold,
            candidates: default_candidates(run.guidance.is_on()),
            mode,
        },
        loss: LossKind::Relative,
        window: Window::eighth_of(run.n_tokens()),
        rejects_early,
    };
    let (denoiser, noise) = (run.denoiser(), run.noise(0));
    println!(
        "| search | block evaluations | of the plain search's | seconds | processor seconds | cells equal to the plain search's |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    let exact = request(SearchMode::Exact, false);
    let timed = Timed::start();
    let plain = calibrate_plainly(&denoiser, &exact, &noise)?;
    timed.row("every candidate a forward pass", &plain, &plain);
    for (name, mode, rejects_early) in [
        ("exact", SearchMode::Exact, false),
        ("exact, rejecting early", SearchMode::Exact, true),
        ("record-all", SearchMode::RecordAll, false),
        ("fast", SearchMode::Fast, false),
    ] {
        let request = request(mode, rejects_early);
        let timed = Timed::start();
        let found = calibrate(&denoiser, &request, &noise, None, &mut Unobserved)?;
        timed.row(name, &found, &plain);
        if name == "exact" {
            assert_eq!(found.record, plain.record, "identical plan and losses");
        }
    }
    Ok(())
}

/// A search that runs.
struct Timed {
    start: Instant,
    processor_secs: f64,
}

impl Timed {
    fn start() -> Self {
        Self {
            processor_secs: processor_secs(),
            start: Instant::now(),
        }
    }

    fn row(&self, name: &str, found: &Calibration, plain: &Calibration) {
        let cells = found.plan.cells().zip(plain.plan.cells());
        let later = cells.filter(|((step, ..), _)| step.0 > 0);
        let (equal, all) = later.fold((0, 0), |(equal, all), (a, b)| {
            (equal + usize::from(a == b), all + 1)
        });
        println!(
            "| {name} | {} | {:.3} | {:.1} | {:.1} | {:.1} % |",
            found.n_block_evaluations,
            found.n_block_evaluations / plain.n_block_evaluations,
            self.start.elapsed().as_secs_f64(),
            processor_secs() - self.processor_secs,
            100.0 * f64::from(equal as u32) / f64::from(all.max(1)),
        );
    }
}

/// Processor time of this process so far, all threads together.
fn processor_secs() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + 1e-9 * time.tv_nsec as f64
}
