//! The database alone: what a process that died leaves behind, and who may write results.

use std::sync::Arc;

use dfa_core::wire::job::{JobErrorCode, JobState};
use dfa_core::wire::{JobId, JobRequest};
use dfa_native_worker::jobs::JobFilter;
use dfa_native_worker::jobs::clock::SystemClock;
use dfa_native_worker::jobs::config::QueueRule;
use dfa_native_worker::jobs::queue::Queue;
use dfa_native_worker::jobs::store::job_rows::NewJob;
use dfa_native_worker::jobs::store::{Acceptance, Ending, Fenced, Store};
use tempfile::TempDir;

async fn open(dir: &TempDir) -> Store {
    let file = dir.path().join("jobs.sqlite");
    Store::open(&file, Arc::new(SystemClock)).await.unwrap()
}

fn request() -> JobRequest {
    serde_json::from_str(r#"{"kind":"generate","model":"m"}"#).unwrap()
}

async fn accept(store: &Store, bits: u128) -> JobId {
    let new = NewJob {
        id: JobId::from_bits(bits),
        request: &request(),
        key: None,
        max_queued: 100,
    };
    let (acceptance, tx) = store.accept(new).await.unwrap();
    tx.commit().await.unwrap();
    match acceptance {
        Acceptance::New(id) => id,
        _ => panic!("the job was not accepted"),
    }
}

#[tokio::test]
async fn only_the_last_attempt_may_end_a_job() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    let id = accept(&store, 1).await;
    let first = store.claim(id).await.unwrap().unwrap();
    assert!(store.claim(id).await.unwrap().is_none(), "claimed twice");
    store.recover(9).await.unwrap();
    let second = store.claim(id).await.unwrap().unwrap();
    assert_eq!((first.attempt, second.attempt), (1, 2));
    let done = Ending::Succeeded(Box::default());
    assert_eq!(store.finish(&first, &done).await.unwrap(), Err(Fenced));
    assert_eq!(store.append(&first, &[]).await.unwrap(), Err(Fenced));
    assert_eq!(
        store.job(id).await.unwrap().unwrap().state,
        JobState::Running
    );
    assert_eq!(store.finish(&second, &done).await.unwrap(), Ok(()));
    assert_eq!(store.finish(&second, &done).await.unwrap(), Err(Fenced));
    assert_eq!(
        store.job(id).await.unwrap().unwrap().state,
        JobState::Succeeded
    );
}

#[tokio::test]
async fn a_job_that_killed_its_worker_twice_has_failed() {
    let dir = tempfile::tempdir().unwrap();
    let id = accept(&open(&dir).await, 1).await;
    for expected in [JobState::Queued, JobState::Failed] {
        // Every pass is a process of its own that dies in the middle.
        let store = open(&dir).await;
        store.claim(id).await.unwrap().unwrap();
        store.close().await;
        let store = open(&dir).await;
        assert_eq!(store.recover(2).await.unwrap(), [(id, expected)]);
    }
    let job = open(&dir).await.job(id).await.unwrap().unwrap();
    assert_eq!(job.error.unwrap().code, JobErrorCode::WorkerDied);
    assert!(job.finished_at.is_some());
}

#[tokio::test]
async fn a_job_that_was_put_back_is_not_blamed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    let id = accept(&store, 1).await;
    for _ in 0..3 {
        let claim = store.claim(id).await.unwrap().unwrap();
        let put_back = store.finish(&claim, &Ending::PutBack).await.unwrap();
        assert_eq!(put_back, Ok(()));
    }
    store.claim(id).await.unwrap().unwrap();
    assert_eq!(store.recover(2).await.unwrap(), [(id, JobState::Queued)]);
}

#[tokio::test]
async fn a_cancelled_job_whose_worker_died_is_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    let id = accept(&store, 1).await;
    store.claim(id).await.unwrap().unwrap();
    assert_eq!(
        store.request_cancel(id).await.unwrap(),
        Some(JobState::Running)
    );
    assert_eq!(store.recover(2).await.unwrap(), [(id, JobState::Cancelled)]);
    assert_eq!(store.request_cancel(id).await.unwrap(), None);
}

#[tokio::test]
async fn a_job_without_a_queue_row_gets_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    let queue = Queue::new(store.clone(), QueueRule::default());
    queue.restart().await.unwrap();
    accept(&store, 1).await;
    accept(&store, 2).await;
    assert_eq!(queue.reconcile().await.unwrap(), 2);
    assert_eq!(queue.reconcile().await.unwrap(), 0);
    queue.restart().await.unwrap();
    assert_eq!(queue.reconcile().await.unwrap(), 0);
}

#[tokio::test]
async fn pages_are_complete_and_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    for bits in 1..=7 {
        accept(&store, bits).await;
    }
    let mut filter = JobFilter {
        limit: 3,
        ..JobFilter::default()
    };
    let mut seen = Vec::new();
    loop {
        let page = store.page(&filter).await.unwrap();
        seen.extend(page.jobs.iter().map(|job| job.id.bits()));
        filter.cursor = page.next_cursor;
        if filter.cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1]);
    filter.state = Some(JobState::Running);
    assert_eq!(store.page(&filter).await.unwrap().jobs, []);
}
