//! Changes of a job's state. Each is one transaction with the `status` event that tells
//! of it, and each names the state it starts from, so that of two changes at the same
//! moment one finds nothing to change.

use dfa_core::wire::job::{
    Artifact, JobError, JobErrorCode, JobProgress, JobResult, JobState, JobView,
};
use dfa_core::wire::job_event::{JobEventData, StatusEvent};
use dfa_core::wire::{ContentHash, JobId, JobRequest};
use sqlx::{Sqlite, SqliteConnection, Transaction};

use super::event_rows::append_in;
use super::{Store, StoreError};

/// What became of a request to accept a job.
pub enum Acceptance {
    /// There is a new job; its queue row is to be written in the same transaction.
    New(JobId),
    /// The key was used with the same request before.
    Replayed(JobId),
    /// The key was used with another request before.
    Conflict(JobId),
    /// So many jobs wait already.
    Full(u32),
}

/// A request that may become a job.
pub struct NewJob<'a> {
    /// The job's name.
    pub id: JobId,
    /// What is asked for.
    pub request: &'a JobRequest,
    /// The client's own name for the request.
    pub key: Option<&'a str>,
    /// Most jobs that wait.
    pub max_queued: u32,
}

/// A job that was begun: only whoever holds this may end it.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The job.
    pub id: JobId,
    /// Which time it was begun, from 1.
    pub attempt: u32,
    /// What to do.
    pub request: JobRequest,
}

/// How a claimed job ends.
#[derive(Clone, Debug)]
pub enum Ending {
    /// With a result.
    Succeeded(Box<JobResult>),
    /// Without one.
    Failed(JobError),
    /// Somebody asked for it.
    Cancelled,
    /// It waits again: the worker stops.
    PutBack,
}

/// Somebody else holds the job by now, or it has ended: nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fenced;

pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::broken("value", error))
}

pub(super) fn status(state: JobState, attempt: u32, error: Option<JobError>) -> JobEventData {
    JobEventData::Status(StatusEvent {
        state,
        attempt,
        error,
    })
}

impl Store {
    /// Keeps a request as a job. The transaction is handed back open, so that the queue
    /// row can join it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn accept(
        &self,
        new: NewJob<'_>,
    ) -> Result<(Acceptance, Transaction<'static, Sqlite>), StoreError> {
        let mut tx = self.begin().await?;
        let request = json(new.request)?;
        let request_hash = ContentHash::of(request.as_bytes()).to_string();
        if let Some(key) = new.key
            && let Some((hash, job)) = used_key(&mut tx, key).await?
        {
            let job = parse_id(&job)?;
            let same = hash == request_hash;
            let found = if same {
                Acceptance::Replayed(job)
            } else {
                Acceptance::Conflict(job)
            };
            return Ok((found, tx));
        }
        let n_queued = count_queued(&mut tx).await?;
        if n_queued >= new.max_queued {
            return Ok((Acceptance::Full(n_queued), tx));
        }
        self.insert(&mut tx, &new, &request).await?;
        if let Some(key) = new.key {
            sqlx::query(
                "INSERT INTO idempotency_keys (key, request_sha256, job) VALUES (?1, ?2, ?3)",
            )
            .bind(key)
            .bind(request_hash)
            .bind(new.id.to_string())
            .execute(&mut *tx)
            .await?;
        }
        Ok((Acceptance::New(new.id), tx))
    }

    async fn insert(
        &self,
        tx: &mut SqliteConnection,
        new: &NewJob<'_>,
        request: &str,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO dfa_jobs (id, kind, state, model, request, created_ms)
             VALUES (?1, ?2, 'queued', ?3, ?4, ?5)",
        )
        .bind(new.id.to_string())
        .bind(new.request.kind().as_str())
        .bind(new.request.model())
        .bind(request)
        .bind(self.now_ms())
        .execute(&mut *tx)
        .await?;
        append_in(
            tx,
            new.id,
            self.now_ms(),
            &status(JobState::Queued, 0, None),
        )
        .await?;
        Ok(())
    }

    /// Begins a job that waits. `None`: it does not wait any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn claim(&self, id: JobId) -> Result<Option<Claim>, StoreError> {
        let mut tx = self.begin().await?;
        let claimed: Option<(i64, String)> = sqlx::query_as(
            "UPDATE dfa_jobs SET state = 'running', attempts = attempts + 1, started_ms = ?2,
                 progress = NULL
             WHERE id = ?1 AND state = 'queued' RETURNING attempts, request",
        )
        .bind(id.to_string())
        .bind(self.now_ms())
        .fetch_optional(&mut *tx)
        .await?;
        let Some((attempt, request)) = claimed else {
            return Ok(None);
        };
        let attempt = small(attempt);
        append_in(
            &mut tx,
            id,
            self.now_ms(),
            &status(JobState::Running, attempt, None),
        )
        .await?;
        tx.commit().await?;
        let request = serde_json::from_str(&request)
            .map_err(|error| StoreError::broken("request of a job", error))?;
        Ok(Some(Claim {
            id,
            attempt,
            request,
        }))
    }

    /// Ends a claimed job, or puts it back.
    ///
    /// # Errors
    /// [`StoreError`]; the inner [`Fenced`] if the claim is no longer the last.
    pub async fn finish(
        &self,
        claim: &Claim,
        ending: &Ending,
    ) -> Result<Result<(), Fenced>, StoreError> {
        let cancelled = || JobError {
            code: JobErrorCode::Cancelled,
            message: "somebody cancelled the job".into(),
        };
        let (state, result, error) = match ending {
            Ending::Succeeded(result) => (JobState::Succeeded, Some(json(result)?), None),
            Ending::Failed(error) => (JobState::Failed, None, Some(error.clone())),
            Ending::Cancelled => (JobState::Cancelled, None, Some(cancelled())),
            Ending::PutBack => (JobState::Queued, None, None),
        };
        let finished_ms = state.is_terminal().then(|| self.now_ms());
        let mut tx = self.begin().await?;
        let changed = sqlx::query(
            "UPDATE dfa_jobs SET state = ?3, result = ?4, error = ?5, finished_ms = ?6
             WHERE id = ?1 AND attempts = ?2 AND state = 'running'",
        )
        .bind(claim.id.to_string())
        .bind(claim.attempt)
        .bind(state.as_str())
        .bind(result)
        .bind(error.as_ref().map(json).transpose()?)
        .bind(finished_ms)
        .execute(&mut *tx)
        .await?;
        if changed.rows_affected() == 0 {
            return Ok(Err(Fenced));
        }
        if let Ending::Succeeded(result) = ending {
            insert_artifacts(&mut tx, claim.id, &result.artifacts).await?;
        }
        let event = status(state, claim.attempt, error);
        append_in(&mut tx, claim.id, self.now_ms(), &event).await?;
        tx.commit().await?;
        Ok(Ok(()))
    }

    /// Cancels a job that waits, at once; asks a running one to end. `None`: no such job
    /// that has not ended. Else the state that it now has.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn request_cancel(&self, id: JobId) -> Result<Option<JobState>, StoreError> {
        let mut tx = self.begin().await?;
        let error = JobError {
            code: JobErrorCode::Cancelled,
            message: "somebody cancelled the job before it began".into(),
        };
        let waited: Option<(i64,)> = sqlx::query_as(
            "UPDATE dfa_jobs SET state = 'cancelled', cancel_requested = 1, finished_ms = ?2, error = ?3
             WHERE id = ?1 AND state = 'queued' RETURNING attempts",
        )
        .bind(id.to_string())
        .bind(self.now_ms())
        .bind(json(&error)?)
        .fetch_optional(&mut *tx)
        .await?;
        if let Some((attempts,)) = waited {
            let event = status(JobState::Cancelled, small(attempts), Some(error));
            append_in(&mut tx, id, self.now_ms(), &event).await?;
            tx.commit().await?;
            return Ok(Some(JobState::Cancelled));
        }
        let changed = sqlx::query(
            "UPDATE dfa_jobs SET cancel_requested = 1 WHERE id = ?1 AND state = 'running'",
        )
        .bind(id.to_string())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok((changed.rows_affected() > 0).then_some(JobState::Running))
    }

    /// Forgets jobs that have ended; their names are remembered as gone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget(&self, ids: &[JobId]) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let mut n_gone = 0;
        for id in ids {
            let gone = sqlx::query(
                "DELETE FROM dfa_jobs WHERE id = ?1 AND state NOT IN ('queued', 'running')",
            )
            .bind(id.to_string())
            .execute(&mut *tx)
            .await?;
            if gone.rows_affected() > 0 {
                n_gone += 1;
                sqlx::query("INSERT OR REPLACE INTO gone_jobs (id, gone_ms) VALUES (?1, ?2)")
                    .bind(id.to_string())
                    .bind(self.now_ms())
                    .execute(&mut *tx)
                    .await?;
            }
        }
        tx.commit().await?;
        Ok(n_gone)
    }

    /// A job as clients see it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn job(&self, id: JobId) -> Result<Option<JobView>, StoreError> {
        let row: Option<super::listing::JobRow> = sqlx::query_as(super::listing::ONE_JOB)
            .bind(id.to_string())
            .fetch_optional(self.pool())
            .await?;
        row.map(TryInto::try_into).transpose()
    }

    /// Whether there was a job of this name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn is_gone(&self, id: JobId) -> Result<bool, StoreError> {
        let row: Option<(i64,)> = sqlx::query_as("SELECT gone_ms FROM gone_jobs WHERE id = ?1")
            .bind(id.to_string())
            .fetch_optional(self.pool())
            .await?;
        Ok(row.is_some())
    }

    /// Notes how far a running job is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_progress(
        &self,
        tx: &mut SqliteConnection,
        claim: &Claim,
        progress: &JobProgress,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE dfa_jobs SET progress = ?3 WHERE id = ?1 AND attempts = ?2 AND state = 'running'",
        )
        .bind(claim.id.to_string())
        .bind(claim.attempt)
        .bind(json(progress)?)
        .execute(tx)
        .await?;
        Ok(())
    }
}

async fn used_key(
    tx: &mut SqliteConnection,
    key: &str,
) -> Result<Option<(String, String)>, StoreError> {
    Ok(
        sqlx::query_as("SELECT request_sha256, job FROM idempotency_keys WHERE key = ?1")
            .bind(key)
            .fetch_optional(tx)
            .await?,
    )
}

async fn count_queued(tx: &mut SqliteConnection) -> Result<u32, StoreError> {
    let (n,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM dfa_jobs WHERE state = 'queued'")
        .fetch_one(tx)
        .await?;
    Ok(small(n))
}

async fn insert_artifacts(
    tx: &mut SqliteConnection,
    id: JobId,
    artifacts: &[Artifact],
) -> Result<(), StoreError> {
    for artifact in artifacts {
        sqlx::query(
            "INSERT INTO artifacts (hash, file_name, media_type, size_bytes) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
        )
        .bind(artifact.hash.to_string())
        .bind(&artifact.name)
        .bind(&artifact.media_type)
        .bind(i64::try_from(artifact.size_bytes).unwrap_or(i64::MAX))
        .execute(&mut *tx)
        .await?;
        sqlx::query("INSERT INTO job_artifacts (job, hash) VALUES (?1, ?2) ON CONFLICT DO NOTHING")
            .bind(id.to_string())
            .bind(artifact.hash.to_string())
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

pub(super) fn parse_id(text: &str) -> Result<JobId, StoreError> {
    text.parse()
        .map_err(|error| StoreError::broken("name of a job", error))
}

/// A count from the database, which is never negative.
pub(super) fn small(n: i64) -> u32 {
    u32::try_from(n).unwrap_or(if n < 0 { 0 } else { u32::MAX })
}
