//! One job of the list. What changes every second is kept apart from what has the focus.

use dfa_core::wire::job::{JobState, JobView};
use dfa_core::wire::{JobId, JobKind, Timestamp};
use leptos::prelude::*;

use super::actions::Actions;
use super::details::Details;
use super::listing::Listing;
use crate::forms::reading::sentence;
use crate::job::story::JobStory;
use crate::job::summary::{asked, times};
use crate::pages::calibrate::run::badge_class;

/// A job; it is looked up in the list, so that it can change while it is shown.
#[component]
pub fn JobRow(id: JobId, listing: Listing) -> impl IntoView {
    let job = Memo::new(move |known: Option<&Option<JobView>>| {
        // A job that has just left the list stays as it was until its row is gone.
        let now = listing.job(id);
        now.or_else(|| known.cloned().flatten())
    });
    let of = move |read: fn(&JobView) -> String| {
        Memo::new(move |_| job.with(|job| job.as_ref().map(read).unwrap_or_default()))
    };
    let title = of(|job| format!("{} · {}", kind_words(job.kind), asked(&job.request)));
    let model = of(|job| job.request.model().to_owned());
    let standing = of(standing);
    let state = Memo::new(move |_| job.with(|job| job.as_ref().map(|job| job.state)));
    let share = Memo::new(move |_| job.with(|job| running_share(job.as_ref()?)));
    let when = Memo::new(move |_| {
        let seen_at = listing.seen_at.get();
        job.with(|job| job.as_ref().map(|job| times(job, seen_at)))
    });
    let created = job.with_untracked(|job| job.as_ref().map(|job| local_time(job.created_at)));
    view! {
        <li class="card job" data-job=id.to_string()>
            <div class="row">
                {move || state.get().map(|state| view! {
                    <span class=format!("badge {}", badge_class(state))>{state.as_str()}</span>
                })}
                <h2>{move || title.get()}</h2>
                <span class="hint push">{move || model.get()}</span>
            </div>
            <Show when=move || state.get() == Some(JobState::Running)>
                <progress
                    max="1"
                    aria-label="Share of the job that is done"
                    value=move || share.get().map(|share| share.to_string())
                ></progress>
            </Show>
            <p class="standing">{move || standing.get()}</p>
            <p class="hint">{created}" · "{move || when.get()}</p>
            <Actions job listing/>
            <Details id job/>
        </li>
    }
}

const fn kind_words(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Calibrate => "Calibrate",
        JobKind::Generate => "Generate",
        JobKind::Compare => "Compare",
    }
}

fn running_share(job: &JobView) -> Option<f64> {
    let progress = job.progress.filter(|_| job.state == JobState::Running);
    progress.map(|progress| progress.done_share)
}

/// Where the job is; of one that ended, only what its badge does not say.
fn standing(job: &JobView) -> String {
    if let Some(error) = job.error.as_ref().filter(|_| job.state.is_terminal()) {
        return sentence(&error.message);
    }
    match (job.state, &job.result) {
        (JobState::Succeeded, Some(result)) if job.kind != JobKind::Calibrate => {
            crate::words::counted(result.artifacts.len(), "file")
        }
        (state, _) if state.is_terminal() => String::new(),
        _ => JobStory::of(job.clone()).words(),
    }
}

/// A point in time as this browser writes it.
pub fn local_time(time: Timestamp) -> String {
    let date = js_sys::Date::new(&(time.unix_ms() as f64).into());
    date.to_locale_string("default", &wasm_bindgen::JsValue::UNDEFINED)
        .into()
}
