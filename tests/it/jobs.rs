//! Jobs on the shipped model, at few steps: what clients are promised, without HTTP.

use std::sync::Arc;
use std::time::Duration;

use dfa_core::wire::job::{ArtifactRole, JobErrorCode, JobState, JobView};
use dfa_core::wire::job_event::JobEventData;
use dfa_core::wire::{CheckedPlan, JobEvent, JobId, JobRequest, Timestamp};
use dfa_native_worker::jobs::clock::SetClock;
use dfa_native_worker::jobs::{
    CancelError, DeleteError, DeviceUnwell, IdempotencyKey, JobFilter, Jobs, JobsConfig,
    LookupError, OpenError, PlanLibraryError, SubmitError, Submitted,
};
use dfa_tests::fixtures::shipped_model;
use futures_util::TryStreamExt as _;
use tempfile::TempDir;

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
    let job = run(&jobs, request(&text)).await;
    let images = job.result.unwrap().artifacts;
    assert_eq!(images.len(), 1);
    let read = jobs.read_artifact(images[0].hash, None).await.unwrap();
    let bytes: Vec<_> = read.bytes.try_collect().await.unwrap();
    assert_eq!(
        dfa_core::wire::ContentHash::of(&bytes.concat()),
        images[0].hash
    );
    let part = jobs
        .read_artifact(images[0].hash, Some(1..4))
        .await
        .unwrap();
    let part: Vec<_> = part.bytes.try_collect().await.unwrap();
    assert_eq!(part.concat(), b"PNG");
    assert!(
        jobs.read_artifact(images[0].hash, Some(0..1 << 40))
            .await
            .is_err()
    );

    let text = format!(r#"{{"kind":"compare",MODEL,"labels":[0,2],"plan":"{plan}"}}"#);
    let job = run(&jobs, request(&text)).await;
    let result = job.result.unwrap();
    assert_eq!(result.report.unwrap().images.len(), 2);
    let n_of = |role| {
        result
            .artifacts
            .iter()
            .filter(|file| file.role == role)
            .count()
    };
    assert_eq!(n_of(ArtifactRole::RawImage), 2);
    assert_eq!(n_of(ArtifactRole::CompressedImage), 2);
    assert_eq!(
        (n_of(ArtifactRole::Grid), n_of(ArtifactRole::ReportPage)),
        (1, 1)
    );
    assert_eq!(jobs.stats().await.unwrap().n_queued, 0);
    jobs.probe(Duration::from_secs(5)).await.unwrap();
    jobs.shutdown(PATIENCE).await;
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
async fn requests_that_cannot_be_done_name_the_field() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = open(config(&dir)).await;
    let check = async |text: &str, field: &str| match jobs.submit(request(text), None).await {
        Err(SubmitError::Invalid(error)) => assert_eq!(error.field, field, "{text}: {error}"),
        other => panic!("{text}: {other:?}"),
    };
    check(r#"{"kind":"generate","model":"../etc"}"#, "model").await;
    check(
        r#"{"kind":"generate",MODEL,"labels":["no such class"]}"#,
        "labels",
    )
    .await;
    check(
        r#"{"kind":"generate",MODEL,"labels":[4000000000]}"#,
        "labels",
    )
    .await;
    check(r#"{"kind":"generate",MODEL,"steps":0}"#, "steps").await;
    check(r#"{"kind":"generate",MODEL,"steps":1001}"#, "steps").await;
    check(r#"{"kind":"generate",MODEL,"n_images":0}"#, "n_images").await;
    check(
        r#"{"kind":"generate",MODEL,"n_images":4000000000}"#,
        "n_images",
    )
    .await;
    check(r#"{"kind":"generate",MODEL,"batch_size":0}"#, "batch_size").await;
    check(r#"{"kind":"generate",MODEL,"size":"0x64"}"#, "size").await;
    check(r#"{"kind":"generate",MODEL,"size":"63x64"}"#, "size").await;
    check(
        r#"{"kind":"generate",MODEL,"size":"4000000000x64"}"#,
        "size",
    )
    .await;
    check(
        r#"{"kind":"calibrate",MODEL,"candidates":["full"]}"#,
        "candidates",
    )
    .await;
    let hash = "0".repeat(64);
    let text = format!(r#"{{"kind":"compare",MODEL,"plan":"{hash}"}}"#);
    check(&text, "plan").await;
    assert_eq!(
        jobs.list(&JobFilter::default()).await.unwrap().jobs.len(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_for_another_run_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = open(config(&dir)).await;
    let made = run(&jobs, calibrate(2)).await;
    let plan = made.result.unwrap().plan.unwrap();
    let text = format!(r#"{{"kind":"generate",MODEL,"steps":3,"plan":"{plan}"}}"#);
    let refused = jobs.submit(request(&text), None).await;
    assert!(
        matches!(&refused, Err(SubmitError::Invalid(error)) if error.field == "plan"),
        "{refused:?}"
    );
    let text = format!(
        r#"{{"kind":"generate","model":"avatars-dit","guidance_scale":3,"labels":[0],"plan":"{plan}","allow_mismatch":["guidance_scale"]}}"#
    );
    run(&jobs, request(&text)).await;
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
async fn a_calibration_goes_on_after_the_jobs_were_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let whole = open(config(&dir)).await;
    let expected = run(&whole, calibrate(6))
        .await
        .result
        .unwrap()
        .plan
        .unwrap();
    let expected = whole.plan(expected).await.unwrap().checked;
    let id = submit(&whole, calibrate(6)).await;
    let waiting = submit(&whole, generate(1, 5)).await;
    // After the second step is saved, everything is dropped without a word.
    let mut events = whole.watch(id, 0).await.unwrap();
    while let Some(event) = events.next().await.unwrap() {
        if matches!(event.data, JobEventData::Decision(decision) if decision.step == 3) {
            break;
        }
    }
    drop((events, whole));

    let jobs = open(config(&dir)).await;
    let job = finished(&jobs, id).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    assert!(job.attempts >= 2, "{}", job.attempts);
    let plan = jobs.plan(job.result.unwrap().plan.unwrap()).await.unwrap();
    let same = |plan: &CheckedPlan| (plan.plan.clone(), plan.search.clone());
    assert_eq!(same(&plan.checked), same(&expected));
    let events = all_events(&jobs, id, 0).await;
    let after_restart = events.iter().rposition(|event| {
        matches!(&event.data, JobEventData::Status(status) if status.state == JobState::Running)
    });
    let first_step = events[after_restart.unwrap()..]
        .iter()
        .find_map(|event| match &event.data {
            JobEventData::Decision(decision) => Some(decision.step),
            _ => None,
        });
    assert!(
        first_step.unwrap() >= 2,
        "it began again at step {first_step:?}"
    );
    assert_eq!(finished(&jobs, waiting).await.state, JobState::Succeeded);
    let states_left = std::fs::read_dir(dir.path().join("states"))
        .unwrap()
        .count();
    assert_eq!(states_left, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_puts_back_what_runs_and_keeps_what_waits() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = open(config(&dir)).await;
    let running = submit(&jobs, generate(300, 0)).await;
    let waiting = submit(&jobs, generate(1, 1)).await;
    until_running(&jobs, running).await;
    assert!(matches!(
        Jobs::open(config(&dir)).await.err(),
        Some(OpenError::InUse(_))
    ));
    jobs.drain();
    let refused = jobs.submit(generate(1, 2), None).await;
    assert!(
        matches!(refused, Err(SubmitError::Draining { .. })),
        "{refused:?}"
    );
    jobs.shutdown(Duration::ZERO).await;
    drop(jobs);

    let jobs = open(config(&dir)).await;
    until_running(&jobs, running).await;
    jobs.cancel(running).await.unwrap();
    assert_eq!(finished(&jobs, running).await.state, JobState::Cancelled);
    assert_eq!(finished(&jobs, waiting).await.state, JobState::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_jobs_go_and_answer_gone() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(SetClock::at(Timestamp::from_unix_ms(1_800_000_000_000)));
    let mut config = config(&dir);
    config.clock = clock.clone();
    config.retention.max_age = Duration::from_secs(100);
    let jobs = open(config).await;
    let old = run(&jobs, generate(1, 0)).await;
    clock.advance(Duration::from_secs(90));
    // The same images: the same artifacts, now named by two jobs.
    let same = run(&jobs, generate(1, 0)).await;
    let hash = old.result.as_ref().unwrap().artifacts[0].hash;
    assert_eq!(hash, same.result.as_ref().unwrap().artifacts[0].hash);
    clock.advance(Duration::from_secs(20));
    let swept = jobs.sweep().await.unwrap();
    assert_eq!((swept.n_jobs, swept.n_files), (1, 0));
    assert!(matches!(jobs.get(old.id).await, Err(LookupError::Gone(_))));
    assert!(matches!(
        jobs.cancel(old.id).await,
        Err(CancelError::Lookup(LookupError::Gone(_)))
    ));
    let never = JobId::from_bits(7);
    assert!(matches!(
        jobs.get(never).await,
        Err(LookupError::NeverExisted(_))
    ));
    assert!(jobs.artifact(hash).await.is_ok());
    jobs.delete(same.id).await.unwrap();
    assert!(jobs.artifact(hash).await.is_err());
    let n_files = walk(&dir.path().join("artifacts"));
    assert_eq!(n_files, 0);
}

fn walk(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .map(|path| if path.is_dir() { walk(&path) } else { 1 })
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_goes_oldest_first_and_a_full_disk_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(&dir);
    config.retention.max_artifact_bytes = 1;
    config.disk.quota_bytes = Some(1);
    let jobs = open(config.clone()).await;
    let first = run(&jobs, generate(1, 0)).await;
    let refused = jobs.submit(generate(1, 1), None).await;
    assert!(
        matches!(refused, Err(SubmitError::DiskFull(_))),
        "{refused:?}"
    );
    assert_eq!(jobs.sweep().await.unwrap().n_jobs, 1);
    assert!(matches!(
        jobs.get(first.id).await,
        Err(LookupError::Gone(_))
    ));
    run(&jobs, generate(1, 1)).await;
    jobs.shutdown(PATIENCE).await;
    drop(jobs);
    config.disk.quota_bytes = None;
    config.disk.free_floor_bytes = u64::MAX;
    let jobs = open(config).await;
    let refused = jobs.submit(generate(1, 2), None).await;
    assert!(
        matches!(refused, Err(SubmitError::DiskFull(_))),
        "{refused:?}"
    );
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

#[tokio::test(flavor = "multi_thread")]
async fn plans_come_in_from_people_and_every_problem_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = open(config(&dir)).await;
    let settings = Default::default();
    let table = b"step,block,strategy\n0,0,full\n1,0,ast\n";
    let error = jobs.import_plan(table, &settings).await;
    assert!(
        matches!(&error, Err(PlanLibraryError::Unreadable { problems }) if problems[0].contains("window"))
    );
    let mut with_window = settings;
    with_window.n_tokens = Some(64);
    let made = jobs.import_plan(table, &with_window).await.unwrap();
    assert!(made.is_new);
    assert!(!jobs.import_plan(table, &with_window).await.unwrap().is_new);
    let page = jobs.plans(None, 0).await.unwrap();
    assert_eq!(page.plans, [made.plan]);
    assert_eq!(jobs.plans(Some("nonsense"), 0).await.unwrap().plans, []);
    let bad = br#"{"format":"dfa-plan","version":1,"strategies":[["asc"],["nope"]],"window":{"left":1,"right":1}}"#;
    match jobs.import_plan(bad, &settings).await {
        Err(PlanLibraryError::Unreadable { problems }) => assert!(!problems.is_empty()),
        other => panic!("{other:?}"),
    }
}
