//! Jobs as clients see them: one, a page of them, how many, how long they take.

use dfa_core::wire::job::{JobLinks, JobList, JobView};
use dfa_core::wire::{JobId, JobKind, JobRequest, Timestamp};

use sqlx::SqliteConnection;

use super::job_rows::{parse_id, small};
use super::{Store, StoreError};
use crate::jobs::{JobFilter, MAX_PAGE};

/// Entries of a page where nobody says it.
const DEFAULT_PAGE: u32 = 50;
/// How many of the last jobs of a kind are averaged.
const N_MEASURED: u32 = 20;

/// `queue_position`: jobs that wait and come before.
macro_rules! job_columns {
    () => {
        "SELECT id, state, request, progress, created_ms, started_ms, finished_ms, attempts,
             cancel_requested, error, result,
             CASE WHEN state = 'queued' THEN
                 (SELECT COUNT(*) FROM dfa_jobs AS before
                  WHERE before.state = 'queued' AND before.id < dfa_jobs.id)
             END AS queue_position
         FROM dfa_jobs "
    };
}

pub(super) const ONE_JOB: &str = concat!(job_columns!(), "WHERE id = ?1");

const PAGE: &str = concat!(
    job_columns!(),
    "WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR kind = ?2) AND (?3 IS NULL OR id < ?3)
     ORDER BY id DESC LIMIT ?4"
);

/// A row of the table, with its place in the queue.
#[derive(sqlx::FromRow)]
pub(super) struct JobRow {
    id: String,
    state: String,
    request: String,
    progress: Option<String>,
    created_ms: i64,
    started_ms: Option<i64>,
    finished_ms: Option<i64>,
    attempts: i64,
    cancel_requested: bool,
    error: Option<String>,
    result: Option<String>,
    queue_position: Option<i64>,
}

fn read<T: serde::de::DeserializeOwned>(what: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::broken(what, error))
}

fn time(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(ms.unsigned_abs())
}

impl TryFrom<JobRow> for JobView {
    type Error = StoreError;

    fn try_from(row: JobRow) -> Result<Self, StoreError> {
        let id = parse_id(&row.id)?;
        let request: JobRequest = read("request of a job", &row.request)?;
        let optional = |text: &Option<String>| text.clone();
        Ok(Self {
            id,
            kind: request.kind(),
            state: row
                .state
                .parse()
                .map_err(|error| StoreError::broken("state of a job", error))?,
            request,
            queue_position: row.queue_position.map(small),
            progress: optional(&row.progress)
                .map(|text| read("progress of a job", &text))
                .transpose()?,
            created_at: time(row.created_ms),
            started_at: row.started_ms.map(time),
            finished_at: row.finished_ms.map(time),
            attempts: small(row.attempts),
            cancel_requested: row.cancel_requested,
            error: optional(&row.error)
                .map(|text| read("error of a job", &text))
                .transpose()?,
            result: optional(&row.result)
                .map(|text| read("result of a job", &text))
                .transpose()?,
            links: JobLinks::of(id),
        })
    }
}

/// How many jobs wait and run, and since when the first waits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QueueCounts {
    /// Jobs that wait.
    pub n_queued: u32,
    /// Jobs that run.
    pub n_running: u32,
    /// When the first of those that wait was accepted.
    pub oldest: Option<Timestamp>,
    /// Of those that wait, how many of each kind, by [`JobKind::ALL`].
    pub queued_by_kind: [u32; 3],
}

impl Store {
    /// A page of jobs, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn page(&self, filter: &JobFilter) -> Result<JobList, StoreError> {
        let limit = match filter.limit {
            0 => DEFAULT_PAGE,
            n => n.min(MAX_PAGE),
        };
        let rows: Vec<JobRow> = sqlx::query_as(PAGE)
            .bind(filter.state.map(|state| state.as_str()))
            .bind(filter.kind.map(JobKind::as_str))
            .bind(filter.cursor.map(|id| id.to_string()))
            .bind(limit + 1)
            .fetch_all(self.pool())
            .await?;
        let has_more = rows.len() > limit as usize;
        let jobs = rows.into_iter().take(limit as usize).map(TryInto::try_into);
        let jobs: Vec<JobView> = jobs.collect::<Result<_, _>>()?;
        let last: Option<JobId> = jobs.last().map(|job| job.id);
        Ok(JobList {
            next_cursor: last.filter(|_| has_more),
            jobs,
        })
    }

    /// How many jobs wait and run.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn counts(&self) -> Result<QueueCounts, StoreError> {
        let rows: Vec<(String, String, i64, i64)> = sqlx::query_as(
            "SELECT state, kind, COUNT(*), MIN(created_ms) FROM dfa_jobs
             WHERE state IN ('queued', 'running') GROUP BY state, kind",
        )
        .fetch_all(self.pool())
        .await?;
        let mut counts = QueueCounts::default();
        for (state, kind, n, oldest) in rows {
            let n = small(n);
            if state == "running" {
                counts.n_running += n;
                continue;
            }
            counts.n_queued += n;
            let oldest = time(oldest);
            counts.oldest = Some(counts.oldest.map_or(oldest, |before| before.min(oldest)));
            let place = JobKind::ALL.iter().position(|known| known.as_str() == kind);
            if let Some(place) = place {
                counts.queued_by_kind[place] += n;
            }
        }
        Ok(counts)
    }

    /// Mean seconds of the last jobs of each kind that succeeded, by [`JobKind::ALL`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn mean_run_secs(&self) -> Result<[Option<f64>; 3], StoreError> {
        let mut means = [None; 3];
        for (mean, kind) in means.iter_mut().zip(JobKind::ALL) {
            let (found,): (Option<f64>,) = sqlx::query_as(
                "SELECT AVG(finished_ms - started_ms) / 1000.0 FROM
                     (SELECT finished_ms, started_ms FROM dfa_jobs
                      WHERE state = 'succeeded' AND kind = ?1 ORDER BY id DESC LIMIT ?2)",
            )
            .bind(kind.as_str())
            .bind(N_MEASURED)
            .fetch_one(self.pool())
            .await?;
            *mean = found;
        }
        Ok(means)
    }

    /// Names of all jobs that wait, first to last.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn queued_ids(&self) -> Result<Vec<JobId>, StoreError> {
        let mut connection = self.pool().acquire().await?;
        queued_ids_in(&mut connection).await
    }
}

/// Names of all jobs that wait, first to last, within a transaction.
pub(crate) async fn queued_ids_in(tx: &mut SqliteConnection) -> Result<Vec<JobId>, StoreError> {
    let rows: Vec<(String,)> =
        sqlx::query_as("SELECT id FROM dfa_jobs WHERE state = 'queued' ORDER BY id")
            .fetch_all(tx)
            .await?;
    rows.iter().map(|(id,)| parse_id(id)).collect()
}
