//! What is exact at this δ, and "Calibrate at this δ", which asks the worker for the truth about an estimate, shows how far it
//! is, and holds the measurement against the estimate when it is there.

use dfa_core::wire::job::{JobPhase, JobProgress, JobState, JobView};
use dfa_core::wire::job_event::JobEventData;
use dfa_core::wire::{JobId, JobRequest};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::desk::Desk;
use super::threshold_bar::Exactness;
use crate::api;
use crate::api::events::{Followed, Following, follow};
use crate::plan::calibrate_again::request;
use crate::words::{percent, seconds};

/// What is known of the calibration.
#[derive(Clone, Debug, Default, PartialEq)]
enum Stage {
    /// None was asked for.
    #[default]
    Nothing,
    /// Sent, not accepted yet.
    Sent,
    /// Accepted; the sentence says how far it is.
    Runs(JobId, String, f64),
}

/// The button and, while it runs, the progress.
#[component]
pub fn CalibrateHere() -> impl IntoView {
    let desk = Desk::get();
    let stage = RwSignal::new(Stage::default());
    let following = StoredValue::new_local(None::<Following>);
    let is_estimate = move || {
        desk.shown
            .with(|it| it.as_ref().is_some_and(|it| it.is_estimate))
    };
    let can_ask = move || is_estimate() && stage.get() == Stage::Nothing;
    let has_worker = move || desk.shared.capabilities().is_some();
    view! {
        <div class="exactness row">
            <Exactness/>
            <Show when=move || can_ask() && has_worker()>
                <button
                    title="Measures on the model what is estimated here, and shows both"
                    on:click=move |_| ask(desk, stage, following)
                >
                    "Calibrate at this δ"
                </button>
            </Show>
        </div>
        {move || match stage.get() {
            Stage::Nothing => ().into_any(),
            Stage::Sent => view! { <p role="status">"Sending the calibration…"</p> }.into_any(),
            Stage::Runs(id, words, share) => view! {
                <div class="row calibrate-here">
                    <progress max="1" value=share.to_string() aria-label="Calibration"></progress>
                    <span>{words}</span>
                    <a href=format!("#calibrate?job={id}")>"Watch it"</a>
                    <button on:click=move |_| cancel(desk, id)>"Cancel"</button>
                </div>
            }.into_any(),
        }}
    }
}

type Stream = StoredValue<Option<Following>, LocalStorage>;

fn ask(desk: Desk, stage: RwSignal<Stage>, following: Stream) {
    let models = desk.shared.capabilities();
    let asked = desk.ask(|bench| {
        let models = models.as_ref().map_or(&[][..], |it| it.models.as_slice());
        Some(request(bench.opened(), bench.threshold()?, models))
    });
    match asked.flatten() {
        Some(Ok(request)) => send(desk, stage, following, request),
        Some(Err(refusal)) => desk.refuse(refusal.to_string()),
        None => {}
    }
}

fn send(desk: Desk, stage: RwSignal<Stage>, following: Stream, request: JobRequest) {
    stage.set(Stage::Sent);
    spawn_local(async move {
        match api::jobs::submit(&request, &api::jobs::fresh_key()).await {
            Ok(job) => {
                let id = job.id;
                stage.set(told(&job));
                let stream = follow(id, move |followed| hear(desk, stage, id, &followed));
                following.set_value(Some(stream));
            }
            Err(error) => {
                stage.set(Stage::Nothing);
                desk.refuse(format!("The worker does not calibrate: {error}."));
            }
        }
    });
}

fn cancel(desk: Desk, id: JobId) {
    spawn_local(async move {
        if let Err(error) = api::jobs::cancel(id).await {
            desk.refuse(format!("It was not cancelled: {error}."));
        }
    });
}

fn hear(desk: Desk, stage: RwSignal<Stage>, id: JobId, followed: &Followed) {
    match followed {
        Followed::Snapshot(job) if job.state.is_terminal() => end(desk, stage, id),
        Followed::Snapshot(job) => stage.set(told(job)),
        Followed::Event(event) => match &event.data {
            JobEventData::Progress(progress) => stage.set(runs(id, progress)),
            JobEventData::Status(status) if status.state.is_terminal() => end(desk, stage, id),
            _ => {}
        },
        Followed::Reconnecting => {}
        Followed::Lost(error) => {
            stage.set(Stage::Nothing);
            desk.refuse(format!("The calibration cannot be followed: {error}."));
        }
    }
}

fn told(job: &JobView) -> Stage {
    match (&job.progress, job.queue_position) {
        (Some(progress), _) => runs(job.id, progress),
        (None, Some(before)) => Stage::Runs(
            job.id,
            format!("Waits in the queue, {before} before it"),
            0.0,
        ),
        (None, None) => Stage::Runs(job.id, "Begins…".to_owned(), 0.0),
    }
}

fn runs(id: JobId, progress: &JobProgress) -> Stage {
    let left = progress
        .eta_secs
        .map(|secs| format!(", about {} left", seconds(secs)));
    let what = match progress.phase {
        JobPhase::Loading => "Loading the model".to_owned(),
        JobPhase::EncodingText => "Reading the prompts".to_owned(),
        JobPhase::Saving => "Saving".to_owned(),
        _ => format!("Calibrating, step {} of {}", progress.step, progress.steps),
    };
    let words = format!(
        "{what}: {}{}",
        percent(progress.done_share),
        left.unwrap_or_default()
    );
    Stage::Runs(id, words, progress.done_share)
}

/// Holds the measured plan against the estimate, or says why there is none.
fn end(desk: Desk, stage: RwSignal<Stage>, id: JobId) {
    stage.set(Stage::Nothing);
    spawn_local(async move {
        let job = match api::jobs::job(id).await {
            Ok(job) => job,
            Err(error) => return desk.refuse(error.to_string()),
        };
        match (job.state, job.result.and_then(|result| result.plan)) {
            (JobState::Succeeded, Some(plan)) => {
                let link = desk.shared.link.get_untracked();
                desk.shared
                    .go(&link.with("compare", Some(&plan.to_string())));
                desk.say("The calibration is done: below, the estimate against the measurement.");
            }
            (JobState::Cancelled, _) => desk.say("The calibration was cancelled."),
            (_, _) => {
                let why = job.error.map(|error| error.message);
                desk.refuse(why.unwrap_or_else(|| "The calibration failed.".to_owned()));
            }
        }
    });
}
