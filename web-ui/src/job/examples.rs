//! Jobs and events to test with.

use dfa_core::Strategy;
use dfa_core::metric::LossKind;
use dfa_core::search::{SearchMode, Threshold};
use dfa_core::window::WindowChoice;
use dfa_core::wire::job::{JobLinks, JobPhase, JobProgress, JobState, JobView};
use dfa_core::wire::job_event::{DecisionEvent, DecisionLoss, JobEvent, JobEventData};
use dfa_core::wire::job_request::CalibrateJob;
use dfa_core::wire::{JobId, JobKind, JobRequest, Timestamp};

pub(crate) fn calibrate_job() -> CalibrateJob {
    CalibrateJob {
        model: "avatars-dit".into(),
        labels: Vec::new(),
        prompts: Vec::new(),
        negative_prompt: None,
        n_images: None,
        size: None,
        num_frames: None,
        fps: None,
        steps: Some(20),
        sampler: None,
        guidance_scale: None,
        seed: 0,
        residual_half: None,
        threshold: Threshold::new(0.1).ok(),
        target: None,
        window: WindowChoice::default(),
        loss: LossKind::default(),
        candidates: None,
        search: SearchMode::RecordAll,
        reject_early: false,
    }
}

pub(crate) fn calibration(state: JobState) -> JobView {
    let id: JobId = "019abc12-3456-7890-abcd-ef0123456789".parse().unwrap();
    let has_begun = state != JobState::Queued;
    JobView {
        id,
        kind: JobKind::Calibrate,
        state,
        request: JobRequest::Calibrate(calibrate_job()),
        queue_position: (!has_begun).then_some(0),
        progress: None,
        created_at: Timestamp::from_unix_ms(1_000),
        started_at: has_begun.then(|| Timestamp::from_unix_ms(3_500)),
        finished_at: state.is_terminal().then(|| Timestamp::from_unix_ms(13_500)),
        attempts: u32::from(has_begun),
        cancel_requested: false,
        error: None,
        result: None,
        links: JobLinks::of(id),
    }
}

pub(crate) fn event(seq: u64, data: JobEventData) -> JobEvent {
    JobEvent {
        seq,
        time: Timestamp::from_unix_ms(seq),
        data,
    }
}

pub(crate) fn progress(step: u32, steps: u32, done_share: f64) -> JobProgress {
    JobProgress {
        phase: JobPhase::Calibrating,
        step,
        steps,
        block: Some(3),
        blocks: Some(6),
        batch: 0,
        batches: 1,
        done_share,
        eta_secs: Some(12.0),
    }
}

pub(crate) fn decision(
    step: u32,
    block: u32,
    losses: &[(Strategy, f32)],
    choice: Strategy,
) -> DecisionEvent {
    let measured = losses.iter().map(|&(candidate, loss)| DecisionLoss {
        candidate,
        loss,
        at_least: false,
    });
    DecisionEvent {
        step,
        block,
        measured: measured.collect(),
        budget: 0.2,
        choice,
    }
}
