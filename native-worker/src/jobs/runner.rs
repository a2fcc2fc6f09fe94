//! Runs one job of the queue: claim, compute, keep what it made, commit. Whatever happens
//! on the way, the job ends here, goes back into the queue, or belongs to somebody else.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dfa_core::wire::job::{JobError, JobErrorCode, JobPhase, JobProgress, JobResult, PlanOrigin};
use dfa_core::wire::job_event::JobEventData;
use dfa_core::wire::{ContentHash, JobId};
use tokio::sync::mpsc;

use super::artifacts::ArtifactStore;
use super::bell::Bells;
use super::config::JobsConfig;
use super::device_thread::DeviceThread;
use super::execute::{Assignment, Made, Unmade};
use super::job_observer::{JobLine, StopFlags, secs};
use super::model_catalog::ModelCatalog;
use super::plans::{self, PlanLibraryError};
use super::store::{Claim, Ending, Store, StoreError};

/// Events that may wait for the log before the device thread waits for it.
const EVENTS_AHEAD: usize = 1024;
/// Events that are written at once.
const EVENTS_AT_ONCE: usize = 256;

/// How long after a failure the end of a job is written again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The job that runs now, if one does, and how to stop it.
type Running = Mutex<Option<(JobId, Arc<StopFlags>)>>;

/// What running a job needs.
pub struct Runner {
    /// The settings.
    pub config: Arc<JobsConfig>,
    /// The models.
    pub catalog: Arc<ModelCatalog>,
    /// The database.
    pub store: Store,
    /// The files.
    pub artifacts: ArtifactStore,
    /// The thread that computes.
    pub device: DeviceThread,
    /// Wakes watchers.
    pub bells: Arc<Bells>,
    /// The job that runs.
    pub running: Running,
    /// Nothing new is begun.
    pub closing: AtomicBool,
    /// Locked for as long as anything of ours may write to the data folder.
    pub(super) _lock: File,
}

impl Runner {
    fn slot(&self) -> std::sync::MutexGuard<'_, Option<(JobId, Arc<StopFlags>)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops the job if it is the one that runs.
    pub fn cancel(&self, id: JobId) {
        if let Some((running, stop)) = &*self.slot()
            && *running == id
        {
            stop.cancel.store(true, Ordering::Relaxed);
        }
    }

    /// Begins nothing more.
    pub fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }

    /// Makes the job that runs put itself back.
    pub fn interrupt(&self) {
        self.close();
        if let Some((_, stop)) = &*self.slot() {
            stop.shutdown.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a job runs.
    pub fn is_running(&self) -> bool {
        self.slot().is_some()
    }

    /// Runs a job, if it still waits.
    pub async fn run(&self, id: JobId) {
        if self.closing.load(Ordering::SeqCst) {
            return;
        }
        let stop = Arc::new(StopFlags::default());
        // Before the claim: whoever cancels a claimed job finds its flags.
        *self.slot() = Some((id, Arc::clone(&stop)));
        if let Err(error) = self.claim_and_run(id, stop).await {
            tracing::error!(job = %id, %error, "a job could not be run");
        }
        *self.slot() = None;
        self.bells.ring(id);
    }

    async fn claim_and_run(&self, id: JobId, stop: Arc<StopFlags>) -> Result<(), StoreError> {
        let Some(claim) = self.store.claim(id).await? else {
            return Ok(());
        };
        self.bells.ring(id);
        tracing::info!(job = %id, attempt = claim.attempt, kind = %claim.request.kind(), "a job begins");
        let start = Instant::now();
        let ending = match self.compute(&claim, &stop).await {
            Ok(made) => self.keep_and_finish(&claim, made, start).await?,
            Err(unmade) => {
                let ending = ending_of(unmade, &stop);
                self.finish_surely(&claim, &ending).await?;
                ending
            }
        };
        if !matches!(ending, Ending::PutBack) {
            // The job has ended; a state that cannot be removed is only clutter.
            let _ = std::fs::remove_file(self.state_file(id));
        }
        tracing::info!(job = %id, ended = name_of(&ending), "a job ended");
        Ok(())
    }

    fn state_file(&self, id: JobId) -> PathBuf {
        let name = format!("{id}.state");
        self.config.data_dir.join("states").join(name)
    }

    /// Runs the job on the device thread and writes its events as they come.
    async fn compute(&self, claim: &Claim, stop: &Arc<StopFlags>) -> Result<Made, Unmade> {
        let assignment = self.assignment(claim).await?;
        let (events, mut inbox) = mpsc::channel(EVENTS_AHEAD);
        let line = JobLine {
            events,
            stop: Arc::clone(stop),
            signs: Arc::clone(self.device.signs()),
            rule: self.config.device,
        };
        let log = async {
            let mut batch = Vec::with_capacity(EVENTS_AT_ONCE);
            let loading = progress_of(JobPhase::Loading, 0.0);
            batch.push(JobEventData::Progress(loading));
            loop {
                self.log(claim, &mut batch, stop).await;
                if inbox.recv_many(&mut batch, EVENTS_AT_ONCE).await == 0 {
                    break;
                }
            }
        };
        let (made, ()) = tokio::join!(self.device.run(assignment, line), log);
        made
    }

    async fn log(&self, claim: &Claim, batch: &mut Vec<JobEventData>, stop: &StopFlags) {
        match self.store.append(claim, batch).await {
            Ok(Ok(())) => self.bells.ring(claim.id),
            // Somebody else runs the job: this attempt is for nothing.
            Ok(Err(_)) => stop.shutdown.store(true, Ordering::Relaxed),
            Err(error) => tracing::error!(job = %claim.id, %error, "events were lost"),
        }
        batch.clear();
    }

    async fn assignment(&self, claim: &Claim) -> Result<Assignment, Unmade> {
        let failed = |code, message: String| Unmade::Failed(JobError { code, message });
        let request = &claim.request;
        let model = self.catalog.get(request.model()).ok_or_else(|| {
            let message = format!("model {} is no longer served here", request.model());
            failed(JobErrorCode::ModelUnusable, message)
        })?;
        let plan = match request.plan() {
            None => None,
            Some(id) => match plans::get(&self.store, id).await {
                Ok(plan) => Some(plan.checked),
                Err(error @ PlanLibraryError::Unknown(_)) => {
                    return Err(failed(JobErrorCode::PlanGone, error.to_string()));
                }
                Err(error) => return Err(failed(JobErrorCode::StorageFailed, error.to_string())),
            },
        };
        Ok(Assignment {
            request: request.clone(),
            model: model.clone(),
            plan,
            state_file: self.state_file(claim.id),
            limits: self.config.limits,
            placement: self.config.placement.clone(),
        })
    }

    /// Files first, then the database: what the database names is there.
    async fn keep_and_finish(
        &self,
        claim: &Claim,
        made: Made,
        start: Instant,
    ) -> Result<Ending, StoreError> {
        let _keeping = self.artifacts.keeping().await;
        let mut saving = vec![JobEventData::Progress(progress_of(JobPhase::Saving, 1.0))];
        self.log(claim, &mut saving, &StopFlags::default()).await;
        let ending = match self.keep(claim, made).await {
            Ok(mut result) => {
                result.run_secs = secs(start);
                Ending::Succeeded(Box::new(result))
            }
            Err(message) => Ending::Failed(JobError {
                code: JobErrorCode::StorageFailed,
                message,
            }),
        };
        self.finish_surely(claim, &ending).await?;
        Ok(ending)
    }

    /// A database that fails for a while (a full disk) does not leave the job running for
    /// ever; when the worker stops meanwhile, the next one recovers the job.
    async fn finish_surely(&self, claim: &Claim, ending: &Ending) -> Result<(), StoreError> {
        loop {
            match self.store.finish(claim, ending).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(_)) => {
                    tracing::warn!(job = %claim.id, "an attempt that was given up ended");
                    return Ok(());
                }
                Err(error) if self.closing.load(Ordering::SeqCst) => return Err(error),
                Err(error) => {
                    tracing::error!(job = %claim.id, %error, "the end of a job could not be written; trying again");
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        }
    }

    async fn keep(&self, claim: &Claim, made: Made) -> Result<JobResult, String> {
        let mut result = JobResult {
            plan: claim.request.plan(),
            report: made.report,
            ..JobResult::default()
        };
        for file in made.files {
            let kept = self.artifacts.put(file).await;
            let kept = kept.map_err(|error| format!("a result could not be written: {error}"))?;
            result.artifacts.push(kept);
        }
        if let Some((checked, text)) = made.plan {
            let about = (Some(claim.id), self.store.now());
            let view = plans::view_of(&checked, &text, PlanOrigin::Calibrated, about);
            let kept = self.store.insert_plan(&view, &text).await;
            kept.map_err(|error| error.to_string())?;
            result.plan = Some(ContentHash::of(text.as_bytes()));
        }
        Ok(result)
    }
}

fn ending_of(unmade: Unmade, stop: &StopFlags) -> Ending {
    match unmade {
        Unmade::Failed(error) => Ending::Failed(error),
        Unmade::Stopped if stop.cancel.load(Ordering::Relaxed) => Ending::Cancelled,
        Unmade::Stopped => Ending::PutBack,
    }
}

fn name_of(ending: &Ending) -> &'static str {
    match ending {
        Ending::Succeeded(_) => "succeeded",
        Ending::Failed(_) => "failed",
        Ending::Cancelled => "cancelled",
        Ending::PutBack => "put back",
    }
}

fn progress_of(phase: JobPhase, done_share: f64) -> JobProgress {
    JobProgress {
        phase,
        step: 0,
        steps: 0,
        block: None,
        blocks: None,
        batch: 0,
        batches: 0,
        done_share,
        eta_secs: None,
    }
}
