//! The order in which jobs run: apalis over its own tables in our database. A row of the
//! queue carries only a job's id; what it means stands in our tables.
//!
//! A job gets its queue row in the transaction that accepts it. A lost row is made again
//! ([`Queue::reconcile`]), a row too many does no harm: to begin a job is to claim it in
//! our table, and only one claim succeeds.
//!
//! One process owns the data folder, so at its start every row is a dead process's:
//! [`Queue::restart`] makes them all anew. Within the process apalis' heartbeats and a
//! fresh worker name for every start keep its own recovery honest.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use apalis::prelude::{BackendExt, Task, TaskBuilder, TaskId, WorkerBuilder, WorkerBuilderExt};
use apalis_sqlite::{Config, SqliteStorage, queries};
use dfa_core::wire::JobId;
use futures_util::stream;
use sqlx::SqliteConnection;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::config::QueueRule;
use super::store::listing::queued_ids_in;
use super::store::{Store, StoreError};

/// The name of the queue in apalis' tables.
const QUEUE: &str = "dfa-jobs";
/// How long after a failure of the queue it is started again.
const RESTART_AFTER: Duration = Duration::from_secs(1);

/// Runs one job, whatever becomes of it.
pub type RunJob = Arc<dyn Fn(JobId) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// The queue. A clone is the same queue.
#[derive(Clone)]
pub struct Queue {
    store: Store,
    rule: QueueRule,
    knock: Arc<Notify>,
}

fn queue_error(error: impl std::fmt::Display) -> StoreError {
    StoreError::Queue(error.to_string())
}

/// Fresh for every start of a worker: host, process, and a part that never repeats.
fn worker_name() -> String {
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let unique = uuid::Uuid::now_v7();
    format!("{host}-{}-{unique}", std::process::id())
}

/// A job's name as the queue wants it: the same 128 bits as a ULID, 26 digits of base 32
/// (Crockford's). Larger names stay larger.
fn ulid_of(id: JobId) -> String {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let places = (0..26).rev();
    let digit = |place: u32| DIGITS[(id.bits() >> (5 * place)) as usize & 31];
    places.map(|place| char::from(digit(place))).collect()
}

impl Queue {
    /// The queue of a database.
    pub fn new(store: Store, rule: QueueRule) -> Self {
        Self {
            store,
            rule,
            knock: Arc::default(),
        }
    }

    fn config(&self) -> Config {
        Config::default()
            .queue(QUEUE)
            .batch_size(1)
            .heartbeat_interval(self.rule.heartbeat)
            .missed_heartbeats(self.rule.missed_heartbeats)
    }

    /// Puts a job at the end, within the transaction that accepts it.
    ///
    /// # Errors
    /// [`StoreError::Queue`].
    pub async fn push(&self, tx: &mut SqliteConnection, id: JobId) -> Result<(), StoreError> {
        let args = serde_json::to_vec(&id.to_string()).map_err(queue_error)?;
        let task: Task<Vec<u8>> = TaskBuilder::new(args)
            // A job's name is its place: jobs of one second run in their order.
            .task_id(TaskId::from_string(ulid_of(id)))
            .run_at_timestamp(0)
            .max_attempts(1)
            .build();
        queries::push_tasks(tx, QUEUE, &[task])
            .await
            .map_err(queue_error)
    }

    /// There is something to do.
    pub fn knock(&self) {
        self.knock.notify_one();
    }

    /// Throws away what a dead process left in the queue and puts in every job that waits.
    /// Only to be called while no worker of the queue lives.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn restart(&self) -> Result<(), StoreError> {
        let waiting = self.store.queued_ids().await?;
        let mut tx = self.store.begin().await?;
        sqlx::query("DELETE FROM Jobs WHERE job_type = ?1")
            .bind(QUEUE)
            .execute(&mut *tx)
            .await?;
        sqlx::query("DELETE FROM Workers WHERE worker_type = ?1")
            .bind(QUEUE)
            .execute(&mut *tx)
            .await?;
        for id in waiting {
            self.push(&mut tx, id).await?;
        }
        tx.commit().await?;
        self.knock();
        Ok(())
    }

    /// Puts jobs that wait but have no living queue row in again, and forgets rows that
    /// are done with. Says how many were put in.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reconcile(&self) -> Result<usize, StoreError> {
        let mut tx = self.store.begin().await?;
        sqlx::query(
            "DELETE FROM Jobs WHERE job_type = ?1 AND status IN ('Done', 'Failed', 'Killed')",
        )
        .bind(QUEUE)
        .execute(&mut *tx)
        .await?;
        let rows: Vec<(String,)> = sqlx::query_as("SELECT id FROM Jobs WHERE job_type = ?1")
            .bind(QUEUE)
            .fetch_all(&mut *tx)
            .await?;
        let rows: HashSet<String> = rows.into_iter().map(|(id,)| id).collect();
        let mut lost = queued_ids_in(&mut tx).await?;
        lost.retain(|&id| !rows.contains(&ulid_of(id)));
        for &id in &lost {
            self.push(&mut tx, id).await?;
        }
        tx.commit().await?;
        if !lost.is_empty() {
            self.knock();
        }
        Ok(lost.len())
    }

    /// Runs jobs, one after the other, until `stop`.
    pub async fn work(self, run: RunJob, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let worker = self.clone().work_once(Arc::clone(&run), stop.clone());
            if let Err(error) = worker.await {
                tracing::error!(%error, "the queue failed; it is started again");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(RESTART_AFTER) => {}
            }
        }
    }

    /// apalis' worker, on a thread and a small runtime of its own: its futures cannot
    /// change threads, and its heartbeats then wait for nobody.
    async fn work_once(self, run: RunJob, stop: CancellationToken) -> Result<(), StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(queue_error)?;
        let (done, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name("dfa-queue".into())
            .spawn(move || {
                let _ = done.send(runtime.block_on(self.apalis_worker(run, stop)));
            })
            .map_err(queue_error)?;
        ended.await.map_err(queue_error)?
    }

    async fn apalis_worker(self, run: RunJob, stop: CancellationToken) -> Result<(), StoreError> {
        let backend = SqliteStorage::<String>::new(self.store.pool())
            .with_config(self.config())
            .poll_with_stream(self.knocks());
        let worker = WorkerBuilder::new(worker_name().as_str())
            .backend(backend)
            .concurrency(1)
            .build(move |id: String| {
                let run = Arc::clone(&run);
                async move {
                    // Rows are written by this file alone; another text names no job of ours.
                    if let Ok(id) = id.parse() {
                        run(id).await;
                    }
                    Ok::<(), std::convert::Infallible>(())
                }
            });
        let signal = async move {
            stop.cancelled().await;
            Ok::<(), std::io::Error>(())
        };
        worker.run_until(signal).await.map_err(queue_error)
    }

    /// One entry per knock, and one whenever nobody knocked for long.
    fn knocks(&self) -> stream::BoxStream<'static, ()> {
        let poll = self.rule.poll;
        let knocks = stream::unfold(Arc::clone(&self.knock), move |knock| async move {
            let _ = tokio::time::timeout(poll, knock.notified()).await;
            Some(((), knock))
        });
        Box::pin(knocks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_queue_are_ulids_in_the_same_order() {
        let check = |bits, text: &str| assert_eq!(ulid_of(JobId::from_bits(bits)), text);
        check(0, "00000000000000000000000000");
        check(31, "0000000000000000000000000Z");
        check(32, "00000000000000000000000010");
        // The example of the ULID specification.
        check(
            0x0156_3e3a_b5d3_d676_4c61_efb9_9302_bd5b,
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        );
        check(u128::MAX, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    }
}
