//! Jobs whose worker went away in the middle: nothing is lost.

use std::time::Duration;

use dfa_core::wire::job::JobState;
use dfa_core::wire::job_event::JobEventData;
use dfa_core::wire::{CheckedPlan, JobEvent, JobRequest};
use dfa_native_worker::jobs::{Jobs, OpenError, SubmitError};

use super::{
    all_events, calibrate, config, finished, generate, open, request, run, submit, until_running,
};

const N_STEPS: u32 = 6;

#[tokio::test(flavor = "multi_thread")]
async fn a_calibration_goes_on_after_the_jobs_were_dropped() {
    check_goes_on(calibrate(N_STEPS), 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_with_a_target_goes_on_in_its_second_search() {
    let with_target = request(&format!(
        r#"{{"kind":"calibrate",MODEL,"steps":{N_STEPS},"n_images":1,"size":"32x32","target":"macs=40%"}}"#
    ));
    check_goes_on(with_target, 1).await;
}

/// Begins of searches, in a job's events.
fn n_searches(events: &[JobEvent]) -> usize {
    let is_begin = |event: &&JobEvent| matches!(&event.data, JobEventData::Decision(cell) if (cell.step, cell.block) == (1, 0));
    events.iter().filter(is_begin).count()
}

/// Drops the jobs in step 3 of the search after so many whole ones.
async fn check_goes_on(calibrate: JobRequest, n_whole: usize) {
    let dir = tempfile::tempdir().unwrap();
    let whole = open(config(&dir)).await;
    let undisturbed = run(&whole, calibrate.clone()).await;
    let expected = undisturbed.result.unwrap().plan.unwrap();
    let expected = whole.plan(expected).await.unwrap().checked;
    let n_expected = n_searches(&all_events(&whole, undisturbed.id, 0).await);
    assert!(n_expected > n_whole);
    let id = submit(&whole, calibrate).await;
    let waiting = submit(&whole, generate(1, 5)).await;
    // After the second step is saved, everything is dropped without a word.
    let mut events = whole.watch(id, 0).await.unwrap();
    let mut seen = Vec::new();
    while let Some(event) = events.next().await.unwrap() {
        let is_third =
            matches!(&event.data, JobEventData::Decision(decision) if decision.step == 3);
        seen.push(event);
        if is_third && n_searches(&seen) > n_whole {
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
    assert_eq!(n_searches(&events), n_expected, "no search is made twice");
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
