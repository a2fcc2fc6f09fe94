//! Jobs: requests that are kept, run one after the other, watched and cancelled, and that
//! survive the worker's death. Knows neither HTTP nor tensors; `device_thread` and
//! `execute` join it to the engine.
//!
//! ```text
//! submit ──► store (job, first event, key, queue row: one transaction)
//!              │
//!            queue ──► claim (attempt number) ──► device thread ──► execute
//!              ▲                                      │ events, every one into the store
//!              └── what died is put back              ▼
//!                                     commit (only with the claimed attempt number)
//! ```
//!
//! - [`config`]: limits, retention, liveness; [`clock`]: the time.
//! - [`answers`]: accepted, refused, gone.
//! - [`model_catalog`]: the models that are served.
//! - [`store`]: the database, the truth about every job.
//! - [`artifacts`], [`plans`]: what jobs made.
//!
//! Always true: an accepted job ends exactly once; a client that goes away cancels nothing.

use std::ops::Range;
use std::time::Duration;

use dfa_core::wire::job::{JobList, JobState, JobView, PlanList};
use dfa_core::wire::{ContentHash, JobEvent, JobId, JobKind, JobRequest};

pub mod answers;
pub mod artifacts;
pub mod clock;
pub mod config;
pub mod model_catalog;
pub mod plans;
pub mod store;

pub use answers::{
    ArtifactError, CancelError, DeleteError, DeviceUnwell, Invalid, LookupError, QueueStats,
    SubmitError, Submitted,
};
pub use artifacts::{ArtifactBody, ArtifactMeta};
pub use config::{DeviceRule, DiskRule, JobsConfig, Limits, QueueRule, Retention};
pub use model_catalog::{CatalogError, ModelCatalog, ServedModel};
pub use plans::{ImportSettings, ImportedPlan, PlanFormat, PlanLibraryError, StoredPlan};
pub use store::StoreError;

/// Longest idempotency key, in bytes.
pub const MAX_KEY_BYTES: usize = 255;
/// Most entries of one page of a list.
pub const MAX_PAGE: u32 = 200;

/// A client's own name for a request, so that sending it twice makes one job: 1 to
/// [`MAX_KEY_BYTES`] printable ASCII letters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// A key from what a client sent; `None` if it is empty, too long or has other letters.
    pub fn new(text: &str) -> Option<Self> {
        let is_fine = (1..=MAX_KEY_BYTES).contains(&text.len())
            && text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        is_fine.then(|| Self(text.to_owned()))
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which jobs are listed, and from where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Only jobs in this state.
    pub state: Option<JobState>,
    /// Only jobs of this kind.
    pub kind: Option<JobKind>,
    /// Only jobs that are older than this one, which need not exist any more.
    pub cursor: Option<JobId>,
    /// Most jobs of the page, at most [`MAX_PAGE`]; 0 means 50.
    pub limit: u32,
}

/// Why the jobs cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A model cannot be served.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The data folder cannot be used.
    #[error("the data folder {}: {source}", path.display())]
    DataDir {
        /// The folder.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process uses the data folder.
    #[error("another worker uses the data folder {}; stop it, or choose another folder", .0.display())]
    InUse(std::path::PathBuf),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The jobs of this worker. A clone is the same jobs.
#[derive(Clone)]
pub struct Jobs {
    catalog: std::sync::Arc<ModelCatalog>,
    config: std::sync::Arc<JobsConfig>,
}

/// Events of one job in order, from the log: none is lost, none comes twice, however
/// slowly they are read. Ends after the terminal event.
pub struct JobEvents {
    snapshot: JobView,
}

impl JobEvents {
    /// The job as it was when watching began. Events that it already contains follow all
    /// the same, if they come after the place that was asked for.
    pub const fn snapshot(&self) -> &JobView {
        &self.snapshot
    }

    /// The next event; waits for it. `None` after the terminal event, or when the job was
    /// deleted. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn next(&mut self) -> Result<Option<JobEvent>, StoreError> {
        Ok(None)
    }
}

fn not_built() -> StoreError {
    StoreError::Broken {
        what: "skeleton",
        reason: "not built yet".into(),
    }
}

impl Jobs {
    /// Opens the data folder, puts back what a dead worker left behind, starts the device
    /// thread and the queue. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(config: JobsConfig) -> Result<Self, OpenError> {
        let catalog = ModelCatalog::open(&config.models)?;
        Ok(Self {
            catalog: catalog.into(),
            config: config.into(),
        })
    }

    /// The settings.
    pub fn config(&self) -> &JobsConfig {
        &self.config
    }

    /// The models that are served.
    pub fn models(&self) -> &ModelCatalog {
        &self.catalog
    }

    /// Checks a request and keeps it as a job. With a key, the same request again gives
    /// the same job.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn submit(
        &self,
        request: JobRequest,
        key: Option<&IdempotencyKey>,
    ) -> Result<Submitted, SubmitError> {
        let _ = (request, key);
        Err(not_built().into())
    }

    /// A job.
    ///
    /// # Errors
    /// [`LookupError`].
    pub async fn get(&self, id: JobId) -> Result<JobView, LookupError> {
        Err(LookupError::NeverExisted(id))
    }

    /// A job, as soon as it has ended, or after `timeout` as it then is.
    ///
    /// # Errors
    /// [`LookupError`].
    pub async fn wait(&self, id: JobId, timeout: Duration) -> Result<JobView, LookupError> {
        let _ = timeout;
        Err(LookupError::NeverExisted(id))
    }

    /// Jobs, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self, filter: &JobFilter) -> Result<JobList, StoreError> {
        let _ = filter;
        Err(not_built())
    }

    /// Asks a job to end: a queued one at once, a running one within a step.
    ///
    /// # Errors
    /// [`CancelError`].
    pub async fn cancel(&self, id: JobId) -> Result<JobView, CancelError> {
        Err(LookupError::NeverExisted(id).into())
    }

    /// Forgets a job that has ended, with its events and the artifacts that no other job has.
    ///
    /// # Errors
    /// [`DeleteError`].
    pub async fn delete(&self, id: JobId) -> Result<(), DeleteError> {
        Err(LookupError::NeverExisted(id).into())
    }

    /// Watches a job: its events after number `after` (0 for all), then those to come.
    ///
    /// # Errors
    /// [`LookupError`].
    pub async fn watch(&self, id: JobId, after: u64) -> Result<JobEvents, LookupError> {
        let _ = after;
        Err(LookupError::NeverExisted(id))
    }

    /// How the queue is doing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn stats(&self) -> Result<QueueStats, StoreError> {
        Err(not_built())
    }

    /// Whether the device answers: a tiny operation if it is idle, else the time since the
    /// run's last sign of life.
    ///
    /// # Errors
    /// [`DeviceUnwell`].
    pub async fn probe(&self, timeout: Duration) -> Result<(), DeviceUnwell> {
        let _ = timeout;
        Ok(())
    }

    /// What is known about an artifact.
    ///
    /// # Errors
    /// [`ArtifactError`].
    pub async fn artifact(&self, hash: ContentHash) -> Result<ArtifactMeta, ArtifactError> {
        Err(ArtifactError::Unknown(hash))
    }

    /// An artifact's bytes, all or those in `range` (half-open, not empty).
    ///
    /// # Errors
    /// [`ArtifactError`].
    pub async fn read_artifact(
        &self,
        hash: ContentHash,
        range: Option<Range<u64>>,
    ) -> Result<ArtifactBody, ArtifactError> {
        let _ = range;
        Err(ArtifactError::Unknown(hash))
    }

    /// Plans of the library, newest first, after the page that gave `cursor`; a cursor that
    /// no page gave lists nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn plans(&self, cursor: Option<&str>, limit: u32) -> Result<PlanList, StoreError> {
        let _ = (cursor, limit);
        Err(not_built())
    }

    /// A plan of the library.
    ///
    /// # Errors
    /// [`PlanLibraryError`].
    pub async fn plan(&self, id: ContentHash) -> Result<StoredPlan, PlanLibraryError> {
        Err(PlanLibraryError::Unknown(id))
    }

    /// Reads a plan of any known format into the library.
    ///
    /// # Errors
    /// [`PlanLibraryError`].
    pub async fn import_plan(
        &self,
        bytes: &[u8],
        settings: &ImportSettings,
    ) -> Result<ImportedPlan, PlanLibraryError> {
        let _ = (bytes, settings);
        Err(not_built().into())
    }

    /// Takes no more jobs. What waits stays in the queue for the next start.
    pub fn drain(&self) {}

    /// Drains, lets the running job go on for at most `grace`, then stops it (a calibration
    /// goes on from its last step at the next start, another job begins again) and closes
    /// everything.
    pub async fn shutdown(&self, grace: Duration) {
        let _ = grace;
    }
}
