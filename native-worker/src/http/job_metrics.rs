//! Counts what happens in jobs, from their events like any other watcher: nothing in
//! `jobs/` knows of metrics.

use dfa_core::wire::job::{JobProgress, JobView};
use dfa_core::wire::job_event::JobEventData;
use dfa_core::wire::{JobEvent, JobId, JobState, Timestamp};

use super::Service;
use crate::jobs::{JobFilter, MAX_PAGE};

/// Watches a job that was accepted, until it ends or the worker closes.
pub(super) fn watch(service: &Service, id: JobId) {
    let service = service.clone();
    tokio::spawn(async move {
        let closing = service.closing().clone();
        tokio::select! {
            () = closing.cancelled() => {}
            () = count_events(&service, id) => {}
        }
    });
}

/// Watches the jobs that were there before this start.
pub(super) async fn watch_earlier(service: &Service) {
    for state in [JobState::Queued, JobState::Running] {
        let filter = JobFilter {
            state: Some(state),
            limit: MAX_PAGE,
            ..JobFilter::default()
        };
        match service.jobs().list(&filter).await {
            Ok(page) => page.jobs.iter().for_each(|job| watch(service, job.id)),
            Err(error) => tracing::warn!(%error, "earlier jobs are not counted in the metrics"),
        }
    }
}

async fn count_events(service: &Service, id: JobId) {
    let Ok(mut events) = service.jobs().watch(id, 0).await else {
        return;
    };
    let mut counted = Counted {
        job: events.snapshot().clone(),
        last: None,
    };
    while let Ok(Some(event)) = events.next().await {
        if event.time >= service.started_at() {
            counted.event(service, &event);
        }
    }
}

/// A job, and its progress when it was last seen.
struct Counted {
    job: JobView,
    last: Option<(Timestamp, JobProgress)>,
}

impl Counted {
    fn event(&mut self, service: &Service, event: &JobEvent) {
        let metrics = service.metrics();
        match &event.data {
            JobEventData::Status(status)
                if status.state == JobState::Running && status.attempt == 1 =>
            {
                metrics.count_queue_time(event.time.secs_since(self.job.created_at));
            }
            JobEventData::Status(status) if status.state.is_terminal() => {
                metrics.count_ended(self.job.kind.as_str(), status.state.as_str());
            }
            JobEventData::Progress(progress) => self.progress(service, event.time, *progress),
            JobEventData::Decision(decision) => metrics.count_strategy(decision.choice.as_str()),
            _ => {}
        }
    }

    /// Events come a few times a second, so several steps may lie between two.
    fn progress(&mut self, service: &Service, time: Timestamp, now: JobProgress) {
        if let Some((since, last)) = self.last
            && (last.phase, last.batch) == (now.phase, now.batch)
        {
            let n_steps = now.step.saturating_sub(last.step);
            if n_steps == 0 {
                return;
            }
            let secs_each = time.secs_since(since) / f64::from(n_steps);
            let phase = now.phase.as_str();
            service.metrics().count_steps(phase, n_steps, secs_each);
        }
        self.last = Some((time, now));
    }
}
