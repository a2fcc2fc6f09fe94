//! The events of one job, first from the log, then as they come.

use std::collections::VecDeque;
use std::sync::Arc;

use dfa_core::wire::job::JobView;
use dfa_core::wire::{JobEvent, JobId};
use tokio::sync::watch;

use super::bell::Bells;
use super::store::{Store, StoreError};

/// Events that are read from the log at once.
const PAGE: u32 = 256;

/// Events of one job in order, from the log: none is lost, none comes twice, however
/// slowly they are read. Ends after the terminal event.
pub struct JobEvents {
    store: Store,
    snapshot: JobView,
    id: JobId,
    after: u64,
    read: VecDeque<JobEvent>,
    bell: watch::Receiver<u64>,
    ended: bool,
}

impl JobEvents {
    pub(super) fn new(store: Store, bells: &Arc<Bells>, snapshot: JobView, after: u64) -> Self {
        Self {
            id: snapshot.id,
            bell: bells.listen(snapshot.id),
            store,
            snapshot,
            after,
            read: VecDeque::new(),
            ended: false,
        }
    }

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
        loop {
            if let Some(event) = self.read.pop_front() {
                self.after = event.seq;
                self.ended = event.data.is_last();
                return Ok(Some(event));
            }
            if self.ended {
                return Ok(None);
            }
            // Marked as heard before the log is read: what comes after rings again.
            self.bell.borrow_and_update();
            let state = self.store.job(self.id).await?.map(|job| job.state);
            let events = self.store.events(self.id, self.after, PAGE).await?;
            if !events.is_empty() {
                self.read = events.into();
            } else if state.is_none_or(dfa_core::wire::JobState::is_terminal) {
                // Whoever asked for what comes after the end gets nothing.
                self.ended = true;
            } else if self.bell.changed().await.is_err() {
                self.ended = true;
            }
        }
    }
}
