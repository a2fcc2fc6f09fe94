//! The page "Jobs": what the worker does, did and will do, newest first. Filters and the
//! open job stand in the address; the list is asked for again while it is looked at.
//!
//! - [`listing`]: the jobs as they were last seen, and when they are asked for again.
//! - [`row`]: one job; [`actions`]: what can be done with it; [`details`]: all about it.

use dfa_core::wire::job::JobState;
use dfa_core::wire::{JobId, JobKind};
use leptos::prelude::*;

use crate::components::worker_needed::WorkerNeeded;
use crate::state::Shared;

pub mod actions;
pub mod details;
pub mod listing;
pub mod row;

use listing::Listing;
use row::JobRow;

/// The page.
#[component]
pub fn JobsPage() -> impl IntoView {
    let listing = Listing::watched();
    view! {
        <h1 id="jobs-title" tabindex="-1">"Jobs"</h1>
        <WorkerNeeded purpose="The list of jobs"/>
        <Filters listing/>
        <p class="problem" role="alert">{move || listing.problem.get()}</p>
        <Jobs listing/>
        <Pages listing/>
    }
}

#[component]
fn Filters(listing: Listing) -> impl IntoView {
    let states = JobState::ALL.map(JobState::as_str);
    let kinds = JobKind::ALL.map(JobKind::as_str);
    view! {
        <div class="row filters" role="group" aria-label="Filters">
            <Filter name="state" label="State" all="all states" words=states.into()/>
            <Filter name="kind" label="Kind" all="all kinds" words=kinds.into()/>
            <span class="hint" role="status">{move || listing.counted()}</span>
        </div>
    }
}

/// A setting of the address as a choice; another choice begins at the newest job again.
#[component]
fn Filter(
    name: &'static str,
    label: &'static str,
    all: &'static str,
    words: Vec<&'static str>,
) -> impl IntoView {
    let shared = Shared::get();
    let chosen = Memo::new(move |_| shared.link.with(|link| link.get(name).map(str::to_owned)));
    let choose = move |event| {
        let value = event_target_value(&event);
        let value = Some(value.as_str()).filter(|value| !value.is_empty());
        let link = shared.link.get_untracked();
        shared.replace(&link.with(name, value).with("after", None).with("job", None));
    };
    let options = words.into_iter().map(|word| {
        let is_chosen = move || chosen.get().as_deref() == Some(word);
        view! { <option value=word prop:selected=is_chosen>{word}</option> }
    });
    view! {
        <label class="inline">
            {label}
            <select on:change=choose>
                <option value="" prop:selected=move || chosen.get().is_none()>{all}</option>
                {options.collect_view()}
            </select>
        </label>
    }
}

#[component]
fn Jobs(listing: Listing) -> impl IntoView {
    let ids = Memo::new(move |_| listing.ids());
    let is_empty = Memo::new(move |_| listing.is_known() && ids.with(Vec::is_empty));
    view! {
        <Show when=move || is_empty.get()>
            <NoJobs/>
        </Show>
        <ul class="job-list" aria-label="Jobs, newest first">
            <For each=move || ids.get() key=|id| *id let:id>
                <JobRow id listing/>
            </For>
        </ul>
    }
}

#[component]
fn NoJobs() -> impl IntoView {
    let shared = Shared::get();
    let is_filtered = move || {
        let names = ["state", "kind", "after"];
        shared
            .link
            .with(|link| names.iter().any(|name| link.get(name).is_some()))
    };
    move || {
        if is_filtered() {
            view! {
                <div class="card empty"><p>"No job is like that. "<a href="#jobs">"Show all jobs"</a></p></div>
            }
            .into_any()
        } else {
            view! {
                <div class="card empty">
                    <h2>"No jobs yet"</h2>
                    <p>"A job is a calibration or a run that the worker keeps: it goes on when this page is closed."</p>
                    <p class="row">
                        <a class="button primary" href="#calibrate">"Calibrate a plan"</a>
                        <a class="button" href="#generate">"Make pictures"</a>
                    </p>
                </div>
            }
            .into_any()
        }
    }
}

/// Pages are told apart by the job that they begin after, so new jobs move nothing.
#[component]
fn Pages(listing: Listing) -> impl IntoView {
    let shared = Shared::get();
    let after = |link: crate::link::Link, id: Option<JobId>| {
        let id = id.map(|id| id.to_string());
        link.with("after", id.as_deref())
            .with("job", None)
            .to_string()
    };
    let is_later = Memo::new(move |_| shared.link.with(|link| link.get("after").is_some()));
    let next = Memo::new(move |_| listing.next_cursor());
    move || {
        let link = shared.link.get();
        let newest = is_later.get().then(|| {
            let href = after(link.clone(), None);
            view! { <a class="button" href=href>"Newest"</a> }
        });
        let older = next.get().map(|id| {
            let href = after(link.clone(), Some(id));
            view! { <a class="button" href=href>"Older"</a> }
        });
        view! { <nav class="row" aria-label="Pages of the list">{newest}{older}</nav> }
    }
}
