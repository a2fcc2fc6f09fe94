//! From a data folder to jobs that run: locks it, puts back what a dead worker left, and
//! starts what works in the background.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::artifacts::ArtifactStore;
use super::bell::Bells;
use super::config::JobsConfig;
use super::device_thread::DeviceThread;
use super::model_catalog::ModelCatalog;
use super::queue::{Queue, RunJob};
use super::runner::Runner;
use super::store::Store;
use super::{Inner, Jobs, OpenError, retention};

impl Jobs {
    /// Opens the data folder, puts back what a dead worker left behind, starts the device
    /// thread and the queue. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(config: JobsConfig) -> Result<Self, OpenError> {
        let catalog = open_catalog(&config).await?;
        let lock = make_folders(&config.data_dir)?;
        let dir = &config.data_dir;
        let store = Store::open(&dir.join("jobs.sqlite"), Arc::clone(&config.clock)).await?;
        let artifacts =
            ArtifactStore::in_folder(&dir.join("artifacts")).map_err(super::ArtifactError::from)?;
        recover(&store, &artifacts, &config).await?;
        let queue = Queue::new(store.clone(), config.queue);
        queue.restart().await?;
        let device = DeviceThread::start(config.placement.clone())
            .map_err(|source| data_dir(dir, source))?;
        let runner = Arc::new(Runner {
            config: Arc::new(config),
            catalog: Arc::new(catalog),
            store,
            artifacts,
            device,
            bells: Arc::new(Bells::default()),
            running: Mutex::new(None),
            closing: AtomicBool::new(false),
            _lock: lock,
        });
        let stop = CancellationToken::new();
        let workers = start_workers(&runner, &queue, &stop);
        Ok(Self(Arc::new(Inner {
            runner,
            queue,
            draining: AtomicBool::new(false),
            stop,
            workers,
        })))
    }
}

fn data_dir(path: &Path, source: std::io::Error) -> OpenError {
    let path = path.to_path_buf();
    OpenError::DataDir { path, source }
}

/// Hashing large weights takes a while; the runtime must not wait for it.
async fn open_catalog(config: &JobsConfig) -> Result<ModelCatalog, OpenError> {
    let folders = config.models.clone();
    let opened = tokio::task::spawn_blocking(move || ModelCatalog::open(&folders)).await;
    let failed = |error| data_dir(&config.data_dir, std::io::Error::other(error));
    Ok(opened.map_err(failed)??)
}

fn make_folders(dir: &Path) -> Result<File, OpenError> {
    let made = ["artifacts", "states"]
        .into_iter()
        .try_for_each(|name| std::fs::create_dir_all(dir.join(name)));
    made.map_err(|source| data_dir(dir, source))?;
    let lock = File::create(dir.join("lock")).map_err(|source| data_dir(dir, source))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(dir.to_path_buf())),
        Err(TryLockError::Error(source)) => Err(data_dir(dir, source)),
    }
}

async fn recover(
    store: &Store,
    artifacts: &ArtifactStore,
    config: &JobsConfig,
) -> Result<(), OpenError> {
    for (id, state) in store.recover(config.limits.max_attempts).await? {
        tracing::warn!(job = %id, %state, "the worker died while it ran this job");
    }
    let n_files = retention::throw_away_unknown(store, artifacts).await?;
    if n_files > 0 {
        tracing::info!(n_files, "files of attempts that died were thrown away");
    }
    throw_away_states(store, &config.data_dir.join("states")).await;
    Ok(())
}

/// Saved states of jobs that do not wait any more. What cannot be removed is only clutter.
async fn throw_away_states(store: &Store, folder: &Path) {
    let waiting = store.queued_ids().await.unwrap_or_default();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.strip_suffix(".state"));
        let is_wanted = id.and_then(|id| id.parse().ok());
        if !is_wanted.is_some_and(|id| waiting.contains(&id)) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn start_workers(runner: &Arc<Runner>, queue: &Queue, stop: &CancellationToken) -> TaskTracker {
    let workers = TaskTracker::new();
    let of_queue = Arc::clone(runner);
    let run: RunJob = Arc::new(move |id| {
        let runner = Arc::clone(&of_queue);
        Box::pin(async move { runner.run(id).await })
    });
    let (for_queue, stopped) = (queue.clone(), stop.clone());
    workers.spawn(for_queue.work(run, stopped));
    let (for_queue, rule) = (queue.clone(), runner.config.queue);
    workers.spawn(every(rule.reconcile, stop.clone(), move || {
        let queue = for_queue.clone();
        async move {
            match queue.reconcile().await {
                Ok(0) => {}
                Ok(n) => tracing::warn!(n, "jobs had lost their place in the queue"),
                Err(error) => tracing::error!(%error, "the queue could not be looked after"),
            }
        }
    }));
    let swept = Arc::clone(runner);
    let rule = runner.config.retention;
    workers.spawn(every(rule.interval, stop.clone(), move || {
        let runner = Arc::clone(&swept);
        async move {
            if let Err(error) = retention::sweep(&runner.store, &runner.artifacts, &rule).await {
                tracing::error!(%error, "old jobs could not be thrown away");
            }
        }
    }));
    workers.close();
    workers
}

/// Does something again and again until `stop`.
async fn every<F: Future<Output = ()>>(
    period: Duration,
    stop: CancellationToken,
    mut act: impl FnMut() -> F,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(period) => act().await,
        }
    }
}
