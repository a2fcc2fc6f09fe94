//! What can be done with a job: open it, stop it, ask for it again, forget it.

use std::future::Future;

use dfa_core::wire::job::{JobState, JobView};
use dfa_core::wire::{JobId, JobKind};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::listing::Listing;
use crate::api::{self, ApiError};
use crate::forms::reading::sentence;
use crate::presence::heed;
use crate::state::Shared;

/// What the buttons of a job share. A copy is the same.
#[derive(Clone, Copy)]
struct Doing {
    shared: Shared,
    listing: Listing,
    is_busy: RwSignal<bool>,
    problem: RwSignal<Option<String>>,
}

impl Doing {
    /// Does something, says what was done or what went wrong, and looks again.
    fn start<T: 'static>(
        self,
        what: impl Future<Output = Result<T, ApiError>> + 'static,
        done: impl FnOnce(Shared, T) + 'static,
    ) {
        if self.is_busy.get_untracked() {
            return;
        }
        self.is_busy.set(true);
        self.problem.set(None);
        spawn_local(async move {
            match what.await {
                Ok(answer) => done(self.shared, answer),
                Err(error) => {
                    heed(self.shared, &error);
                    let _ = self.problem.try_set(Some(sentence(&error.to_string())));
                }
            }
            let _ = self.is_busy.try_set(false);
            self.listing.refresh();
        });
    }
}

/// The links and buttons of a job.
#[component]
pub fn Actions(job: Memo<Option<JobView>>, listing: Listing) -> impl IntoView {
    let doing = Doing {
        shared: Shared::get(),
        listing,
        is_busy: RwSignal::new(false),
        problem: RwSignal::new(None),
    };
    let state = Memo::new(move |_| job.with(|job| job.as_ref().map(|job| job.state)));
    let buttons = move || {
        let job = job.get_untracked()?;
        Some(if state.get()?.is_terminal() {
            view! { <Again job=job.clone() doing/><Delete id=job.id doing/> }.into_any()
        } else {
            view! { <Cancel id=job.id job=self::stopping(job.id, listing) doing/> }.into_any()
        })
    };
    view! {
        <div class="row actions">
            <Open job/>
            {buttons}
        </div>
        <p class="problem" role="alert">{move || doing.problem.get()}</p>
    }
}

/// Whether the job was asked to stop already.
fn stopping(id: JobId, listing: Listing) -> Memo<bool> {
    Memo::new(move |_| listing.job(id).is_some_and(|job| job.cancel_requested))
}

/// Links to the page that shows the job, and to its plan.
#[component]
fn Open(job: Memo<Option<JobView>>) -> impl IntoView {
    let links = Memo::new(move |_| job.with(|job| job.as_ref().map(links)));
    move || {
        let (page, plan) = links.get()?;
        let plan = plan.map(|href| view! { <a class="button" href=href>"Open the plan"</a> });
        Some(view! { <a class="button" href=page>"Open"</a>{plan} })
    }
}

fn links(job: &JobView) -> (String, Option<String>) {
    let page = match job.kind {
        JobKind::Calibrate => format!("#calibrate?job={}", job.id),
        JobKind::Generate | JobKind::Compare => format!("#generate?job={}", job.id),
    };
    let made = job.result.as_ref().and_then(|result| result.plan);
    let plan = made.filter(|_| job.state == JobState::Succeeded);
    (page, plan.map(|plan| format!("#plan?id={plan}")))
}

#[component]
fn Cancel(id: JobId, job: Memo<bool>, doing: Doing) -> impl IntoView {
    let cancel = move |_| {
        doing.start(api::jobs::cancel(id), |shared, job| {
            let words = match job.state {
                JobState::Cancelled => "The job is cancelled.",
                _ => "The job stops at its next step.",
            };
            shared.announce(words);
        });
    };
    view! {
        <button disabled=move || doing.is_busy.get() || job.get() on:click=cancel>
            {move || if job.get() { "Stopping…" } else { "Cancel" }}
        </button>
    }
}

#[component]
fn Again(job: JobView, doing: Doing) -> impl IntoView {
    let words = match job.state {
        JobState::Succeeded => "Submit again",
        _ => "Retry",
    };
    let again = move |_| {
        let request = job.request.clone();
        let key = api::jobs::fresh_key();
        let sent = async move { api::jobs::submit(&request, &key).await };
        doing.start(sent, |shared, job| {
            shared.announce(format!("Submitted again as job {}.", job.id));
            // The newest page has it; a filter may not.
            let link = crate::link::Link::to(crate::link::Page::Jobs);
            shared.replace(&link.with("job", Some(&job.id.to_string())));
        });
    };
    view! { <button disabled=move || doing.is_busy.get() on:click=again>{words}</button> }
}

/// Asks once more, because what a job made is gone with it.
#[component]
fn Delete(id: JobId, doing: Doing) -> impl IntoView {
    let is_asked = RwSignal::new(false);
    let delete = move |_| {
        if !is_asked.get_untracked() {
            is_asked.set(true);
            return;
        }
        doing.start(api::jobs::delete(id), |shared, ()| {
            shared.announce("The job is deleted.");
            shared.set("job", None);
            focus_title();
        });
    };
    view! {
        <button
            class="quiet"
            disabled=move || doing.is_busy.get()
            on:click=delete
            on:blur=move |_| is_asked.set(false)
        >
            {move || if is_asked.get() { "Delete it and its files?" } else { "Delete" }}
        </button>
    }
}

/// The button that had the focus is gone.
fn focus_title() {
    if let Some(title) = document().get_element_by_id("jobs-title") {
        let title: web_sys::HtmlElement = wasm_bindgen::JsCast::unchecked_into(title);
        let _ = title.focus();
    }
}
