//! SIGTERM: no more jobs, an orderly end, and the rest after the next start.

use std::time::{Duration, Instant};

use dfa_tests::worker_process::{WorkerProcess, serve_command};
use serde_json::Value;

use super::{
    N_STEPS, calibrate, ended, generate, job, plan_made, submit, undisturbed_plan, until_decided,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// Until the worker says that it is not ready, or does not answer any more.
fn until_not_ready(worker: &WorkerProcess) {
    let start = Instant::now();
    while let Ok(answer) = worker.client.try_ask("GET", "/v2/health/ready", &[], "") {
        if answer.status == 503 {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "it is ready still");
    }
}

#[test]
fn the_running_job_ends_and_the_waiting_one_waits() {
    let folder = tempfile::tempdir().unwrap();
    let worker = WorkerProcess::start(folder.path());
    let running = submit(&worker.client, &calibrate(N_STEPS));
    let waiting = submit(&worker.client, &generate(2, 1));
    until_decided(&worker.client, &running, 0);
    worker.terminate();
    until_not_ready(&worker);
    if let Ok(answer) = worker.client.try_ask(
        "POST",
        "/v1/jobs",
        &[("content-type", "application/json")],
        generate(2, 2).to_string(),
    ) {
        assert_eq!(
            (answer.status, answer.error_code().as_deref()),
            (503, Some("draining"))
        );
    }
    let (code, log) = worker.exited_within(PATIENCE);
    assert_eq!(code, Some(0), "{log}");
    let worker = WorkerProcess::start(folder.path());
    let ran = job(&worker.client, &running);
    assert_eq!(
        (&ran["state"], &ran["attempts"]),
        (&"succeeded".into(), &1.into())
    );
    assert_eq!(ran["result"]["plan"], undisturbed_plan());
    assert_eq!(ended(&worker.client, &waiting)["attempts"], 1);
}

#[test]
fn without_grace_the_running_calibration_goes_on_after_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let worker = WorkerProcess::spawn(serve_command(folder.path()).args(["--shutdown-grace", "0"]));
    let id = submit(&worker.client, &calibrate(N_STEPS));
    until_decided(&worker.client, &id, 1);
    worker.terminate();
    let (code, log) = worker.exited_within(PATIENCE);
    assert_eq!(code, Some(0), "{log}");
    let worker = WorkerProcess::start(folder.path());
    assert_eq!(plan_made(&worker.client, &id), undisturbed_plan());
    let job = job(&worker.client, &id);
    assert_eq!((&job["attempts"], &job["error"]), (&2.into(), &Value::Null));
    let blamed = worker
        .client
        .events(&id, 0)
        .any(|event| !event.data["error"].is_null());
    assert!(!blamed, "an orderly stop is no death");
}

#[test]
fn a_second_signal_stops_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let worker = WorkerProcess::start(folder.path());
    let id = submit(&worker.client, &calibrate(N_STEPS));
    until_decided(&worker.client, &id, 0);
    worker.terminate();
    until_not_ready(&worker);
    let start = Instant::now();
    worker.terminate();
    let (code, log) = worker.exited_within(PATIENCE);
    assert_eq!(code, Some(130), "{log}");
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    let worker = WorkerProcess::start(folder.path());
    assert_eq!(plan_made(&worker.client, &id), undisturbed_plan());
}
