//! Single kills: the rule about jobs that kill their worker, a calibration that goes on,
//! and the files of a write that was cut short.

use dfa_tests::worker_process::WorkerProcess;

use super::{
    N_STEPS, calibrate, ended, generate, job, plan_made, submit, undisturbed_plan, until_decided,
};

#[test]
fn a_job_that_was_killed_twice_fails_and_the_next_one_runs() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = WorkerProcess::start(folder.path());
    let doomed = submit(&worker.client, &generate(500, 1));
    let next = submit(&worker.client, &generate(2, 1));
    for attempt in 1..=2 {
        let mut events = worker.client.events(&doomed, 0);
        let runs = events
            .any(|event| event.data["state"] == "running" && event.data["attempt"] == attempt);
        assert!(runs, "attempt {attempt} did not begin");
        worker.kill();
        worker = WorkerProcess::start(folder.path());
    }
    let doomed = ended(&worker.client, &doomed);
    assert_eq!(
        (&doomed["state"], &doomed["error"]["code"]),
        (&"failed".into(), &"worker_died".into())
    );
    let words = doomed["error"]["message"].as_str().unwrap();
    assert!(words.contains("died 2 times"), "{words}");
    assert_eq!(ended(&worker.client, &next)["state"], "succeeded");
}

#[test]
fn a_killed_calibration_goes_on_to_the_same_plan() {
    let folder = tempfile::tempdir().unwrap();
    let worker = WorkerProcess::start(folder.path());
    let id = submit(&worker.client, &calibrate(N_STEPS));
    until_decided(&worker.client, &id, 2);
    worker.kill();
    let worker = WorkerProcess::start(folder.path());
    assert_eq!(plan_made(&worker.client, &id), undisturbed_plan());
    let again = worker
        .client
        .events(&id, 0)
        .skip_while(|event| event.data["error"].is_null());
    let steps: Vec<u64> = again
        .filter_map(|event| match event.name.as_str() {
            "decision" => event.data["step"].as_u64(),
            _ => None,
        })
        .collect();
    assert!(
        steps.iter().all(|&step| step >= 2),
        "steps were done again: {steps:?}"
    );
    assert_eq!(job(&worker.client, &id)["attempts"], 2);
}

#[test]
fn what_a_killed_write_left_is_thrown_away() {
    let folder = tempfile::tempdir().unwrap();
    let artifacts = folder.path().join("artifacts/ab");
    let states = folder.path().join("states");
    [&artifacts, &states]
        .into_iter()
        .for_each(|folder| std::fs::create_dir_all(folder).unwrap());
    let hash = "ab".repeat(32);
    let left = [
        artifacts.join(format!("{hash}#1")),
        artifacts.join(hash),
        states.join("job.state.4711.tmp"),
    ];
    left.iter()
        .for_each(|path| std::fs::write(path, "half").unwrap());
    let _worker = WorkerProcess::start(folder.path());
    let found: Vec<_> = left.iter().filter(|path| path.exists()).collect();
    assert!(found.is_empty(), "{found:?}");
}
