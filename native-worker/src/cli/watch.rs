//! `dfa watch`: a job's progress as it goes, and its files at the end. A connection that is
//! lost is made again, and goes on where it was.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use dfa_core::wire::job::{Artifact, JobProgress};
use dfa_core::wire::job_event::JobEventData;
use dfa_core::wire::{JobEvent, JobId, JobState, JobView};
use indicatif::{ProgressBar, ProgressStyle};

use super::client::{Client, WorkerFlags};
use super::terminal::{note, print_result, warn};
use super::{Failure, GlobalFlags};
use crate::whole_file::write_whole;

mod sse;

use sse::SseReader;

/// How often a lost connection is made again.
const MAX_RETRIES: u32 = 10;

/// Watch a job until it ends.
#[derive(Args)]
pub(crate) struct WatchArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    id: JobId,
    /// Folder for the job's files.
    #[arg(short, long, env = "DFA_OUTPUT", value_name = "DIR")]
    output: Option<PathBuf>,
    #[command(flatten)]
    worker: WorkerFlags,
}

pub(super) fn run(args: &WatchArgs, global: GlobalFlags) -> Result<ExitCode, Failure> {
    let client = args.worker.client();
    until_end(&client, args.id, args.output.as_deref(), global)
}

/// Shows a job until it ends; with JSON, one event a line.
pub(super) fn until_end(
    client: &Client,
    id: JobId,
    output: Option<&Path>,
    global: GlobalFlags,
) -> Result<ExitCode, Failure> {
    let mut screen = Screen::new(global.json);
    follow(client, id, &mut screen)?;
    screen.bar.finish_and_clear();
    let job: JobView = client.get(&format!("/v1/jobs/{id}"))?;
    if let Some(folder) = output {
        save_all(client, &job, folder)?;
    }
    if !global.json {
        note(&ending(&job));
    }
    Ok(match job.state {
        JobState::Succeeded => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// Reads events to the last, over as many connections as it takes.
fn follow(client: &Client, id: JobId, screen: &mut Screen) -> Result<(), Failure> {
    let path = format!("/v1/jobs/{id}/events");
    let (mut last_seen, mut n_retries) = (0, 0);
    loop {
        let lines = match client.lines(&path, last_seen) {
            Ok(lines) => lines,
            // The worker refuses, or it never answered: nothing to wait for.
            Err(error) if n_retries == 0 || matches!(error, Failure::Usage(_)) => {
                return Err(error);
            }
            Err(_) if n_retries < MAX_RETRIES => {
                n_retries += 1;
                sleep(Duration::from_secs(u64::from(n_retries)));
                continue;
            }
            Err(error) => return Err(error),
        };
        for frame in SseReader::new(lines) {
            let seen = screen.show(&frame.name, &frame.data)?;
            last_seen = frame.id.unwrap_or(last_seen);
            n_retries = 0;
            if seen == Seen::TheEnd {
                return Ok(());
            }
        }
        n_retries += 1;
        if n_retries > MAX_RETRIES {
            return Err(Failure::Failed(anyhow!(
                "the worker's stream of events broke off"
            )));
        }
        sleep(Duration::from_millis(500));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Something,
    TheEnd,
}

/// What is shown of the events.
struct Screen {
    bar: ProgressBar,
    as_json: bool,
}

impl Screen {
    fn new(as_json: bool) -> Self {
        const PARTS: u64 = 1000;
        let bar = match as_json {
            true => ProgressBar::hidden(),
            false => ProgressBar::new(PARTS),
        };
        let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self { bar, as_json }
    }

    fn show(&self, name: &str, data: &str) -> Result<Seen, Failure> {
        if name == "snapshot" {
            let job: JobView = serde_json::from_str(data).map_err(Failure::failed)?;
            self.bar.set_message(format!("{} {}", job.kind, job.state));
            return Ok(Seen::Something);
        }
        if self.as_json {
            print_result(data)?;
        }
        let event: JobEvent = serde_json::from_str(data).map_err(Failure::failed)?;
        match &event.data {
            JobEventData::Progress(progress) => self.progress(progress),
            JobEventData::Status(status) => self.bar.set_message(status.state.to_string()),
            JobEventData::Warning(warning) => self.bar.suspend(|| warn(&warning.message)),
            JobEventData::Decision(_) | JobEventData::Preview(_) => {}
        }
        Ok(match event.data.is_last() {
            true => Seen::TheEnd,
            false => Seen::Something,
        })
    }

    fn progress(&self, progress: &JobProgress) {
        self.bar.set_position((progress.done_share * 1000.0) as u64);
        let left = progress.eta_secs;
        let left = left.map_or(String::new(), |secs| format!(", {secs:.0} s left"));
        self.bar.set_message(format!(
            "{}, step {}/{}{left}",
            progress.phase.as_str(),
            progress.step,
            progress.steps
        ));
    }
}

fn ending(job: &JobView) -> String {
    match (&job.error, &job.result) {
        (Some(error), _) => format!("{}: {}", job.state, error.message),
        (None, Some(result)) => format!(
            "{} in {:.1} s, {} files",
            job.state,
            result.run_secs,
            result.artifacts.len()
        ),
        (None, None) => job.state.to_string(),
    }
}

fn save_all(client: &Client, job: &JobView, folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(Failure::failed)?;
    for artifact in job.result.iter().flat_map(|result| &result.artifacts) {
        let path = folder.join(file_name(artifact)?);
        let bytes = client.get_bytes(&dfa_core::wire::job::artifact_path(artifact.hash))?;
        write_whole(&path, &bytes).map_err(Failure::failed)?;
        note(&format!("wrote {}", path.display()));
    }
    Ok(())
}

/// A worker's word is not enough to write just anywhere.
fn file_name(artifact: &Artifact) -> Result<&str, Failure> {
    let name = artifact.name.as_str();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.starts_with('.') || !name.bytes().all(is_plain) {
        return Err(Failure::Failed(anyhow!("{name:?} is no name for a file")));
    }
    Ok(name)
}
