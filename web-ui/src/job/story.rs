//! Everything that is known of a job that is followed: its snapshot, and what happened
//! since. The log may be told from its beginning, even of a job that has long ended.

use dfa_core::GridShape;
use dfa_core::wire::job::{JobError, JobPhase, JobProgress, JobState, JobView};
use dfa_core::wire::job_event::{JobEvent, JobEventData};
use dfa_core::wire::{JobKind, JobRequest};

use super::decisions::Decisions;
use crate::words::{percent, seconds};

/// A job and its log so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobStory {
    /// The job as the worker last described it as a whole.
    pub job: Option<JobView>,
    /// Its state, newer than the job's.
    pub state: Option<JobState>,
    /// How often it began.
    pub attempt: u32,
    /// How far it is.
    pub progress: Option<JobProgress>,
    /// Why it has no result, or why it had to begin again.
    pub error: Option<JobError>,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// The cells of a calibration.
    pub decisions: Decisions,
}

impl JobStory {
    /// What one look at a job tells.
    pub fn of(job: JobView) -> Self {
        let mut story = Self::default();
        story.on_snapshot(job);
        story
    }

    /// Takes over what the worker says about the whole job.
    pub fn on_snapshot(&mut self, job: JobView) {
        if self.has_ended() && !job.state.is_terminal() {
            // Asked for before the end, answered after it.
            return;
        }
        self.state = Some(job.state);
        self.attempt = job.attempts;
        self.progress = job.progress.or(self.progress);
        self.error.clone_from(&job.error);
        self.job = Some(job);
    }

    /// Takes over what happened.
    pub fn on_event(&mut self, event: JobEvent) {
        match event.data {
            JobEventData::Status(status) => {
                // The log of a job that has ended still begins with its beginning.
                let has_ended = self.state.is_some_and(JobState::is_terminal);
                if !has_ended || status.state.is_terminal() {
                    self.state = Some(status.state);
                    self.attempt = status.attempt;
                    self.error = status.error;
                }
            }
            JobEventData::Progress(progress) => self.progress = Some(progress),
            JobEventData::Decision(decision) => self.decisions.push(decision),
            JobEventData::Warning(warning) => self.warn(warning.message),
            JobEventData::Preview(_) => {}
        }
    }

    /// A job that began again says the same again.
    fn warn(&mut self, message: String) {
        if !self.warnings.contains(&message) {
            self.warnings.push(message);
        }
    }

    /// Whether nothing more will happen.
    pub fn has_ended(&self) -> bool {
        self.state.is_some_and(JobState::is_terminal)
    }

    /// Steps × blocks of a calibration, once they are known; `blocks` are the model's.
    pub fn shape(&self, blocks: Option<u32>) -> Option<GridShape> {
        let JobRequest::Calibrate(request) = &self.job.as_ref()?.request else {
            return None;
        };
        let progress = self.progress.as_ref();
        let n_steps = progress.map(|it| it.steps).filter(|&n| n > 0);
        let n_blocks = progress.and_then(|it| it.blocks).filter(|&n| n > 0);
        let shape = GridShape {
            n_steps: n_steps.or(request.steps)? as usize,
            n_blocks: n_blocks.or(blocks)? as usize,
        };
        (shape.n_cells() > 0).then_some(shape)
    }

    /// The share that is done, for a progress bar.
    pub fn done_share(&self) -> Option<f64> {
        match self.state? {
            JobState::Succeeded => Some(1.0),
            JobState::Queued => None,
            _ => self.progress.map(|progress| progress.done_share),
        }
    }

    /// Where the job is, in a sentence.
    pub fn words(&self) -> String {
        let Some(state) = self.state else {
            return "Asking the worker about the job…".into();
        };
        let is_cancelling = self.job.as_ref().is_some_and(|job| job.cancel_requested);
        match state {
            JobState::Queued => self.queued_words(),
            JobState::Running if is_cancelling => "Stopping at the next step…".into(),
            JobState::Running => match &self.progress {
                Some(progress) => running_words(progress, self.kind()),
                None => "Begins…".into(),
            },
            JobState::Succeeded => "Done.".into(),
            JobState::Failed => "Failed.".into(),
            JobState::Cancelled => "Cancelled.".into(),
        }
    }

    fn kind(&self) -> Option<JobKind> {
        self.job.as_ref().map(|job| job.kind)
    }

    fn queued_words(&self) -> String {
        match self.job.as_ref().and_then(|job| job.queue_position) {
            Some(0) | None => "Waits for its turn: it is the next one.".into(),
            Some(1) => "Waits for its turn: 1 job is before it.".into(),
            Some(n) => format!("Waits for its turn: {n} jobs are before it."),
        }
    }
}

/// `Step 3 of 20, block 2 of 6 · 15.0 % · about 12.4 s left`
pub fn running_words(progress: &JobProgress, kind: Option<JobKind>) -> String {
    let mut words = match progress.phase {
        JobPhase::Loading => return "Loads the model…".into(),
        JobPhase::EncodingText => return "Reads the prompts…".into(),
        JobPhase::Decoding => return "Decodes the pictures…".into(),
        JobPhase::Saving => return "Saves the results…".into(),
        JobPhase::Calibrating => String::new(),
        JobPhase::GeneratingRaw if kind == Some(JobKind::Compare) => "Raw: ".into(),
        JobPhase::GeneratingRaw => String::new(),
        JobPhase::GeneratingCompressed => "Compressed: ".into(),
    };
    // Counted like the cells of a plan, from 0, would read as if nothing had begun.
    let step = (progress.step + 1).min(progress.steps.max(1));
    words += &format!("step {step} of {}", progress.steps);
    if let (Some(block), Some(blocks)) = (progress.block, progress.blocks) {
        words += &format!(", {block} of {blocks} blocks decided");
    }
    if progress.batches > 1 && progress.phase != JobPhase::Calibrating {
        let batch = (progress.batch + 1).min(progress.batches);
        words += &format!(", batch {batch} of {}", progress.batches);
    }
    words += &format!(" · {}", percent(progress.done_share));
    if let Some(secs) = progress.eta_secs {
        words += &format!(" · about {} left", seconds(secs));
    }
    let mut letters = words.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::examples::{calibration, decision, event, progress};
    use dfa_core::Strategy;
    use dfa_core::wire::job_event::{StatusEvent, WarningEvent};

    fn status(state: JobState, attempt: u32) -> JobEventData {
        JobEventData::Status(StatusEvent {
            state,
            attempt,
            error: None,
        })
    }

    #[test]
    fn a_job_is_told_from_its_snapshot_and_its_events() {
        let mut story = JobStory::default();
        assert_eq!(story.words(), "Asking the worker about the job…");
        story.on_snapshot(calibration(JobState::Queued));
        assert_eq!(story.words(), "Waits for its turn: it is the next one.");
        assert_eq!(story.done_share(), None);
        story.on_event(event(1, status(JobState::Running, 1)));
        assert_eq!(story.words(), "Begins…");
        story.on_event(event(2, JobEventData::Progress(progress(1, 4, 0.25))));
        assert_eq!(
            story.words(),
            "Step 2 of 4, 3 of 6 blocks decided · 25.0 % · about 12.0 s left"
        );
        let cell = decision(0, 0, &[], Strategy::Full);
        story.on_event(event(3, JobEventData::Decision(cell)));
        assert_eq!(story.decisions.len(), 1);
        story.on_event(event(4, status(JobState::Succeeded, 1)));
        assert_eq!(story.words(), "Done.");
        assert_eq!(story.done_share(), Some(1.0));
    }

    #[test]
    fn the_log_of_an_ended_job_does_not_bring_it_back() {
        let mut story = JobStory::default();
        story.on_snapshot(calibration(JobState::Succeeded));
        story.on_event(event(1, status(JobState::Running, 1)));
        assert!(story.has_ended());
        story.on_event(event(2, status(JobState::Succeeded, 1)));
        story.on_snapshot(calibration(JobState::Running));
        assert!(story.has_ended());
    }

    #[test]
    fn a_job_whose_worker_died_waits_again() {
        let mut story = JobStory::default();
        story.on_snapshot(calibration(JobState::Running));
        assert_eq!(story, JobStory::of(calibration(JobState::Running)));
        story.on_event(event(1, status(JobState::Queued, 1)));
        assert!(!story.has_ended());
        let warning = || {
            JobEventData::Warning(WarningEvent {
                code: "x".into(),
                message: "the same".into(),
            })
        };
        story.on_event(event(2, warning()));
        story.on_event(event(3, warning()));
        assert_eq!(story.warnings, ["the same"]);
    }

    #[test]
    fn the_shape_comes_from_the_request_until_the_run_says_it() {
        let mut story = JobStory::default();
        assert_eq!(story.shape(Some(6)), None);
        story.on_snapshot(calibration(JobState::Queued));
        let shape = |n_steps, n_blocks| Some(GridShape { n_steps, n_blocks });
        assert_eq!(story.shape(None), None);
        assert_eq!(story.shape(Some(7)), shape(20, 7));
        story.on_event(event(1, JobEventData::Progress(progress(0, 4, 0.0))));
        assert_eq!(story.shape(Some(7)), shape(4, 6));
    }
}
