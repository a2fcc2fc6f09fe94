//! The Python program beside: it is asked a line and answers a line of JSON with numbers.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use super::Outcome;

/// The running program.
pub struct Peer {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What it said.
pub struct Answer(Value);

impl Peer {
    /// Starts `script` with `python`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(python: &str, script: &Path) -> Outcome<Self> {
        let mut command = Command::new(python);
        command
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let started = command.spawn();
        let mut process = started.map_err(|error| format!("cannot start {python}: {error}"))?;
        match (process.stdin.take(), process.stdout.take()) {
            (Some(requests), Some(answers)) => Ok(Self {
                process,
                requests,
                answers: BufReader::new(answers),
            }),
            _ => Err("the Python program has no input or output".into()),
        }
    }

    /// Asks and waits.
    ///
    /// # Errors
    /// If it has ended, or answers with an error.
    pub fn ask(&mut self, request: &str) -> Outcome<Answer> {
        writeln!(self.requests, "{request}")?;
        self.requests.flush()?;
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(format!("PyTorch's program ended when it was asked `{request}`").into());
        }
        let answer: Value = serde_json::from_str(&line)?;
        match answer.get("error") {
            Some(error) => Err(format!("PyTorch's program, asked `{request}`: {error}").into()),
            None => Ok(Answer(answer)),
        }
    }

    /// What is wanted of an answer; if there is none, why is said, and what was measured so
    /// far is kept.
    pub fn or_dash<T>(
        &mut self,
        request: &str,
        wanted: impl FnOnce(&Answer) -> Outcome<T>,
    ) -> Option<T> {
        let found = self.ask(request).and_then(|answer| wanted(&answer));
        found.map_err(|error| complain(&error.to_string())).ok()
    }
}

#[allow(clippy::print_stderr, reason = "for whoever runs the command")]
fn complain(error: &str) {
    eprintln!("{error}");
}

impl Answer {
    /// A number of the answer.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn number(&self, name: &str) -> Outcome<f64> {
        let found = self.0.get(name).and_then(Value::as_f64);
        found.ok_or_else(|| format!("PyTorch's program gave no {name}: {}", self.0).into())
    }

    /// A text of the answer, empty if there is none.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It has nothing to lose.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
