//! Wakes those who watch a job whenever its log got longer. Says nothing of what happened:
//! watchers read the log, so a slow one loses nothing and holds up nobody.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use dfa_core::wire::JobId;
use tokio::sync::watch;

/// One bell per job that is watched.
#[derive(Debug, Default)]
pub struct Bells(Mutex<HashMap<JobId, watch::Sender<u64>>>);

impl Bells {
    /// Hears of every change of the job's log after this call.
    pub fn listen(&self, id: JobId) -> watch::Receiver<u64> {
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bells.retain(|_, bell| bell.receiver_count() > 0);
        let bell = bells.entry(id).or_insert_with(|| watch::channel(0).0);
        bell.subscribe()
    }

    /// The job's log got longer.
    pub fn ring(&self, id: JobId) {
        let bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bells.get(&id) {
            bell.send_modify(|n| *n += 1);
        }
    }
}
