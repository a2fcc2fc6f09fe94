//! How the jobs of a worker are run: where they are kept, what is allowed, what is thrown
//! away when.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::clock::{Clock, SystemClock};
use crate::device::Placement;

/// Everything that is decided before the first job.
#[derive(Clone)]
pub struct JobsConfig {
    /// Folder of the database, the artifacts and the saved states. One process at a time.
    pub data_dir: PathBuf,
    /// The model folders that are served; a model's id is its folder's name.
    pub models: Vec<PathBuf>,
    /// What a request may ask for.
    pub limits: Limits,
    /// What is thrown away when.
    pub retention: Retention,
    /// How full the disk may get.
    pub disk: DiskRule,
    /// Liveness of the queue.
    pub queue: QueueRule,
    /// Watching the device thread.
    pub device: DeviceRule,
    /// Where jobs compute.
    pub placement: Placement,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl JobsConfig {
    /// The defaults, for these folders.
    pub fn new(data_dir: PathBuf, models: Vec<PathBuf>) -> Self {
        Self {
            data_dir,
            models,
            limits: Limits::default(),
            retention: Retention::default(),
            disk: DiskRule::default(),
            queue: QueueRule::default(),
            device: DeviceRule::default(),
            placement: Placement::cpu(),
            clock: Arc::new(SystemClock),
        }
    }
}

/// What a request may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most jobs that wait; the running one is not counted.
    pub max_queued_jobs: u32,
    /// Most denoising steps.
    pub max_steps: u32,
    /// Most images of a job.
    pub max_images: u32,
    /// Most images denoised at once.
    pub max_batch_size: u32,
    /// Longest side of an image, in pixels.
    pub max_side: u32,
    /// Most image tokens of one image, or of all frames of one video.
    pub max_tokens: u32,
    /// Most frames of one video.
    pub max_frames: u32,
    /// How often a job is begun before its worker's deaths are blamed on it.
    pub max_attempts: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_queued_jobs: 32,
            max_steps: 1000,
            max_images: 64,
            max_batch_size: 16,
            max_side: 2048,
            max_tokens: 16_384,
            max_frames: 64,
            max_attempts: 2,
        }
    }
}

/// What is thrown away when. Running and waiting jobs are never touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Ended jobs older than this go, with artifacts that no other job has.
    pub max_age: Duration,
    /// When all artifacts together are larger, the oldest ended jobs go.
    pub max_artifact_bytes: u64,
    /// How long the name of a job that is gone answers "gone" instead of "never existed".
    pub remember_gone: Duration,
    /// How often this is looked after.
    pub interval: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self {
            max_age: Duration::from_secs(30 * DAY),
            max_artifact_bytes: 10 << 30,
            remember_gone: Duration::from_secs(365 * DAY),
            interval: Duration::from_secs(60),
        }
    }
}

/// How full the disk may get before new jobs are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskRule {
    /// Least free space of the data folder's file system, in bytes.
    pub free_floor_bytes: u64,
    /// Most bytes of artifacts; `None`: only the file system decides.
    pub quota_bytes: Option<u64>,
}

impl Default for DiskRule {
    fn default() -> Self {
        Self {
            free_floor_bytes: 512 << 20,
            quota_bytes: None,
        }
    }
}

/// Liveness of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueRule {
    /// How often the worker says that it lives, whole seconds.
    pub heartbeat: Duration,
    /// After how many missed heartbeats it is dead.
    pub missed_heartbeats: usize,
    /// Longest time until a job is noticed that nobody told of.
    pub poll: Duration,
    /// How often jobs that lost their place in the queue are looked for.
    pub reconcile: Duration,
}

impl Default for QueueRule {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(5),
            missed_heartbeats: 6,
            poll: Duration::from_secs(1),
            reconcile: Duration::from_secs(30),
        }
    }
}

/// Watching the device thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRule {
    /// Longest time between two signs of life of a run; after it the thread counts as
    /// stuck. A single block of a large model must fit.
    pub stuck_after: Duration,
    /// Most progress events a second; decisions are never left out.
    pub progress_interval: Duration,
    /// A preview after every so many steps; 0 for none.
    pub preview_every: u32,
}

impl Default for DeviceRule {
    fn default() -> Self {
        Self {
            stuck_after: Duration::from_secs(120),
            progress_interval: Duration::from_millis(200),
            preview_every: 5,
        }
    }
}
