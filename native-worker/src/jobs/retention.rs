//! What is thrown away, and when there is no room: by age, by total size, by free space.

use std::path::Path;

use dfa_core::wire::Timestamp;

use super::answers::ArtifactError;
use super::artifacts::ArtifactStore;
use super::config::{DiskRule, Retention};
use super::store::Store;

/// Jobs that are forgotten in one go.
const AT_ONCE: u32 = 100;

/// What a sweep threw away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Jobs.
    pub n_jobs: u64,
    /// Files.
    pub n_files: usize,
}

/// Throws away what is too old or too much. Jobs that wait or run stay.
///
/// # Errors
/// [`ArtifactError`].
pub async fn sweep(
    store: &Store,
    artifacts: &ArtifactStore,
    rule: &Retention,
) -> Result<Swept, ArtifactError> {
    let mut swept = Swept::default();
    let before = |age: std::time::Duration| {
        let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Timestamp::from_unix_ms(store.now().unix_ms().saturating_sub(age_ms))
    };
    loop {
        let old = store.ended_before(before(rule.max_age), AT_ONCE).await?;
        if old.is_empty() {
            break;
        }
        swept.n_jobs += store.forget(&old).await?;
    }
    swept.n_files += throw_away_unnamed(store, artifacts).await?;
    while store.artifact_bytes().await? > rule.max_artifact_bytes {
        let Some(oldest) = store.oldest_with_artifacts().await? else {
            break;
        };
        swept.n_jobs += store.forget(&[oldest]).await?;
        swept.n_files += throw_away_unnamed(store, artifacts).await?;
    }
    store.forget_gone_before(before(rule.remember_gone)).await?;
    Ok(swept)
}

/// Throws away the files that no job names any more.
///
/// # Errors
/// [`ArtifactError`].
pub async fn throw_away_unnamed(
    store: &Store,
    artifacts: &ArtifactStore,
) -> Result<usize, ArtifactError> {
    artifacts
        .throw_away(async { Ok(store.take_unnamed_artifacts().await?) })
        .await
}

/// Throws away files of which the database knows nothing: those of an attempt that died
/// between writing and committing. Only to be called while nothing runs.
///
/// # Errors
/// [`ArtifactError`].
pub async fn throw_away_unknown(
    store: &Store,
    artifacts: &ArtifactStore,
) -> Result<usize, ArtifactError> {
    let mut unknown = Vec::new();
    for name in artifacts.names().await? {
        if store.artifact(name).await?.is_none() {
            unknown.push(name);
        }
    }
    artifacts
        .throw_away(async { Ok::<_, ArtifactError>(unknown) })
        .await
}

/// Whether there is room for another job's results; the reason if not.
///
/// # Errors
/// [`ArtifactError`].
pub async fn room(
    store: &Store,
    folder: &Path,
    rule: &DiskRule,
) -> Result<Result<(), String>, ArtifactError> {
    if let Some(quota) = rule.quota_bytes {
        let used = store.artifact_bytes().await?;
        if used >= quota {
            return Ok(Err(format!(
                "the artifacts take {used} bytes of the {quota} that they may"
            )));
        }
    }
    // A file system that cannot say how full it is is not taken to be full.
    if let Ok(found) = rustix::fs::statvfs(folder) {
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        if free < rule.free_floor_bytes {
            return Ok(Err(format!(
                "the worker's disk has {free} bytes free, less than the floor of {}",
                rule.free_floor_bytes
            )));
        }
    }
    Ok(Ok(()))
}
