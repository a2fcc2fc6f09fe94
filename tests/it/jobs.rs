//! Jobs on the shipped model, at few steps: what clients are promised, without HTTP.

use std::time::Duration;

use dfa_core::wire::job::{Artifact, ArtifactRole, JobErrorCode, JobState, JobView};
use dfa_core::wire::job_event::JobEventData;
use dfa_core::wire::{ContentHash, JobEvent, JobId, JobRequest};
use dfa_native_worker::jobs::{
    CancelError, DeleteError, DeviceUnwell, IdempotencyKey, JobFilter, Jobs, JobsConfig, OpenError,
    SubmitError, Submitted,
};
use dfa_tests::fixtures::shipped_model;
use futures_util::TryStreamExt as _;
use tempfile::TempDir;

mod plans;
mod refusals;
mod restarts;
mod retention;
mod store;

/// Long enough for a busy machine; no test waits so long if all is well.
const PATIENCE: Duration = Duration::from_secs(120);

fn config(dir: &TempDir) -> JobsConfig {
    let mut config = JobsConfig::new(dir.path().to_path_buf(), vec![shipped_model()]);
    config.queue.poll = Duration::from_millis(100);
    config.device.progress_interval = Duration::ZERO;
    config.device.preview_every = 1;
    config.disk.free_floor_bytes = 0;
    config
}

async fn open(config: JobsConfig) -> Jobs {
    // Jobs that were dropped let go of the folder as soon as their run noticed.
    for _ in 0..600 {
        match Jobs::open(config.clone()).await {
            Err(OpenError::InUse(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
            opened => return opened.unwrap_or_else(|error| panic!("{error}")),
        }
    }
    panic!("the data folder stays in use");
}

fn request(text: &str) -> JobRequest {
    let text = text.replace("MODEL", r#""model":"avatars-dit","guidance_scale":2"#);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn calibrate(n_steps: u32) -> JobRequest {
    request(&format!(
        r#"{{"kind":"calibrate",MODEL,"steps":{n_steps},"n_images":1,"threshold":0.5,"search":"record-all"}}"#
    ))
}

fn generate(n_steps: u32, seed: u32) -> JobRequest {
    request(&format!(
        r#"{{"kind":"generate",MODEL,"steps":{n_steps},"labels":["micah",1],"seed":{seed}}}"#
    ))
}

async fn submit(jobs: &Jobs, request: JobRequest) -> JobId {
    match jobs.submit(request, None).await {
        Ok(Submitted::Accepted(job)) => job.id,
        other => panic!("{other:?}"),
    }
}

async fn finished(jobs: &Jobs, id: JobId) -> JobView {
    let job = jobs.wait(id, PATIENCE).await.unwrap();
    assert!(job.state.is_terminal(), "{job:?}");
    job
}

async fn run(jobs: &Jobs, request: JobRequest) -> JobView {
    let id = submit(jobs, request).await;
    let job = finished(jobs, id).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    job
}

async fn until_running(jobs: &Jobs, id: JobId) {
    let mut events = jobs.watch(id, 0).await.unwrap();
    while let Some(event) = events.next().await.unwrap() {
        if matches!(event.data, JobEventData::Progress(progress) if progress.steps > 0) {
            return;
        }
    }
    panic!("the job ended before it ran");
}

async fn all_events(jobs: &Jobs, id: JobId, after: u64) -> Vec<JobEvent> {
    let mut watching = jobs.watch(id, after).await.unwrap();
    let mut events = Vec::new();
    while let Some(event) = watching.next().await.unwrap() {
        events.push(event);
    }
    events
}

fn states(events: &[JobEvent]) -> Vec<JobState> {
    let states = events.iter().filter_map(|event| match &event.data {
        JobEventData::Status(status) => Some(status.state),
        _ => None,
    });
    states.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_calibrated_used_and_compared() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = open(config(&dir)).await;
    let made = run(&jobs, calibrate(3)).await;
    let plan = made.result.unwrap().plan.unwrap();
    let stored = jobs.plan(plan).await.unwrap();
    assert_eq!(stored.view.n_steps, 3);
    assert_eq!(stored.checked.provenance.unwrap().model_id, "avatars-dit");

    let events = all_events(&jobs, made.id, 0).await;
    let n_decisions = events
        .iter()
        .filter(|event| event.data.name() == "decision")
        .count();
    assert_eq!(n_decisions as u32, 3 * stored.view.n_blocks);
    assert!(events.iter().any(|event| event.data.name() == "preview"));
    let expected = [JobState::Queued, JobState::Running, JobState::Succeeded];
    assert_eq!(states(&events), expected);

    let text = format!(r#"{{"kind":"generate",MODEL,"labels":[0],"plan":"{plan}"}}"#);
    let images = run(&jobs, request(&text)).await.result.unwrap().artifacts;
    assert_eq!(images.len(), 1);
    check_artifact(&jobs, &images[0]).await;

    let text = format!(r#"{{"kind":"compare",MODEL,"labels":[0,2],"plan":"{plan}"}}"#);
    let result = run(&jobs, request(&text)).await.result.unwrap();
    assert_eq!(result.report.unwrap().images.len(), 2);
    let roles = result.artifacts.iter().map(|file| file.role);
    let n_of = |role| roles.clone().filter(|found| *found == role).count();
    assert_eq!(n_of(ArtifactRole::RawImage), 2);
    assert_eq!(n_of(ArtifactRole::CompressedImage), 2);
    assert_eq!(n_of(ArtifactRole::Grid), 1);
    assert_eq!(n_of(ArtifactRole::ReportPage), 1);
    assert_eq!(jobs.stats().await.unwrap().n_queued, 0);
    jobs.probe(Duration::from_secs(5)).await.unwrap();
    jobs.shutdown(PATIENCE).await;
}

async fn check_artifact(jobs: &Jobs, image: &Artifact) {
    let read = async |range| {
        let read = jobs.read_artifact(image.hash, range).await.ok()?;
        let bytes: Vec<_> = read.bytes.try_collect().await.unwrap();
        Some(bytes.concat())
    };
    assert_eq!(ContentHash::of(&read(None).await.unwrap()), image.hash);
    assert_eq!(read(Some(1..4)).await.unwrap(), b"PNG");
    assert_eq!(read(Some(0..1 << 40)).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_makes_one_job() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = open(config(&dir)).await;
    let key = IdempotencyKey::new("my-request-1").unwrap();
    let first = jobs.submit(generate(1, 0), Some(&key)).await.unwrap();
    let again = jobs.submit(generate(1, 0), Some(&key)).await.unwrap();
    assert!(matches!(&again, Submitted::Replayed(job) if job.id == first.job().id));
    let other = jobs.submit(generate(1, 1), Some(&key)).await;
    assert!(
        matches!(other, Err(SubmitError::IdempotencyConflict { earlier }) if earlier == first.job().id)
    );
    finished(&jobs, first.job().id).await;
    let listed = jobs.list(&JobFilter::default()).await.unwrap();
    assert_eq!(listed.jobs.len(), 1);
    for bad in ["", "é", &"x".repeat(256)] {
        assert_eq!(IdempotencyKey::new(bad), None, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_and_says_when() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(&dir);
    config.limits.max_queued_jobs = 2;
    let jobs = open(config).await;
    let running = submit(&jobs, generate(500, 0)).await;
    until_running(&jobs, running).await;
    let first = submit(&jobs, generate(1, 1)).await;
    let second = submit(&jobs, generate(1, 2)).await;
    let position = async |id| jobs.get(id).await.unwrap().queue_position;
    assert_eq!(
        (position(first).await, position(second).await),
        (Some(0), Some(1))
    );
    let refused = jobs.submit(generate(1, 3), None).await;
    assert!(
        matches!(refused, Err(SubmitError::QueueFull { n_queued: 2, retry_after }) if retry_after > Duration::ZERO),
        "{refused:?}"
    );
    // Cancelling a queued job takes effect at once and makes room.
    assert_eq!(jobs.cancel(first).await.unwrap().state, JobState::Cancelled);
    assert!(matches!(
        jobs.cancel(first).await,
        Err(CancelError::AlreadyEnded(_))
    ));
    assert_eq!(position(second).await, Some(0));
    submit(&jobs, generate(1, 3)).await;
    // Cancelling the running one takes a step.
    jobs.cancel(running).await.unwrap();
    assert!(matches!(
        jobs.delete(second).await,
        Err(DeleteError::NotEnded(_))
    ));
    let cancelled = finished(&jobs, running).await;
    assert_eq!(cancelled.state, JobState::Cancelled);
    assert_eq!(cancelled.error.unwrap().code, JobErrorCode::Cancelled);
    let events = all_events(&jobs, running, 0).await;
    let expected = [JobState::Queued, JobState::Running, JobState::Cancelled];
    assert_eq!(states(&events), expected);
    assert_eq!(finished(&jobs, second).await.state, JobState::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_complete_and_in_order_for_every_reader() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = open(config(&dir)).await;
    let id = submit(&jobs, calibrate(4)).await;
    let fast = tokio::spawn({
        let jobs = jobs.clone();
        async move { all_events(&jobs, id, 0).await }
    });
    let slow = tokio::spawn({
        let jobs = jobs.clone();
        async move {
            let mut watching = jobs.watch(id, 0).await.unwrap();
            let mut events = Vec::new();
            while let Some(event) = watching.next().await.unwrap() {
                events.push(event);
                tokio::time::sleep(Duration::from_millis(7)).await;
            }
            events
        }
    });
    let (fast, slow) = (fast.await.unwrap(), slow.await.unwrap());
    assert_eq!(fast, slow);
    let numbers: Vec<u64> = fast.iter().map(|event| event.seq).collect();
    assert_eq!(numbers, (1..=fast.len() as u64).collect::<Vec<_>>());
    assert!(fast.last().unwrap().data.is_last());
    // Resumed in the middle, and after the end.
    assert_eq!(all_events(&jobs, id, 5).await, fast[5..]);
    assert_eq!(all_events(&jobs, id, 1 << 60).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_device_thread_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(&dir);
    config.device.stuck_after = Duration::from_millis(200);
    let jobs = open(config).await;
    jobs.probe(Duration::from_secs(5)).await.unwrap();
    jobs.make_device_deaf(Duration::from_secs(2));
    tokio::time::sleep(Duration::from_millis(500)).await;
    let unwell = jobs.probe(Duration::from_secs(5)).await;
    assert!(matches!(unwell, Err(DeviceUnwell::Stuck(_))), "{unwell:?}");
    tokio::time::sleep(Duration::from_millis(2000)).await;
    jobs.probe(Duration::from_secs(5)).await.unwrap();
}
