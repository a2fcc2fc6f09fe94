//! What a person sees while a command runs: warnings, a progress bar on a terminal, and
//! what Ctrl-C does.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Failure;
use crate::observer::{Event, Observer};

/// What the engine warns of while it goes on, on standard error.
pub(crate) fn show_warnings() {
    let lines = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(std::io::stderr)
        .with_target(false)
        .without_time();
    // There is a log already where a test started one.
    let _ = lines.try_init();
}

/// Prints a warning to standard error.
#[expect(
    clippy::print_stderr,
    reason = "warnings of the command line go to standard error"
)]
pub(crate) fn warn(text: &str) {
    eprintln!("warning: {text}");
}

/// Prints a line for people to standard error.
#[expect(clippy::print_stderr, reason = "standard output is for results")]
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

/// Prints a result to standard output. A reader that has gone away is no error.
pub(crate) fn print_result(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::failed(error)),
        _ => Ok(()),
    }
}

/// Set by Ctrl-C; a second Ctrl-C ends the process at once.
#[derive(Clone)]
pub(crate) struct StopButton(Arc<AtomicBool>);

impl StopButton {
    /// Installs the handler; once per process.
    pub(crate) fn install() -> Result<Self, Failure> {
        let flag = Arc::new(AtomicBool::new(false));
        let pressed = Arc::clone(&flag);
        ctrlc::set_handler(move || {
            if pressed.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
            note("stopping after the current block; press Ctrl-C again to stop at once");
        })
        .map_err(Failure::failed)?;
        Ok(Self(flag))
    }

    /// Whether Ctrl-C was pressed.
    pub(crate) fn is_pressed(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the bar counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// Decided cells of a calibration.
    Cells,
    /// Denoising steps.
    Steps,
}

/// Shows a run on a terminal and stops it on Ctrl-C.
pub(crate) struct Progress {
    bar: ProgressBar,
    unit: Unit,
    stop: StopButton,
}

impl Progress {
    /// A bar over the cells of a calibration.
    pub(crate) fn of_cells(stop: &StopButton, label: &'static str, n_cells: usize) -> Self {
        Self::new(stop, label, n_cells, Unit::Cells)
    }

    /// A bar over denoising steps.
    pub(crate) fn of_steps(stop: &StopButton, label: &'static str, n_steps: usize) -> Self {
        Self::new(stop, label, n_steps, Unit::Steps)
    }

    /// Nothing is shown where standard error is no terminal.
    fn new(stop: &StopButton, label: &'static str, n_units: usize, unit: Unit) -> Self {
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(n_units as u64), target);
        let template = "{prefix:>11} {bar:30} {percent:>3} %  {msg}  {elapsed} so far, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(label);
        Self {
            bar,
            unit,
            stop: stop.clone(),
        }
    }

    /// Units that an earlier process did: not counted for the time left.
    fn skip(&self, n_units: usize) {
        self.bar.set_position(n_units as u64);
        self.bar.reset_eta();
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Progress {
    fn event(&mut self, event: Event<'_>) {
        match (event, self.unit) {
            (Event::SearchStarted { n_decided, .. }, Unit::Cells) => self.skip(n_decided),
            (Event::StepStarted { step, n_steps }, _) => {
                self.bar
                    .set_message(format!("step {}/{n_steps}", step.0 + 1));
            }
            (Event::Decided { .. }, Unit::Cells) | (Event::StepDone { .. }, Unit::Steps) => {
                self.bar.inc(1)
            }
            _ => {}
        }
    }

    fn is_cancelled(&self) -> bool {
        self.stop.is_pressed()
    }
}
