//! Plans, and the artifacts that jobs name.

use dfa_core::wire::job::{PlanOrigin, PlanView};
use dfa_core::wire::{ContentHash, JobId, Timestamp};

use super::job_rows::{parse_id, small};
use super::{Store, StoreError};
use crate::jobs::artifacts::ArtifactMeta;

/// A plan as it is kept, without its file.
#[derive(sqlx::FromRow)]
struct PlanRow {
    id: String,
    plan_hash: String,
    origin: String,
    job: Option<String>,
    model: Option<String>,
    n_steps: i64,
    n_blocks: i64,
    threshold: Option<f64>,
    created_ms: i64,
    size_bytes: i64,
}

fn hash(text: &str) -> Result<ContentHash, StoreError> {
    text.parse()
        .map_err(|error| StoreError::broken("hash", error))
}

impl TryFrom<PlanRow> for PlanView {
    type Error = StoreError;

    fn try_from(row: PlanRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: hash(&row.id)?,
            plan_hash: hash(&row.plan_hash)?,
            origin: match row.origin.as_str() {
                "calibrated" => PlanOrigin::Calibrated,
                _ => PlanOrigin::Imported,
            },
            job: row.job.as_deref().map(parse_id).transpose()?,
            model: row.model,
            n_steps: small(row.n_steps),
            n_blocks: small(row.n_blocks),
            threshold: row.threshold,
            created_at: Timestamp::from_unix_ms(row.created_ms.unsigned_abs()),
            size_bytes: row.size_bytes.unsigned_abs(),
        })
    }
}

macro_rules! plan_columns {
    () => {
        "SELECT id, plan_hash, origin, job, model, n_steps, n_blocks, threshold, created_ms,
             LENGTH(CAST(text AS BLOB)) AS size_bytes FROM plans "
    };
}

/// Where a page of plans goes on: after the plan of this time and name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanCursor {
    /// When it came into the library.
    pub created_ms: i64,
    /// Its name.
    pub id: ContentHash,
}

impl Store {
    /// Keeps a plan; whether it is new.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn insert_plan(&self, view: &PlanView, text: &str) -> Result<bool, StoreError> {
        let origin = match view.origin {
            PlanOrigin::Calibrated => "calibrated",
            PlanOrigin::Imported => "imported",
        };
        let done = sqlx::query(
            "INSERT INTO plans (id, plan_hash, origin, job, model, n_steps, n_blocks, threshold,
                 created_ms, text)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING",
        )
        .bind(view.id.to_string())
        .bind(view.plan_hash.to_string())
        .bind(origin)
        .bind(view.job.map(|job: JobId| job.to_string()))
        .bind(&view.model)
        .bind(view.n_steps)
        .bind(view.n_blocks)
        .bind(view.threshold)
        .bind(i64::try_from(view.created_at.unix_ms()).unwrap_or(i64::MAX))
        .bind(text)
        .execute(self.pool())
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// A plan and its file.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn plan(&self, id: ContentHash) -> Result<Option<(PlanView, String)>, StoreError> {
        let row: Option<PlanRow> = sqlx::query_as(concat!(plan_columns!(), "WHERE id = ?1"))
            .bind(id.to_string())
            .fetch_optional(self.pool())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let text: Option<(String,)> = sqlx::query_as("SELECT text FROM plans WHERE id = ?1")
            .bind(id.to_string())
            .fetch_optional(self.pool())
            .await?;
        text.map(|(text,)| Ok((row.try_into()?, text))).transpose()
    }

    /// Plans, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn plan_page(
        &self,
        cursor: Option<PlanCursor>,
        limit: u32,
    ) -> Result<Vec<PlanView>, StoreError> {
        let rows: Vec<PlanRow> = sqlx::query_as(concat!(
            plan_columns!(),
            "WHERE ?1 IS NULL OR (created_ms, id) < (?1, ?2)
             ORDER BY created_ms DESC, id DESC LIMIT ?3"
        ))
        .bind(cursor.map(|cursor| cursor.created_ms))
        .bind(cursor.map(|cursor| cursor.id.to_string()))
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// What is known about an artifact that some job names.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn artifact(&self, name: ContentHash) -> Result<Option<ArtifactMeta>, StoreError> {
        let row: Option<(String, String, i64)> = sqlx::query_as(
            "SELECT file_name, media_type, size_bytes FROM artifacts WHERE hash = ?1",
        )
        .bind(name.to_string())
        .fetch_optional(self.pool())
        .await?;
        Ok(row.map(|(file_name, media_type, size_bytes)| ArtifactMeta {
            hash: name,
            file_name,
            media_type,
            size_bytes: size_bytes.unsigned_abs(),
        }))
    }

    /// Bytes of all artifacts together.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn artifact_bytes(&self) -> Result<u64, StoreError> {
        let (sum,): (i64,) = sqlx::query_as("SELECT COALESCE(SUM(size_bytes), 0) FROM artifacts")
            .fetch_one(self.pool())
            .await?;
        Ok(sum.unsigned_abs())
    }

    /// Forgets the artifacts that no job names any more, and says which they were.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_unnamed_artifacts(&self) -> Result<Vec<ContentHash>, StoreError> {
        let mut tx = self.begin().await?;
        let rows: Vec<(String,)> = sqlx::query_as(
            "DELETE FROM artifacts WHERE hash NOT IN (SELECT hash FROM job_artifacts)
             RETURNING hash",
        )
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        rows.iter().map(|(text,)| hash(text)).collect()
    }

    /// Jobs that ended before a time, oldest end first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ended_before(
        &self,
        time: Timestamp,
        limit: u32,
    ) -> Result<Vec<JobId>, StoreError> {
        let rows: Vec<(String,)> = sqlx::query_as(
            "SELECT id FROM dfa_jobs WHERE finished_ms IS NOT NULL AND finished_ms < ?1
             ORDER BY finished_ms LIMIT ?2",
        )
        .bind(i64::try_from(time.unix_ms()).unwrap_or(i64::MAX))
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(|(id,)| parse_id(id)).collect()
    }

    /// The job with artifacts that ended first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn oldest_with_artifacts(&self) -> Result<Option<JobId>, StoreError> {
        let row: Option<(String,)> = sqlx::query_as(
            "SELECT id FROM dfa_jobs WHERE finished_ms IS NOT NULL
                 AND EXISTS (SELECT 1 FROM job_artifacts WHERE job = dfa_jobs.id)
             ORDER BY finished_ms, id LIMIT 1",
        )
        .fetch_optional(self.pool())
        .await?;
        row.map(|(id,)| parse_id(&id)).transpose()
    }

    /// Forgets the names of jobs that were gone before a time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget_gone_before(&self, time: Timestamp) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM gone_jobs WHERE gone_ms < ?1")
            .bind(i64::try_from(time.unix_ms()).unwrap_or(i64::MAX))
            .execute(self.pool())
            .await?;
        Ok(())
    }
}
