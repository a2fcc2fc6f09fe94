//! How a calibration ended: the plan and its totals, or why there is none and what to do.

use dfa_core::Strategy;
use dfa_core::wire::job::{JobState, JobView};
use dfa_core::wire::{CheckedPlan, ContentHash, JobRequest};
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api;
use crate::forms::calibrate::CalibrateForm;
use crate::forms::reading::sentence;
use crate::job::summary::{times, what_to_do};
use crate::link::{Link, Page};
use crate::plan::opened::{OpenPlan, Origin};
use crate::plan::totals::{Question, totals};
use crate::presence::heed;
use crate::state::Shared;
use crate::watching::Watched;
use crate::words::percent;

#[component]
pub fn Outcome(watched: Watched) -> impl IntoView {
    let ended = Memo::new(move |_| {
        let job = watched.story.with(|story| story.job.clone());
        job.filter(|job| job.state.is_terminal())
    });
    move || {
        let job = ended.get()?;
        Some(
            match (job.state, job.result.as_ref().and_then(|it| it.plan)) {
                (JobState::Succeeded, Some(plan)) => view! { <Plan job plan/> }.into_any(),
                _ => view! { <NoPlan job/> }.into_any(),
            },
        )
    }
}

#[component]
fn Plan(job: JobView, plan: ContentHash) -> impl IntoView {
    let shared = Shared::get();
    let lines = RwSignal::new(vec!["Counting…".to_owned()]);
    spawn_local(async move {
        let told = match api::plans::text(plan).await {
            Ok(text) => totals_of(&text, plan),
            Err(error) => {
                heed(shared, &error);
                vec![sentence(&error.to_string())]
            }
        };
        let _ = lines.try_set(told);
    });
    let now = job.finished_at.unwrap_or_default();
    let link = Link::to(Page::Plan).with("id", Some(&plan.to_string()));
    view! {
        <section class="card outcome" aria-labelledby="outcome-title">
            <h2 id="outcome-title">"The plan is ready"</h2>
            <ul>{move || lines.get().into_iter().map(|line| view! { <li>{line}</li> }).collect_view()}</ul>
            <p class="hint">{times(&job, now)}" · plan "<code>{plan.short()}</code></p>
            <div class="row">
                <a class="button primary" href=link.to_string()>"Open the plan"</a>
                <a class="button" href=format!("#generate?plan={plan}")>"Compare pictures with it"</a>
                <a class="button" href=api::plans::url(plan, api::plans::PlanForm::File) download="plan.json">"Download"</a>
                <SameSettings request=job.request/>
            </div>
        </section>
    }
}

/// What the plan is made of and what it keeps, a sentence each.
fn totals_of(text: &str, plan: ContentHash) -> Vec<String> {
    let checked = match CheckedPlan::parse(text) {
        Ok(checked) => checked,
        Err(error) => return vec![sentence(&error.to_string())],
    };
    let opened = OpenPlan::new(plan.short(), Origin::Library(plan), checked);
    let totals = totals(&opened, opened.plan(), Question::default());
    let mut lines = Vec::new();
    let used = totals.counts.iter().filter(|count| count.n_cells > 0);
    let shares: Vec<String> = used
        .map(|count| format!("{} {}", count.strategy.paper_name(), percent(count.share)))
        .collect();
    lines.push(format!("Cells: {}.", shares.join(", ")));
    if let Some(kept) = totals.kept {
        let mut words = format!(
            "Attention multiply-adds: {} of the raw run's",
            percent(kept.attention_share)
        );
        if let Some(share) = kept.layer_share {
            words += &format!("; with the projections {}", percent(share));
        }
        lines.push(words + ".");
    }
    if opened.plan().count(Strategy::Full) == opened.plan().shape().n_cells() {
        lines.push("Nothing is compressed: a larger δ would change that.".into());
    }
    lines
}

/// Failed or cancelled: why, and what to do.
#[component]
fn NoPlan(job: JobView) -> impl IntoView {
    let is_cancelled = job.state == JobState::Cancelled;
    let title = if is_cancelled {
        "The calibration was cancelled"
    } else {
        "The calibration failed"
    };
    let class = if is_cancelled {
        "note warn"
    } else {
        "note bad"
    };
    let why = job.error.map(|error| {
        view! {
            <p>{sentence(&error.message)}" "<code>{error.code.as_str()}</code></p>
            <p>{what_to_do(error.code)}</p>
        }
    });
    view! {
        <section class=class aria-labelledby="outcome-title">
            <h2 id="outcome-title">{title}</h2>
            {why}
            <div class="row">
                <SameSettings request=job.request/>
                <a class="button" href="#jobs">"All jobs"</a>
            </div>
        </section>
    }
}

/// The form, filled in as it was for this job.
#[component]
fn SameSettings(request: JobRequest) -> impl IntoView {
    let shared = Shared::get();
    let href = move || {
        let JobRequest::Calibrate(job) = &request else {
            return "#calibrate".to_owned();
        };
        let link = Link::to(Page::Calibrate);
        match shared.capabilities() {
            Some(worker) => CalibrateForm::from_job(job, &worker).to_link(link, &worker),
            None => link,
        }
        .to_string()
    };
    view! { <a class="button" href=href>"Change the settings"</a> }
}
