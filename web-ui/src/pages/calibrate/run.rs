//! A calibration while it runs and when it has ended: how far it is, the grid that fills,
//! and what to do next.

use std::sync::Arc;

use dfa_core::wire::job::JobState;
use dfa_core::wire::{JobId, JobRequest};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::decided::Decided;
use super::outcome::Outcome;
use crate::api;
use crate::components::reproduce::Reproduce;
use crate::components::worker_needed::WorkerNeeded;
use crate::forms::reading::sentence;
use crate::job::summary::asked;
use crate::presence::heed;
use crate::state::Shared;
use crate::watching::{Connection, Watched, watch};

/// A calibration that is watched.
#[component]
pub fn CalibrationRun(id: JobId) -> impl IntoView {
    let watched = watch(id);
    let story = watched.story;
    let request = Memo::new(move |_| {
        story.with(|story| story.job.as_ref().map(|job| Arc::new(job.request.clone())))
    });
    announce_steps(watched);
    view! {
        <div class="row run-title">
            <h1>"Calibration"</h1>
            <StateBadge watched/>
            <a class="push" href="#calibrate">"New calibration"</a>
        </div>
        <p class="hint">
            {move || request.get().map(|request| format!("{} · {}", request.model(), asked(&request)))}
            " · job "<code>{id.to_string()}</code>
        </p>
        <ConnectionNote watched/>
        {move || match request.get().as_deref() {
            Some(JobRequest::Calibrate(_)) => view! {
                <HowFar watched id/>
                <Outcome watched/>
                <Decided watched/>
            }
            .into_any(),
            Some(_) => view! {
                <p class="note">"This job is no calibration. "
                    <a href=format!("#generate?job={id}")>"See what it made"</a>
                </p>
            }
            .into_any(),
            None => ().into_any(),
        }}
        {move || request.get().map(|request| view! {
            <details class="card provenance">
                <summary>"Provenance, and how to reproduce it"</summary>
                <Reproduce request=(*request).clone()/>
            </details>
        })}
    }
}

#[component]
fn StateBadge(watched: Watched) -> impl IntoView {
    let state = Memo::new(move |_| watched.story.with(|story| story.state));
    move || {
        let state = state.get()?;
        let class = format!("badge {}", badge_class(state));
        Some(view! { <span class=class>{state.as_str()}</span> })
    }
}

/// The colour of a state, besides its word.
pub const fn badge_class(state: JobState) -> &'static str {
    match state {
        JobState::Queued | JobState::Running => "",
        JobState::Succeeded => "good",
        JobState::Failed => "bad",
        JobState::Cancelled => "warn",
    }
}

#[component]
fn ConnectionNote(watched: Watched) -> impl IntoView {
    move || {
        match watched.connection.get() {
        Connection::Fine => ().into_any(),
        Connection::Reconnecting => view! {
            <p class="note warn" role="status">
                "The connection to the worker is lost; reconnecting… The worker keeps the job: nothing is missed, and one that was stopped goes on from its last step."
            </p>
            <WorkerNeeded purpose="Watching this calibration"/>
        }
        .into_any(),
        Connection::Lost(error) => view! {
            <div class="note bad" role="alert">
                <p>{sentence(&error.to_string())}</p>
                <p><a href="#jobs">"All jobs"</a>" · "<a href="#calibrate">"New calibration"</a></p>
            </div>
        }
        .into_any(),
    }
    }
}

/// The progress bar, its words, and the button that stops the job.
#[component]
fn HowFar(watched: Watched, id: JobId) -> impl IntoView {
    let shared = Shared::get();
    let story = watched.story;
    let words = Memo::new(move |_| story.with(|story| story.words()));
    let share = Memo::new(move |_| story.with(|story| story.done_share()));
    let has_ended = Memo::new(move |_| story.with(|story| story.has_ended()));
    let is_asked = RwSignal::new(false);
    let problem = RwSignal::new(None::<String>);
    let cancel = move |_| {
        is_asked.set(true);
        spawn_local(async move {
            match api::jobs::cancel(id).await {
                Ok(job) => drop(story.try_update(|story| story.on_snapshot(job))),
                Err(error) => {
                    heed(shared, &error);
                    let _ = is_asked.try_set(false);
                    let _ = problem.try_set(Some(sentence(&error.to_string())));
                }
            }
        });
    };
    view! {
        <Show when=move || !has_ended.get()>
            <section class="card how-far" aria-label="Progress">
                <p class="words">{move || words.get()}</p>
                <progress
                    max="1"
                    aria-label="Share of the calibration that is done"
                    // Without a value it shows that nobody knows.
                    value=move || share.get().map(|share| share.to_string())
                ></progress>
                <button on:click=cancel disabled=move || is_asked.get()>
                    {move || if is_asked.get() { "Stopping…" } else { "Cancel" }}
                </button>
                <p class="problem" role="alert">{move || problem.get()}</p>
            </section>
        </Show>
        {move || story.with(|story| story.warnings.clone()).into_iter().map(|warning| view! {
            <p class="note warn">{sentence(&warning)}</p>
        }).collect_view()}
    }
}

/// Says every tenth to whoever does not see the page, and the end.
fn announce_steps(watched: Watched) {
    let shared = Shared::get();
    let tenth = Memo::new(move |_| {
        let share = watched.story.with(|story| story.done_share());
        share.map(|share| (share * 10.0) as u32)
    });
    let state = Memo::new(move |_| watched.story.with(|story| story.state));
    Effect::new(move |before: Option<(Option<u32>, Option<JobState>)>| {
        let now = (tenth.get(), state.get());
        match (before, now) {
            (Some((_, Some(was))), (_, Some(is))) if was != is => {
                shared.announce(format!("The calibration is {is}."));
            }
            (Some((Some(was), _)), (Some(is), Some(JobState::Running))) if was != is => {
                shared.announce(format!("{} % done.", is * 10));
            }
            _ => {}
        }
        now
    });
}
