//! What becomes of jobs whose worker died while it ran them: tried again, or given up.

use dfa_core::wire::JobId;
use dfa_core::wire::job::{JobError, JobErrorCode, JobState};
use sqlx::SqliteConnection;

use super::event_rows::append_in;
use super::job_rows::{json, parse_id, small, status};
use super::{Store, StoreError};

impl Store {
    /// Puts back, or gives up, every job that ran when the worker died. Only to be called
    /// while nothing runs.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn recover(&self, max_attempts: u32) -> Result<Vec<(JobId, JobState)>, StoreError> {
        let mut tx = self.begin().await?;
        let dead: Vec<(String, i64, i64, bool)> = sqlx::query_as(
            "UPDATE dfa_jobs SET deaths = deaths + 1 WHERE state = 'running'
             RETURNING id, attempts, deaths, cancel_requested",
        )
        .fetch_all(&mut *tx)
        .await?;
        let mut recovered = Vec::new();
        for (id, attempts, deaths, cancel_requested) in dead {
            let id = parse_id(&id)?;
            let (state, error) = after_death(small(deaths), max_attempts, cancel_requested);
            self.set_recovered(&mut tx, (id, small(attempts)), state, error)
                .await?;
            recovered.push((id, state));
        }
        tx.commit().await?;
        Ok(recovered)
    }

    async fn set_recovered(
        &self,
        tx: &mut SqliteConnection,
        (id, attempt): (JobId, u32),
        state: JobState,
        error: JobError,
    ) -> Result<(), StoreError> {
        let ended = state.is_terminal();
        sqlx::query("UPDATE dfa_jobs SET state = ?2, error = ?3, finished_ms = ?4 WHERE id = ?1")
            .bind(id.to_string())
            .bind(state.as_str())
            .bind(if ended { Some(json(&error)?) } else { None })
            .bind(ended.then(|| self.now_ms()))
            .execute(&mut *tx)
            .await?;
        append_in(tx, id, self.now_ms(), &status(state, attempt, Some(error))).await?;
        Ok(())
    }
}

/// What becomes of a job whose worker died for the `deaths`th time.
fn after_death(deaths: u32, max_attempts: u32, cancel_requested: bool) -> (JobState, JobError) {
    if cancel_requested {
        let error = JobError {
            code: JobErrorCode::Cancelled,
            message: "somebody cancelled the job, and the worker stopped before it could".into(),
        };
        return (JobState::Cancelled, error);
    }
    let error = |message: String| JobError {
        code: JobErrorCode::WorkerDied,
        message,
    };
    if deaths >= max_attempts {
        let message = format!(
            "the worker died {deaths} times while it ran this job; the job may need more memory than there is: try fewer images at once"
        );
        return (JobState::Failed, error(message));
    }
    let message = "the worker died while it ran this job; it is tried again".to_owned();
    (JobState::Queued, error(message))
}
