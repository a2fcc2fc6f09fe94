//! The real `dfa` binary, built once per test run.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// A command that runs `dfa`, in a clean environment: no `DFA_…` variable of the person
/// who runs the tests reaches it.
///
/// # Panics
/// If the binary cannot be built.
pub fn dfa() -> Command {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    let mut command = Command::new(BINARY.get_or_init(build));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DFA_") {
            command.env_remove(name);
        }
    }
    command.env("COLUMNS", "100").current_dir(workspace());
    command
}

/// What a command left behind.
#[derive(Debug)]
pub struct Finished {
    /// Exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs `dfa` with these arguments to its end.
///
/// # Panics
/// If the binary cannot be built or started.
pub fn run_dfa<A: AsRef<std::ffi::OsStr>>(args: &[A]) -> Finished {
    finish(dfa().args(args))
}

/// Runs a command to its end.
///
/// # Panics
/// If it cannot be started.
pub fn finish(command: &mut Command) -> Finished {
    let output = command.output();
    Finished::from(output.unwrap_or_else(|error| panic!("dfa cannot be started: {error}")))
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

fn workspace() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests)
}

/// Asks cargo, which knows the target directory and what is up to date.
///
/// The running test binary is named too: with it, dependencies are built with the features
/// that they have already, and not a second time.
fn build() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--message-format", "json"])
        .args(["-p", "dfa-native-worker", "--bin", "dfa"])
        .args(["-p", "dfa-tests", "--test", "it"])
        .current_dir(workspace());
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let output = cargo
        .output()
        .unwrap_or_else(|error| panic!("cargo cannot be started: {error}"));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let messages = String::from_utf8_lossy(&output.stdout);
    executable(&messages).unwrap_or_else(|| panic!("cargo names no executable:\n{messages}"))
}

/// The executable of `dfa` that cargo's messages name.
fn executable(messages: &str) -> Option<PathBuf> {
    let parsed = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    parsed
        .filter(|message| message["target"]["name"] == "dfa")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}
