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
//! Read in this order:
//! - [`config`]: limits, retention, liveness; [`clock`]: the time.
//! - [`answers`]: accepted, refused, gone.
//! - [`model_catalog`]: the models that are served.
//! - [`store`]: the database, the truth about every job.
//! - [`validate`]: a request checked against limits, model and plan.
//! - [`queue`]: whose turn it is; [`runner`]: one job from claim to commit.
//! - [`device_thread`], [`execute`], [`job_observer`], `preview`, [`signs_of_life`]:
//!   computing, and what is heard and seen of it.
//! - [`artifacts`], [`plans`]: what jobs made; [`retention`]: what is thrown away.
//! - [`watching`], [`bell`]: events for those who watch.
//!
//! Always true: an accepted job ends exactly once; a client that goes away cancels nothing.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dfa_core::wire::job::JobState;
use dfa_core::wire::{JobId, JobKind};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub mod answers;
pub mod artifacts;
mod asking;
pub mod bell;
pub mod clock;
pub mod config;
pub mod device_thread;
pub mod execute;
pub mod job_observer;
pub mod model_catalog;
mod opening;
pub mod plans;
mod preview;
pub mod queue;
pub mod retention;
pub mod runner;
pub mod signs_of_life;
pub mod store;
pub mod validate;
pub mod watching;

pub use crate::plan_import::PlanFormat;
pub use answers::{
    ArtifactError, CancelError, DeleteError, DeviceUnwell, Invalid, LookupError, QueueStats,
    SubmitError, Submitted,
};
pub use artifacts::{ArtifactBody, ArtifactMeta};
pub use config::{DeviceRule, DiskRule, JobsConfig, Limits, QueueRule, Retention};
pub use model_catalog::{CatalogError, ModelCatalog, ServedModel};
pub use plans::{ImportSettings, ImportedPlan, PlanLibraryError, StoredPlan};
pub use store::StoreError;
pub use watching::JobEvents;

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
    /// The artifacts cannot be used.
    #[error(transparent)]
    Artifacts(#[from] ArtifactError),
}

/// The jobs of this worker. A clone is the same jobs; when the last one is dropped without
/// [`shutdown`](Jobs::shutdown), it is as if the process had been killed.
#[derive(Clone)]
pub struct Jobs(Arc<Inner>);

struct Inner {
    runner: Arc<runner::Runner>,
    queue: queue::Queue,
    draining: AtomicBool,
    stop: CancellationToken,
    workers: TaskTracker,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.cancel();
        self.runner.interrupt();
    }
}
