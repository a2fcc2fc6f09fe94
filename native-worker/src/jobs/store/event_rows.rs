//! The log of a job: numbered from 1 without gaps, in the order in which it was written.

use dfa_core::wire::job_event::JobEventData;
use dfa_core::wire::{JobEvent, JobId, Timestamp};
use sqlx::SqliteConnection;

use super::job_rows::{Claim, Fenced, json};
use super::{Store, StoreError};

impl Store {
    /// Appends events of a claimed job, in one transaction.
    ///
    /// # Errors
    /// [`StoreError`]; the inner [`Fenced`] if the claim is no longer the last.
    pub async fn append(
        &self,
        claim: &Claim,
        events: &[JobEventData],
    ) -> Result<Result<(), Fenced>, StoreError> {
        let mut tx = self.begin().await?;
        let holds: Option<(i64,)> = sqlx::query_as(
            "SELECT last_seq FROM dfa_jobs WHERE id = ?1 AND attempts = ?2 AND state = 'running'",
        )
        .bind(claim.id.to_string())
        .bind(claim.attempt)
        .fetch_optional(&mut *tx)
        .await?;
        if holds.is_none() {
            return Ok(Err(Fenced));
        }
        let mut progress = None;
        for event in events {
            if let JobEventData::Progress(found) = event {
                progress = Some(found);
            }
            append_in(&mut tx, claim.id, self.now_ms(), event).await?;
        }
        if let Some(progress) = progress {
            self.set_progress(&mut tx, claim, progress).await?;
        }
        tx.commit().await?;
        Ok(Ok(()))
    }

    /// At most `limit` events of a job that come after number `after`, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn events(
        &self,
        id: JobId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<JobEvent>, StoreError> {
        let rows: Vec<(i64, i64, String)> = sqlx::query_as(
            "SELECT seq, time_ms, data FROM job_events WHERE job = ?1 AND seq > ?2
             ORDER BY seq LIMIT ?3",
        )
        .bind(id.to_string())
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        let events = rows.into_iter().map(|(seq, time_ms, data)| {
            Ok(JobEvent {
                seq: seq.unsigned_abs(),
                time: Timestamp::from_unix_ms(time_ms.unsigned_abs()),
                data: serde_json::from_str(&data)
                    .map_err(|error| StoreError::broken("event", error))?,
            })
        });
        events.collect()
    }
}

/// Appends one event within a transaction.
pub(super) async fn append_in(
    tx: &mut SqliteConnection,
    id: JobId,
    now_ms: i64,
    event: &JobEventData,
) -> Result<(), StoreError> {
    let (seq,): (i64,) = sqlx::query_as(
        "UPDATE dfa_jobs SET last_seq = last_seq + 1 WHERE id = ?1 RETURNING last_seq",
    )
    .bind(id.to_string())
    .fetch_one(&mut *tx)
    .await?;
    sqlx::query("INSERT INTO job_events (job, seq, time_ms, data) VALUES (?1, ?2, ?3, ?4)")
        .bind(id.to_string())
        .bind(seq)
        .bind(now_ms)
        .bind(json(event)?)
        .execute(&mut *tx)
        .await?;
    Ok(())
}
