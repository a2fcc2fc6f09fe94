//! The one thread that computes. It takes work from a channel, one piece at a time, and
//! keeps the model that it loaded last. HTTP, the queue and the database never wait for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use candle_core::Tensor;
use dfa_core::wire::job::{JobError, JobErrorCode};
use tokio::sync::oneshot;

use super::answers::DeviceUnwell;
use super::execute::{Assignment, Made, ModelInMemory, Unmade, execute};
use super::job_observer::JobLine;
use super::signs_of_life::SignsOfLife;
use crate::device::Placement;

enum Work {
    Job {
        assignment: Box<Assignment>,
        line: JobLine,
        reply: oneshot::Sender<Result<Made, Unmade>>,
    },
    Probe(oneshot::Sender<Result<(), String>>),
    /// For tests of the watch: the thread does nothing for so long.
    Sleep(Duration),
}

/// The thread. It ends when this is dropped and its work is done.
pub struct DeviceThread {
    work: std_mpsc::Sender<Work>,
    signs: Arc<SignsOfLife>,
}

impl DeviceThread {
    /// Starts the thread, which computes where `placement` says.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(placement: Placement) -> std::io::Result<Self> {
        let (work, inbox) = std_mpsc::channel();
        let signs = Arc::new(SignsOfLife::default());
        let of_thread = Arc::clone(&signs);
        std::thread::Builder::new()
            .name("dfa-device".into())
            .spawn(move || work_off(&inbox, &of_thread, &placement))?;
        Ok(Self { work, signs })
    }

    /// The thread's signs of life.
    pub fn signs(&self) -> &Arc<SignsOfLife> {
        &self.signs
    }

    /// Runs a job.
    ///
    /// # Errors
    /// [`Unmade`].
    pub async fn run(&self, assignment: Assignment, line: JobLine) -> Result<Made, Unmade> {
        let (reply, answer) = oneshot::channel();
        let assignment = Box::new(assignment);
        let work = Work::Job {
            assignment,
            line,
            reply,
        };
        let ended = || {
            Unmade::Failed(JobError {
                code: JobErrorCode::Internal,
                message: "the device thread has ended; restart the worker".into(),
            })
        };
        self.work.send(work).map_err(|_| ended())?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }

    /// A tiny operation if the thread is idle; else how long the run has been silent.
    ///
    /// # Errors
    /// [`DeviceUnwell`].
    pub async fn probe(
        &self,
        timeout: Duration,
        stuck_after: Duration,
    ) -> Result<(), DeviceUnwell> {
        if self.signs.is_busy() {
            let silent = self.signs.silent_for();
            if silent > stuck_after {
                return Err(DeviceUnwell::Stuck(silent));
            }
            return Ok(());
        }
        let (reply, answer) = oneshot::channel();
        let sent = self.work.send(Work::Probe(reply));
        sent.map_err(|_| DeviceUnwell::Ended)?;
        match tokio::time::timeout(timeout, answer).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(reason))) => Err(DeviceUnwell::Failed(reason)),
            Ok(Err(_)) => Err(DeviceUnwell::Ended),
            // Work may have begun in between: then the thread is busy, not slow.
            Err(_) if self.signs.is_busy() && self.signs.silent_for() <= stuck_after => Ok(()),
            Err(_) => Err(DeviceUnwell::Slow(timeout)),
        }
    }

    /// For tests of the watch: makes the thread deaf for a while.
    pub fn sleep(&self, time: Duration) {
        let _ = self.work.send(Work::Sleep(time));
    }
}

fn work_off(inbox: &std_mpsc::Receiver<Work>, signs: &SignsOfLife, placement: &Placement) {
    let mut memory = ModelInMemory::default();
    while let Ok(work) = inbox.recv() {
        signs.set_busy(!matches!(work, Work::Probe(_)));
        match work {
            Work::Job {
                assignment,
                line,
                reply,
            } => {
                let made = guarded(&assignment, &mut memory, &line);
                drop(line);
                let _ = reply.send(made);
            }
            Work::Probe(reply) => {
                let _ = reply.send(tiny_operation(placement).map_err(|error| error.to_string()));
            }
            Work::Sleep(time) => std::thread::sleep(time),
        }
        signs.set_busy(false);
    }
}

/// A panic ends the job, not the thread.
fn guarded(
    assignment: &Assignment,
    memory: &mut ModelInMemory,
    line: &JobLine,
) -> Result<Made, Unmade> {
    // On one of the threads that compute: it takes its share of every operation at once
    // instead of waking another thread and waiting for it.
    let run = AssertUnwindSafe(|| rayon::scope(|_| execute(assignment, memory, line)));
    catch_unwind(run).unwrap_or_else(|panic| {
        *memory = ModelInMemory::default();
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or(panic.downcast_ref::<&str>().copied());
        let message = format!("a bug of the worker: {}", text.unwrap_or("panic"));
        let code = JobErrorCode::Internal;
        Err(Unmade::Failed(JobError { code, message }))
    })
}

/// 2 × 2 numbers, multiplied where jobs compute and looked at.
fn tiny_operation(placement: &Placement) -> candle_core::Result<()> {
    let a = Tensor::new(&[[1f32, 2.0], [3.0, 4.0]], placement.device())?;
    let product = a.matmul(&a)?.flatten_all()?.to_vec1::<f32>()?;
    if product == [7.0, 10.0, 15.0, 22.0] {
        return Ok(());
    }
    candle_core::bail!("a matrix product is wrong: {product:?}")
}
