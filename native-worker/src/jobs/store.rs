//! The database of jobs, events, idempotency keys, plans and artifacts.

/// Why the database could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// Its tables could not be made or brought up to date.
    #[error("the database cannot be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A row says something that cannot be.
    #[error("the database holds a broken {what}: {reason}")]
    Broken {
        /// What it is.
        what: &'static str,
        /// Why it is broken.
        reason: String,
    },
}
