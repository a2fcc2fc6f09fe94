//! What can be asked of the jobs: submit, look, watch, cancel, delete.

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dfa_core::wire::job::{JobList, JobState, JobView, PlanList};
use dfa_core::wire::{CheckedPlan, ContentHash, JobId, JobRequest};

use super::answers::{
    ArtifactError, CancelError, DeleteError, DeviceUnwell, LookupError, QueueStats, SubmitError,
    Submitted,
};
use super::artifacts::{ArtifactBody, ArtifactMeta};
use super::config::JobsConfig;
use super::model_catalog::ModelCatalog;
use super::plans::{self, ImportSettings, ImportedPlan, PlanLibraryError, StoredPlan};
use super::store::job_rows::NewJob;
use super::store::{Acceptance, StoreError};
use super::watching::JobEvents;
use super::{IdempotencyKey, JobFilter, Jobs, retention, validate};

/// How long a worker that stops is probably away.
const AWAY: Duration = Duration::from_secs(10);
/// How long a job of a kind takes of which none was measured.
const UNMEASURED_SECS: f64 = 30.0;

impl Jobs {
    /// The settings.
    pub fn config(&self) -> &JobsConfig {
        &self.0.runner.config
    }

    /// The models that are served.
    pub fn models(&self) -> &ModelCatalog {
        &self.0.runner.catalog
    }

    /// Checks a request and keeps it as a job. With a key, the same request again gives
    /// the same job, also when the queue or the disk is full.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn submit(
        &self,
        request: JobRequest,
        key: Option<&IdempotencyKey>,
    ) -> Result<Submitted, SubmitError> {
        let runner = &self.0.runner;
        if self.is_draining() {
            return Err(SubmitError::Draining { retry_after: AWAY });
        }
        self.check(&request).await?;
        // A full disk refuses new jobs, not the answer to one that was accepted before.
        let room = retention::room(&runner.store, &runner.config.data_dir, &runner.config.disk);
        let room = room.await.map_err(store_error)?;
        let new = NewJob {
            id: JobId::from_bits(uuid::Uuid::now_v7().as_u128()),
            request: &request,
            key: key.map(IdempotencyKey::as_str),
            max_queued: runner.config.limits.max_queued_jobs,
        };
        let (acceptance, mut tx) = runner.store.accept(new).await?;
        let id = match acceptance {
            Acceptance::New(id) => {
                room.map_err(SubmitError::DiskFull)?;
                self.0.queue.push(&mut tx, id).await?;
                tx.commit().await.map_err(StoreError::from)?;
                self.0.queue.knock();
                id
            }
            Acceptance::Replayed(id) => {
                drop(tx);
                return Ok(Submitted::Replayed(self.existing(id).await?));
            }
            Acceptance::Conflict(earlier) => {
                return Err(SubmitError::IdempotencyConflict { earlier });
            }
            Acceptance::Full(n_queued) => {
                drop(tx);
                let retry_after = self.stats().await?.retry_after;
                return Err(SubmitError::QueueFull {
                    n_queued,
                    retry_after,
                });
            }
        };
        Ok(Submitted::Accepted(self.existing(id).await?))
    }

    /// Checks a request without keeping it.
    ///
    /// # Errors
    /// [`SubmitError::Invalid`], or the database failed.
    pub async fn check(&self, request: &JobRequest) -> Result<(), SubmitError> {
        let models = self.models();
        let model = models.get(request.model());
        let model = model.ok_or_else(|| validate::unknown_model(request.model(), models.all()))?;
        let plan = match request.plan() {
            Some(id) => Some(self.plan_of_request(id).await?),
            None => None,
        };
        let config = self.config();
        let allowed = (&config.limits, &config.placement);
        validate::check(request, model, plan.as_ref(), allowed)?;
        Ok(())
    }

    async fn plan_of_request(&self, id: ContentHash) -> Result<CheckedPlan, SubmitError> {
        match self.plan(id).await {
            Ok(plan) => Ok(plan.checked),
            Err(PlanLibraryError::Store(error)) => Err(error.into()),
            Err(_) => Err(validate::unknown_plan(id).into()),
        }
    }

    async fn existing(&self, id: JobId) -> Result<JobView, StoreError> {
        let job = self.0.runner.store.job(id).await?;
        job.ok_or_else(|| StoreError::broken("job", "it vanished"))
    }

    /// A job.
    ///
    /// # Errors
    /// [`LookupError`].
    pub async fn get(&self, id: JobId) -> Result<JobView, LookupError> {
        if let Some(job) = self.0.runner.store.job(id).await? {
            return Ok(job);
        }
        match self.0.runner.store.is_gone(id).await? {
            true => Err(LookupError::Gone(id)),
            false => Err(LookupError::NeverExisted(id)),
        }
    }

    /// A job, as soon as it has ended, or after `timeout` as it then is.
    ///
    /// # Errors
    /// [`LookupError`].
    pub async fn wait(&self, id: JobId, timeout: Duration) -> Result<JobView, LookupError> {
        let deadline = tokio::time::Instant::now() + timeout;
        let mut bell = self.0.runner.bells.listen(id);
        loop {
            bell.borrow_and_update();
            let job = self.get(id).await?;
            let rung = tokio::time::timeout_at(deadline, bell.changed());
            if job.state.is_terminal() || !matches!(rung.await, Ok(Ok(()))) {
                return Ok(job);
            }
        }
    }

    /// Jobs, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self, filter: &JobFilter) -> Result<JobList, StoreError> {
        self.0.runner.store.page(filter).await
    }

    /// Asks a job to end: a queued one at once, a running one within a step.
    ///
    /// # Errors
    /// [`CancelError`].
    pub async fn cancel(&self, id: JobId) -> Result<JobView, CancelError> {
        let runner = &self.0.runner;
        let found = runner.store.request_cancel(id).await;
        let found = found.map_err(LookupError::from)?;
        let job = self.get(id).await?;
        match found {
            None => return Err(CancelError::AlreadyEnded(Box::new(job))),
            Some(JobState::Running) => runner.cancel(id),
            Some(_) => runner.bells.ring(id),
        }
        Ok(job)
    }

    /// Forgets a job that has ended, with its events and the artifacts that no other job has.
    ///
    /// # Errors
    /// [`DeleteError`].
    pub async fn delete(&self, id: JobId) -> Result<(), DeleteError> {
        let runner = &self.0.runner;
        let job = self.get(id).await?;
        let forgotten = runner.store.forget(&[id]).await;
        if forgotten.map_err(LookupError::from)? == 0 {
            return Err(DeleteError::NotEnded(Box::new(job)));
        }
        runner.bells.ring(id);
        // The job is gone; files that stay are found by the next sweep.
        let swept = retention::throw_away_unnamed(&runner.store, &runner.artifacts).await;
        if let Err(error) = swept {
            tracing::warn!(%error, "files of a deleted job are still there");
        }
        Ok(())
    }

    /// Watches a job: its events after number `after` (0 for all), then those to come.
    ///
    /// # Errors
    /// [`LookupError`].
    pub async fn watch(&self, id: JobId, after: u64) -> Result<JobEvents, LookupError> {
        let runner = &self.0.runner;
        let snapshot = self.get(id).await?;
        let store = runner.store.clone();
        Ok(JobEvents::new(store, &runner.bells, snapshot, after))
    }

    /// How the queue is doing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn stats(&self) -> Result<QueueStats, StoreError> {
        let runner = &self.0.runner;
        let counts = runner.store.counts().await?;
        let mean_run_secs = runner.store.mean_run_secs().await?;
        let now = runner.store.now();
        let each = counts.queued_by_kind.into_iter().zip(mean_run_secs);
        let waiting: f64 = each
            .map(|(n, mean)| f64::from(n) * mean.unwrap_or(UNMEASURED_SECS))
            .sum();
        let is_full = counts.n_queued >= runner.config.limits.max_queued_jobs;
        let secs = match (is_full, counts.n_queued) {
            (true, 1..) => waiting / f64::from(counts.n_queued),
            _ => waiting,
        };
        Ok(QueueStats {
            n_queued: counts.n_queued,
            n_running: counts.n_running,
            oldest_wait_secs: counts.oldest.map(|oldest| now.secs_since(oldest)),
            mean_run_secs,
            retry_after: Duration::from_secs(secs.clamp(1.0, 3600.0).ceil() as u64),
            draining: self.is_draining(),
        })
    }

    /// Whether the device answers: a tiny operation if it is idle, else the time since the
    /// run's last sign of life.
    ///
    /// # Errors
    /// [`DeviceUnwell`].
    pub async fn probe(&self, timeout: Duration) -> Result<(), DeviceUnwell> {
        let runner = &self.0.runner;
        let stuck_after = runner.config.device.stuck_after;
        runner.device.probe(timeout, stuck_after).await
    }

    /// For tests of [`probe`](Jobs::probe): makes the device thread deaf for a while.
    #[doc(hidden)]
    pub fn make_device_deaf(&self, time: Duration) {
        self.0.runner.device.sleep(time);
    }

    /// What is known about an artifact.
    ///
    /// # Errors
    /// [`ArtifactError`].
    pub async fn artifact(&self, hash: ContentHash) -> Result<ArtifactMeta, ArtifactError> {
        let found = self.0.runner.store.artifact(hash).await?;
        found.ok_or(ArtifactError::Unknown(hash))
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
        let meta = self.artifact(hash).await?;
        self.0.runner.artifacts.get(meta, range).await
    }

    /// Plans of the library, newest first, after the page that gave `cursor`; a cursor that
    /// no page gave lists nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn plans(&self, cursor: Option<&str>, limit: u32) -> Result<PlanList, StoreError> {
        plans::page(&self.0.runner.store, cursor, limit).await
    }

    /// A plan of the library.
    ///
    /// # Errors
    /// [`PlanLibraryError`].
    pub async fn plan(&self, id: ContentHash) -> Result<StoredPlan, PlanLibraryError> {
        plans::get(&self.0.runner.store, id).await
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
        plans::import(&self.0.runner.store, bytes, settings).await
    }

    /// Throws away what is too old or too much, now instead of at the next turn.
    ///
    /// # Errors
    /// [`ArtifactError`].
    pub async fn sweep(&self) -> Result<retention::Swept, ArtifactError> {
        let runner = &self.0.runner;
        let rule = &runner.config.retention;
        retention::sweep(&runner.store, &runner.artifacts, rule).await
    }

    /// Whether new jobs are refused because the worker is about to stop.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::SeqCst)
    }

    /// Takes no more jobs. What waits stays in the queue for the next start.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::SeqCst);
        self.0.runner.close();
    }

    /// Drains, lets the running job go on for at most `grace`, then stops it (a calibration
    /// goes on from its last step at the next start, another job begins again) and closes
    /// everything.
    pub async fn shutdown(&self, grace: Duration) {
        self.drain();
        let runner = &self.0.runner;
        let deadline = tokio::time::Instant::now() + grace;
        while runner.is_running() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        runner.interrupt();
        self.0.stop.cancel();
        self.0.workers.wait().await;
        runner.store.close().await;
    }
}

fn store_error(error: ArtifactError) -> SubmitError {
    match error {
        ArtifactError::Store(error) => error.into(),
        other => StoreError::broken("artifact", other).into(),
    }
}
