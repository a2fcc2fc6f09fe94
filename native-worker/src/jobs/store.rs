//! The database of jobs, events, idempotency keys, plans and artifacts: SQLite, in a file
//! of the data folder. What it says is the truth; the queue, the device thread and the
//! watchers of a job all follow it.
//!
//! - [`job_rows`]: accept, claim, finish, put back, cancel, delete; every change of a
//!   job's state and its `status` event are one transaction.
//! - `recovery`: jobs whose worker died.
//! - [`event_rows`]: the log of a job.
//! - [`listing`]: pages of jobs, counts, measured times.
//! - [`library_rows`]: plans and artifacts.
//!
//! Always true: a result is written only by the attempt that was claimed last.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use apalis_sqlite::SqliteStorage;
use dfa_core::wire::Timestamp;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};

use super::clock::Clock;

pub mod event_rows;
pub mod job_rows;
pub mod library_rows;
pub mod listing;
mod recovery;

pub use job_rows::{Acceptance, Claim, Ending, Fenced};

/// Longest that a writer waits for another.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections; SQLite lets one of them write at a time.
const MAX_CONNECTIONS: u32 = 8;

/// Why the database could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// Its tables could not be made or brought up to date.
    #[error("the database cannot be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The queue's tables failed.
    #[error("the queue failed: {0}")]
    Queue(String),
    /// A row says something that cannot be.
    #[error("the database holds a broken {what}: {reason}")]
    Broken {
        /// What it is.
        what: &'static str,
        /// Why it is broken.
        reason: String,
    },
}

impl StoreError {
    /// A row that says something that cannot be.
    pub(crate) fn broken(what: &'static str, reason: impl std::fmt::Display) -> Self {
        let reason = format!("{reason}");
        Self::Broken { what, reason }
    }
}

/// The database. A clone is the same database.
#[derive(Clone)]
pub struct Store {
    pool: SqlitePool,
    clock: Arc<dyn Clock>,
}

impl Store {
    /// Opens the database, making it and its tables if need be.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open(file: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An accepted job survives a power cut, not only a killed process.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true);
        let pool = SqlitePoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            .connect_with(options)
            .await?;
        migrate(&pool).await?;
        Ok(Self { pool, clock })
    }

    /// The connections, for the queue, whose tables are in the same file.
    pub(crate) fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// A transaction that may write: it waits for its turn at the beginning, so that it
    /// cannot fail for want of a lock in the middle.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Now.
    pub(crate) fn now_ms(&self) -> i64 {
        i64::try_from(self.clock.now().unix_ms()).unwrap_or(i64::MAX)
    }

    /// Now.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Both sets of tables are in one file, each with its own list of what was done to it.
async fn migrate(pool: &SqlitePool) -> Result<(), StoreError> {
    let mut queue = SqliteStorage::migrations();
    queue.dangerous_set_table_name("_queue_migrations");
    queue.run(pool).await?;
    sqlx::migrate!("./migrations").run(pool).await?;
    Ok(())
}
