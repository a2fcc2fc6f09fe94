//! What the jobs answer: accepted, refused, gone. Every refusal says what, where and what
//! to do; the HTTP side only chooses the status code.

use std::time::Duration;

use dfa_core::wire::job::JobView;
use dfa_core::wire::{ContentHash, JobId};

use super::store::StoreError;

/// A request that was taken.
#[derive(Clone, Debug, PartialEq)]
pub enum Submitted {
    /// A new job.
    Accepted(JobView),
    /// The job that the same request with the same key made before.
    Replayed(JobView),
}

impl Submitted {
    /// The job.
    pub const fn job(&self) -> &JobView {
        match self {
            Self::Accepted(job) | Self::Replayed(job) => job,
        }
    }
}

/// A field of a request whose value cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}; {remedy}")]
pub struct Invalid {
    /// The field, as in JSON.
    pub field: &'static str,
    /// Its value, shortened.
    pub value: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

/// Why a request was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The request cannot be done (400).
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Enough jobs wait (429).
    #[error("{n_queued} jobs wait already; try again in {} s", retry_after.as_secs())]
    QueueFull {
        /// Jobs that wait.
        n_queued: u32,
        /// When a place is probably free, from measured times.
        retry_after: Duration,
    },
    /// The worker is about to stop (503).
    #[error("the worker is shutting down; try again in {} s", retry_after.as_secs())]
    Draining {
        /// When it is probably back.
        retry_after: Duration,
    },
    /// There is no room for results (507).
    #[error("{0}; delete jobs that are no longer needed, or make room on the worker's disk")]
    DiskFull(String),
    /// The key was used for another request (422).
    #[error(
        "the idempotency key was used before with another request; use a new key for a new request"
    )]
    IdempotencyConflict {
        /// The job of that request.
        earlier: JobId,
    },
    /// The database failed (500).
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why there is no such job.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// There never was (404).
    #[error("there is no job {0}; GET /v1/jobs lists them")]
    NeverExisted(JobId),
    /// It was deleted, or is older than results are kept (410).
    #[error("job {0} is gone: it was deleted, or is older than results are kept")]
    Gone(JobId),
    /// The database failed (500).
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a job was not cancelled.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// There is no such job.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// It ended before (409).
    #[error("job {} has ended already: it is {}", .0.id, .0.state)]
    AlreadyEnded(Box<JobView>),
}

/// Why a job was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// There is no such job.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// It has not ended (409).
    #[error("job {} is {}; cancel it first", .0.id, .0.state)]
    NotEnded(Box<JobView>),
}

/// Why there is no such artifact.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// No job that is kept has it (404).
    #[error("there is no artifact {0}")]
    Unknown(ContentHash),
    /// The range asked for is not in it (416).
    #[error("the artifact has {size_bytes} bytes")]
    BadRange {
        /// Its size.
        size_bytes: u64,
    },
    /// The database failed (500).
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The object store failed (500).
    #[error("the artifact cannot be read or written: {0}")]
    Object(#[from] object_store::Error),
}

/// Why the device cannot be relied on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceUnwell {
    /// A run gives no sign of life.
    #[error("the device thread gave no sign of life for {} s", .0.as_secs())]
    Stuck(Duration),
    /// A tiny operation was not done in time.
    #[error("a tiny device operation was not done in {} ms", .0.as_millis())]
    Slow(Duration),
    /// A tiny operation failed.
    #[error("a tiny device operation failed: {0}")]
    Failed(String),
    /// The thread is gone.
    #[error("the device thread has ended")]
    Ended,
}

/// How the queue is doing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueueStats {
    /// Jobs that wait.
    pub n_queued: u32,
    /// Jobs that run: 0 or 1.
    pub n_running: u32,
    /// How long the first of those that wait has waited.
    pub oldest_wait_secs: Option<f64>,
    /// Mean seconds of the last jobs of each kind that succeeded, by
    /// [`JobKind::ALL`](dfa_core::wire::JobKind::ALL).
    pub mean_run_secs: [Option<f64>; 3],
    /// When the queue will probably have a free place if it is full now, else when a new
    /// job would probably begin.
    pub retry_after: Duration,
    /// Whether new jobs are refused because the worker is about to stop.
    pub draining: bool,
}
