//! The real binary: what it prints, what it writes, how it ends.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use dfa_tests::dfa_command::{Finished, dfa, finish, run_dfa};
use dfa_tests::fixtures::fixture;
use serde_json::Value;

mod searched_plan;

// `dfa plan`.
mod plan_files;
mod plan_show;

// `dfa convert`.
mod convert;

// `dfa models`, `doctor` and `completions`.
mod machine;

// Flags of a run: refused values, environment variables, start noise.
mod latents;
mod run_flags;

// The model families.
mod families;

// A plan and the run that it is used for.
mod plan_check;

// `dfa calibrate`, killed and interrupted.
mod stopped_calibration;

// `dfa calibrate` with a goal, and as a first look.
mod target;

// `dfa compare` against the plan file.
mod report;

// `dfa sweep`.
mod sweep;

/// A folder to work in.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    /// With `plan.json` in it, the one of [`searched_plan`].
    fn with_plan() -> Self {
        let desk = Self::empty();
        let plan = searched_plan::searched().to_json().unwrap();
        desk.write("plan.json", &plan);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    /// Words of a command line; one that begins with `@` is a file of the desk.
    fn words(&self, line: &str) -> Vec<OsString> {
        let word = |word: &str| match word.strip_prefix('@') {
            Some(name) => self.path(name).into_os_string(),
            None => word.into(),
        };
        line.split_whitespace().map(word).collect()
    }

    /// Runs `dfa`.
    fn run(&self, line: &str) -> Finished {
        run_dfa(&self.words(line))
    }

    /// Runs `dfa` with environment variables.
    fn run_in(&self, variables: &[(&str, &str)], line: &str) -> Finished {
        let mut command = self.command(line);
        command.envs(variables.iter().copied());
        finish(&mut command)
    }

    /// `dfa` to be started.
    fn command(&self, line: &str) -> Command {
        let mut command = dfa();
        command.args(self.words(line));
        command
    }
}

#[track_caller]
fn json_of(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished:?}"))
}

/// Ends well; gives what it printed.
#[track_caller]
fn done(finished: Finished) -> Finished {
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished
}

/// Ends with this exit code, nothing on standard output, and all of this in the error.
#[track_caller]
fn assert_refused(finished: &Finished, code: i32, expected: &[&str]) {
    assert_eq!(finished.code, Some(code), "{finished:?}");
    assert_eq!(finished.stdout, "", "errors go to standard error only");
    assert!(finished.stderr.starts_with("error: "), "{finished:?}");
    assert!(!finished.stderr.contains("panicked"), "{finished:?}");
    for part in expected {
        assert!(finished.stderr.contains(part), "{part:?}: {finished:?}");
    }
}

fn foreign(name: &str) -> String {
    let path = fixture(&format!("foreign-plans/{name}"));
    path.to_str().unwrap().to_owned()
}
