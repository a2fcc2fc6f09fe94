//! `dfa jobs`: a worker's jobs, listed, shown, cancelled, deleted.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use dfa_core::wire::job::JobList;
use dfa_core::wire::{JobId, JobKind, JobState, JobView};
use serde::Serialize;

use super::client::{Client, WorkerFlags};
use super::terminal::{note, print_result};
use super::{Failure, GlobalFlags};

/// List a worker's jobs, newest first.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct JobsArgs {
    #[command(subcommand)]
    command: Option<JobsCommand>,
    /// Only jobs in this state.
    #[arg(long, env = "DFA_STATUS", value_name = "STATE")]
    status: Option<JobState>,
    /// Only jobs of this kind.
    #[arg(long, env = "DFA_KIND", value_name = "KIND")]
    kind: Option<JobKind>,
    /// Most jobs that are listed.
    #[arg(long, env = "DFA_LIMIT", value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    #[command(flatten)]
    worker: WorkerFlags,
}

#[derive(Subcommand)]
enum JobsCommand {
    /// Show everything about a job.
    Show(OneJob),
    /// Ask a job to end.
    Cancel(OneJob),
    /// Forget a job that has ended, with its files.
    Delete(OneJob),
}

#[derive(Args)]
struct OneJob {
    /// The job.
    #[arg(value_name = "JOB")]
    id: JobId,
    #[command(flatten)]
    worker: WorkerFlags,
}

pub(super) fn run(args: &JobsArgs, global: GlobalFlags) -> Result<ExitCode, Failure> {
    match &args.command {
        None => list(args, global)?,
        Some(JobsCommand::Show(one)) => {
            let job: JobView = one.worker.client().get(&one.path())?;
            print_result(&pretty(&job)?)?;
        }
        Some(JobsCommand::Cancel(one)) => cancel(&one.worker.client(), one, global)?,
        Some(JobsCommand::Delete(one)) => {
            one.worker.client().delete(&one.path())?;
            note(&format!("deleted {}", one.id));
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl OneJob {
    fn path(&self) -> String {
        format!("/v1/jobs/{}", self.id)
    }
}

fn pretty<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(Failure::failed)
}

fn cancel(client: &Client, one: &OneJob, global: GlobalFlags) -> Result<(), Failure> {
    let path = format!("{}/cancel", one.path());
    let job: JobView = client.post(&path, &serde_json::json!({}), None)?;
    if global.json {
        return print_result(&pretty(&job)?);
    }
    note(&format!("{} is {}", job.id, job.state));
    Ok(())
}

fn list(args: &JobsArgs, global: GlobalFlags) -> Result<(), Failure> {
    let mut path = format!("/v1/jobs?limit={}", args.limit);
    if let Some(state) = args.status {
        path.push_str(&format!("&status={state}"));
    }
    if let Some(kind) = args.kind {
        path.push_str(&format!("&kind={kind}"));
    }
    let page: JobList = args.worker.client().get(&path)?;
    if global.json {
        return print_result(&pretty(&page)?);
    }
    if page.jobs.is_empty() {
        note("no jobs");
    }
    for job in &page.jobs {
        print_result(&line(job))?;
    }
    Ok(())
}

fn line(job: &JobView) -> String {
    let how_far = match (job.queue_position, &job.progress, &job.error) {
        (Some(position), ..) => format!("{position} before it"),
        (_, _, Some(error)) => error.message.clone(),
        (_, Some(progress), _) if !job.state.is_terminal() => {
            format!("{:.0} %", progress.done_share * 100.0)
        }
        _ => String::new(),
    };
    let line = format!(
        "{}  {:<9}  {:<9}  {}  {:<16}  {how_far}",
        job.id,
        job.kind,
        job.state,
        job.created_at,
        job.request.model(),
    );
    line.trim_end().to_owned()
}
