//! Clients of others against a real worker: OpenAI's Python client and schemathesis, with
//! pinned versions in a virtual environment outside the clone.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use crate::python;
use crate::repo::{self, Failure, Repo, because};
use crate::stages::{Ending, Stages};

const REQUIREMENTS: &str = "tests/clients/requirements.txt";
const KEY: &str = "key-of-the-tests";
/// Flags of a worker that serves a tiny model of every family besides the shipped one.
pub(crate) const FAMILIES: [&str; 4] = [
    "--model-id",
    "tests/fixtures/families/pixart-tiny",
    "--model-id",
    "tests/fixtures/families/open-sora-tiny",
];

/// One stage a client.
pub(crate) fn stages(stages: &mut Stages, repo: &Repo) {
    for (name, script) in [
        (
            "OpenAI's Python client against a worker",
            "openai_client.py",
        ),
        ("schemathesis against a worker", "schema_walk.py"),
    ] {
        stages.stage(name, || run(repo, script));
    }
}

fn run(repo: &Repo, script: &str) -> Result<Ending, Failure> {
    let python = match python::environment(repo, "clients-venv", REQUIREMENTS)? {
        Ok(python) => python,
        Err(missing) => {
            return Ok(Ending::skipped(
                missing,
                "install Python 3.10 or newer with venv (Debian: apt-get install python3-venv) and \
                 let pip reach a package index",
            ));
        }
    };
    let flags = [&["--api-key", KEY], &FAMILIES[..]].concat();
    let worker = Worker::start(repo, &flags)?;
    let mut command = repo.program(python);
    command
        .arg(repo.root.join("tests/clients").join(script))
        .args([&worker.url, KEY]);
    repo::run(&mut command)?;
    Ok(Ending::Passed)
}

/// A worker with the shipped model on a free port, killed when it is dropped.
pub(crate) struct Worker {
    process: Child,
    url: String,
    data: PathBuf,
}

impl Worker {
    /// Starts one, with more flags, and waits until it is ready.
    pub(crate) fn start(repo: &Repo, flags: &[&str]) -> Result<Self, Failure> {
        repo::run(
            repo.cargo(&["build", "--package", "dfa-native-worker"])
                .arg("--quiet"),
        )?;
        let data = std::env::temp_dir().join(format!("dfa-clients-{}", std::process::id()));
        let mut command = repo.program(repo.target_dir.join("debug/dfa"));
        command
            .args(["serve", "--port", "0", "--json-output"])
            // Room for the large plans of schemathesis, which takes 413 for an acceptance.
            .args(["--payload-limit", "50000000"])
            .args(["--max-queued-jobs", "1000", "--model-id"])
            .arg(Path::new("models/avatars-dit"))
            // A model among them comes after the shipped one, which is the default.
            .args(flags)
            .arg("--data-dir")
            .arg(&data)
            .stderr(Stdio::piped());
        let mut process = command
            .spawn()
            .map_err(because("cannot start the worker"))?;
        let log = process.stderr.take();
        let url = log.and_then(|log| {
            let mut lines = BufReader::new(log).lines().map_while(Result::ok);
            let url = lines.find_map(|line| url_in(&line));
            // A log that nobody reads would stop the worker.
            std::thread::spawn(move || lines.for_each(drop));
            url
        });
        let worker = Self {
            process,
            url: url.unwrap_or_default(),
            data,
        };
        if worker.url.is_empty() {
            return Err(Failure::new("the worker did not start"));
        }
        Ok(worker)
    }

    /// Where it answers.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

/// The value of `url` in a line of the worker's log.
fn url_in(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("\"url\":\"")?;
    rest.split('"').next().map(str::to_owned)
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_found_in_the_log() {
        let line = r#"{"level":"INFO","message":"ready","url":"http://127.0.0.1:41234"}"#;
        assert_eq!(url_in(line).as_deref(), Some("http://127.0.0.1:41234"));
        assert_eq!(url_in("{}"), None);
    }
}
