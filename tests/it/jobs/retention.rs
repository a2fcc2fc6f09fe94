//! What is thrown away, and when new jobs are refused for want of room.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dfa_core::wire::{JobId, Timestamp};
use dfa_native_worker::jobs::clock::SetClock;
use dfa_native_worker::jobs::{CancelError, LookupError, SubmitError};

use super::{PATIENCE, config, generate, open, run};

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

fn walk(folder: &Path) -> usize {
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
