//! A job in a few words, its times, and what to do when it failed.

use dfa_core::wire::job::{JobErrorCode, JobView};
use dfa_core::wire::{ContentHash, JobRequest, Timestamp};

use crate::forms::texts::beginning;
use crate::words::{counted, number, seconds};

/// What a job was asked for: `δ = 0.1 · 20 steps · 2 inputs`.
pub fn asked(request: &JobRequest) -> String {
    let mut parts = Vec::new();
    match request {
        JobRequest::Calibrate(job) => {
            parts.push(match job.target {
                Some(target) => target.to_string(),
                None => format!("δ = {}", number(job.threshold_or_default().value())),
            });
            parts.extend(job.steps.map(|n| counted(n as usize, "step")));
            parts.extend(pictures(job.n_images, n_given(request), "input"));
            parts.push(job.search.as_str().to_owned());
        }
        JobRequest::Generate(job) => {
            parts.extend(pictures(job.n_images, n_given(request), "image"));
            parts.extend(job.steps.map(|n| counted(n as usize, "step")));
            parts.push(job.plan.map_or("raw".into(), plan));
        }
        JobRequest::Compare(job) => {
            parts.extend(pictures(job.n_images, n_given(request), "image"));
            parts.extend(job.steps.map(|n| counted(n as usize, "step")));
            parts.push(plan(job.plan));
        }
    }
    let first = request.prompts().first();
    parts.extend(first.map(|prompt| format!("“{}”", beginning(prompt))));
    parts.join(" · ")
}

/// Labels or prompts of a request.
fn n_given(request: &JobRequest) -> usize {
    let n_labels = match request {
        JobRequest::Calibrate(job) => job.labels.len(),
        JobRequest::Generate(job) => job.labels.len(),
        JobRequest::Compare(job) => job.labels.len(),
    };
    n_labels.max(request.prompts().len())
}

fn plan(id: ContentHash) -> String {
    format!("plan {}", id.short())
}

/// How many pictures, if the request says it.
fn pictures(n_images: Option<u32>, n_given: usize, noun: &str) -> Option<String> {
    let n_images = n_images.map_or(n_given, |n| n as usize);
    (n_images > 0).then(|| counted(n_images, noun))
}

/// How long a job waited and ran: `waited 2.50 s, ran 10.0 s`; `now` is the clock's.
pub fn times(job: &JobView, now: Timestamp) -> String {
    let waited_until = job.started_at.or(job.finished_at).unwrap_or(now);
    let waited = seconds(waited_until.secs_since(job.created_at));
    let Some(started_at) = job.started_at else {
        let verb = if job.state.is_terminal() {
            "waited"
        } else {
            "waiting for"
        };
        return format!("{verb} {waited}");
    };
    let ran_until = job.finished_at.unwrap_or(now);
    let verb = if job.state.is_terminal() {
        "ran"
    } else {
        "running for"
    };
    let ran = seconds(ran_until.secs_since(started_at));
    let mut words = format!("waited {waited}, {verb} {ran}");
    if job.attempts > 1 {
        words += &format!(", began {} times", job.attempts);
    }
    words
}

/// What a person can do about a job that has no result.
pub const fn what_to_do(code: JobErrorCode) -> &'static str {
    match code {
        JobErrorCode::Cancelled => "Submit it again if it was stopped by mistake.",
        JobErrorCode::Invalid => {
            "The request fitted when it was accepted and no longer does: change it, or look whether the model or the plan was replaced."
        }
        JobErrorCode::ModelUnusable => {
            "Look at the model's folder on the worker's machine; `dfa doctor` checks it."
        }
        JobErrorCode::RunFailed => {
            "Try fewer images or a smaller size if memory ran out; other numbers (guidance, size) if they went out of range."
        }
        JobErrorCode::PlanGone => "Import the plan again, or calibrate a new one.",
        JobErrorCode::StorageFailed => {
            "Make room on the worker's disk, or delete jobs that are no longer needed, then submit it again."
        }
        JobErrorCode::WorkerDied => {
            "The worker ended while it ran this job. Its log says why; often memory ran out: try fewer images or a smaller size."
        }
        JobErrorCode::Internal => {
            "This is a bug of the worker: its log says more. Submitting it again may help."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::examples::{calibrate_job, calibration};
    use dfa_core::wire::job::JobState;
    use dfa_core::wire::job_request::Label;

    #[test]
    fn a_request_is_said_in_a_line() {
        let mut job = calibrate_job();
        let asked_of = |job: &_| asked(&JobRequest::Calibrate(Clone::clone(job)));
        assert_eq!(asked_of(&job), "δ = 0.1 · 20 steps · record-all");
        job.labels = vec![Label::Index(1), Label::Index(2)];
        assert_eq!(asked_of(&job), "δ = 0.1 · 20 steps · 2 inputs · record-all");
        let text = r#"{"kind":"generate","model":"m","n_images":1,"seed":7}"#;
        let request: JobRequest = serde_json::from_str(text).unwrap();
        assert_eq!(asked(&request), "1 image · raw");
        let text = r#"{"kind":"generate","model":"m","prompts":["a fox","a tram"]}"#;
        let request: JobRequest = serde_json::from_str(text).unwrap();
        assert_eq!(asked(&request), "2 images · raw · “a fox”");
    }

    #[test]
    fn times_are_said_by_state() {
        let now = Timestamp::from_unix_ms(5_000);
        let check = |state, expected: &str| assert_eq!(times(&calibration(state), now), expected);
        check(JobState::Queued, "waiting for 4.00 s");
        check(JobState::Running, "waited 2.50 s, running for 1.50 s");
        check(JobState::Succeeded, "waited 2.50 s, ran 10.0 s");
    }
}
