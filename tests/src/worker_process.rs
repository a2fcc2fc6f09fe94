//! `dfa serve` as a process of its own, which tests kill and stop.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::Client;
use crate::dfa_command::dfa;
use crate::fixtures::shipped_model;

/// A running worker of the shipped model; killed when it is dropped.
pub struct WorkerProcess {
    child: Child,
    log: Option<JoinHandle<String>>,
    /// Asks it.
    pub client: Client,
}

/// The command that serves the shipped model from this data folder, on a free port.
pub fn serve_command(data_dir: &Path) -> Command {
    let mut command = dfa();
    command.args(["serve", "--port", "0", "--json-output"]);
    command.args(["--free-space-floor", "0", "--max-queued-jobs", "100"]);
    command.arg("--model-id").arg(shipped_model());
    command.arg("--data-dir").arg(data_dir);
    command
}

impl WorkerProcess {
    /// Starts a worker and waits until it is ready.
    ///
    /// # Panics
    /// If it does not become ready.
    pub fn start(data_dir: &Path) -> Self {
        Self::spawn(&mut serve_command(data_dir))
    }

    /// The same from a command, such as [`serve_command`] with more flags.
    ///
    /// # Panics
    /// If it does not become ready.
    pub fn spawn(command: &mut Command) -> Self {
        let child = command.stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("dfa cannot be started: {error}"));
        let (tell, told) = mpsc::channel();
        let stderr = child.stderr.take();
        let log =
            std::thread::spawn(move || stderr.map_or_else(String::new, |log| read(log, &tell)));
        let Ok(address) = told.recv() else {
            let log = log.join().unwrap_or_default();
            panic!("the worker did not become ready:\n{log}");
        };
        Self {
            child,
            log: Some(log),
            client: Client::new(address),
        }
    }

    /// Its number among the processes.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as `kill -9` does and waits until it is gone.
    ///
    /// # Panics
    /// If it cannot be killed.
    pub fn kill(mut self) {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        killed.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Sends SIGTERM.
    ///
    /// # Panics
    /// If there is no such process any more.
    pub fn terminate(&self) {
        let mut command = Command::new("kill");
        let status = command.args(["-TERM", &self.id().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "kill failed");
    }

    /// Waits until it has exited by itself: its exit code and its log.
    ///
    /// # Panics
    /// If it runs longer than that.
    pub fn exited_within(mut self, patience: Duration) -> (Option<i32>, String) {
        let start = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => {
                    let log = self.log.take().and_then(|log| log.join().ok());
                    return (status.code(), log.unwrap_or_default());
                }
                Ok(None) => assert!(start.elapsed() < patience, "it still runs"),
                Err(error) => panic!("{error}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        // It may have exited already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Reads the log to its end and tells the address once it is in it.
fn read(log: impl Read, tell: &Sender<SocketAddr>) -> String {
    let mut text = String::new();
    for line in BufReader::new(log).lines().map_while(Result::ok) {
        if let Some(address) = address_in(&line) {
            tell.send(address).ok();
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    let url = line.get("url")?.as_str()?;
    url.strip_prefix("http://")?.parse().ok()
}
