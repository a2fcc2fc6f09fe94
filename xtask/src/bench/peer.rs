//! A program that is kept running and asked again and again: a request a line, answered by
//! a line of JSON with numbers.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::repo::{self, Failure, because};

/// Ours, or PyTorch.
pub(super) struct Peer {
    name: String,
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What one request took.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    line: String,
}

impl Peer {
    pub(super) fn start(command: &mut Command) -> Result<Self, Failure> {
        let name = repo::words(command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command
            .spawn()
            .map_err(because(format!("cannot start {name}")))?;
        match (process.stdin.take(), process.stdout.take()) {
            (Some(requests), Some(answers)) => Ok(Self {
                name,
                process,
                requests,
                answers: BufReader::new(answers),
            }),
            _ => Err(Failure::new(format!("{name} has no input or output"))),
        }
    }

    /// Asks and waits.
    pub(super) fn ask(&mut self, request: &str) -> Result<Answer, Failure> {
        let failed = |why: String| Failure::new(format!("{}, asked `{request}`: {why}", self.name));
        let sent = writeln!(self.requests, "{request}").and_then(|()| self.requests.flush());
        sent.map_err(|error| failed(error.to_string()))?;
        let mut line = String::new();
        let n = self.answers.read_line(&mut line);
        match n {
            Ok(0) => Err(failed("it ended".into())),
            Ok(_) if line.contains("\"error\"") => Err(failed(line.trim().into())),
            Ok(_) => Ok(Answer { line }),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It has nothing to lose.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Answer {
    /// The number under a key.
    pub(super) fn number(&self, key: &str) -> Result<f64, Failure> {
        let quoted = format!("\"{key}\"");
        let rest = self.line.split_once(&quoted).map(|(_, rest)| rest);
        let rest = rest.and_then(|rest| rest.trim_start().strip_prefix(':'));
        let text = rest.and_then(|rest| rest.split([',', '}']).next());
        text.and_then(|text| text.trim().parse().ok())
            .ok_or_else(|| Failure::new(format!("no number {key} in {}", self.line.trim())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_their_keys() {
        let answer = Answer {
            line: r#"{"wall_s": 1.5, "cpu_s":2e-3}"#.into(),
        };
        assert!((answer.number("wall_s").unwrap() - 1.5).abs() < 1e-12);
        assert!((answer.number("cpu_s").unwrap() - 0.002).abs() < 1e-12);
        assert!(answer.number("s").is_err());
    }

    #[test]
    fn a_peer_answers_and_its_end_is_an_error() {
        let mut echo = Peer::start(Command::new("head").args(["-n", "1"])).unwrap();
        assert_eq!(echo.ask("{\"a\": 1}").unwrap().number("a").unwrap(), 1.0);
        assert!(echo.ask("again").is_err());
    }
}
