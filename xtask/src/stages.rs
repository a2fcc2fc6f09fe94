//! Named stages and how each ended. A stage that cannot run here is skipped in words that
//! say why and how to run it, and these words come again at the end, where they are read.

use std::time::Instant;

use crate::repo::Failure;

/// How a stage ended.
pub(crate) enum Ending {
    Passed,
    Skipped { because: String, to_run: String },
}

impl Ending {
    pub(crate) fn skipped(because: impl Into<String>, to_run: impl Into<String>) -> Self {
        Self::Skipped {
            because: because.into(),
            to_run: to_run.into(),
        }
    }
}

/// What to do with stages that fail or cannot run.
#[derive(Clone, Copy)]
pub(crate) struct Policy {
    /// A skipped stage is a failure.
    pub(crate) strict: bool,
    /// The first failure ends the run.
    pub(crate) stop_at_first: bool,
}

/// The run so far.
pub(crate) struct Stages {
    policy: Policy,
    n_passed: usize,
    failed: Vec<String>,
    skipped: Vec<String>,
}

impl Stages {
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            policy,
            n_passed: 0,
            failed: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// Runs one stage and notes how it ended.
    pub(crate) fn stage(&mut self, name: &str, body: impl FnOnce() -> Result<Ending, Failure>) {
        if self.policy.stop_at_first && !self.failed.is_empty() {
            return;
        }
        println!("\n== {name}");
        let start = Instant::now();
        let ending = body();
        let secs = start.elapsed().as_secs_f64();
        match ending {
            Ok(Ending::Passed) => {
                self.n_passed += 1;
                println!("== passed: {name} ({secs:.1} s)");
            }
            Ok(Ending::Skipped { because, to_run }) => {
                let line = format!("skipped: {name}, because {because}; to run it: {to_run}");
                println!("== {line}");
                if self.policy.strict {
                    self.failed
                        .push(format!("{line} (and nothing may be skipped here)"));
                } else {
                    self.skipped.push(line);
                }
            }
            Err(failure) => {
                println!("== FAILED: {name} ({secs:.1} s)\n{}", failure.message);
                self.failed
                    .push(format!("failed: {name}: {}", first_line(&failure.message)));
            }
        }
    }

    /// Prints the summary; an error if anything failed.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        println!("\n== summary");
        for line in self.skipped.iter().chain(&self.failed) {
            println!("{line}");
        }
        let n_failed = self.failed.len();
        println!(
            "{} passed, {n_failed} failed, {} skipped",
            self.n_passed,
            self.skipped.len()
        );
        match n_failed {
            0 => Ok(()),
            _ if self.policy.stop_at_first => Err(Failure::new(
                "stopped at the first failure; the stages after it did not run",
            )),
            _ => Err(Failure::new(format!(
                "{n_failed} of {} stages failed, see above",
                n_failed + self.n_passed + self.skipped.len()
            ))),
        }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends_well(strict: bool, bodies: &[fn() -> Result<Ending, Failure>]) -> (bool, usize) {
        let mut stages = Stages::new(Policy {
            strict,
            stop_at_first: true,
        });
        for body in bodies {
            stages.stage("a stage", body);
        }
        let n_passed = stages.n_passed;
        (stages.finish().is_ok(), n_passed)
    }

    #[test]
    fn a_skip_fails_only_when_nothing_may_be_skipped() {
        let skip = || Ok(Ending::skipped("of the test", "do nothing"));
        let pass = || Ok(Ending::Passed);
        assert_eq!(ends_well(false, &[skip, pass]), (true, 1));
        assert_eq!(ends_well(true, &[skip, pass]), (false, 0));
    }

    #[test]
    fn nothing_runs_after_the_first_failure() {
        let pass = || Ok(Ending::Passed);
        let fail = || Err(Failure::new("of the test"));
        assert_eq!(ends_well(false, &[pass, fail, pass]), (false, 1));
    }
}
