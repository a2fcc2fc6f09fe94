//! The page "Generate": pictures made raw and with a plan from the same seed, watched
//! while they are made, and held against each other.
//!
//! - [`form`]: what is asked for.
//! - [`run`]: the job at work: progress, previews, cancel.
//! - [`gallery`]: what came of it: pictures in pairs, numbers, provenance.
//! - [`moving`]: videos as they move.
//! - [`local`]: two files of this computer, with or without a worker.
//! - [`bench`]: a measurement, for those who ask for it by name.
//!
//! The address names the job, so that a page that is loaded again goes on where it was.

use leptos::prelude::*;
use leptos::task::spawn_local;

pub mod bench;
pub mod form;
pub mod gallery;
pub mod local;
pub mod moving;
pub mod run;

use dfa_core::wire::JobId;
use dfa_core::wire::report::Report;

use crate::api;
use crate::api::events::{Following, follow};
use crate::generation::outcome::{MadeImage, images_beside, made_images};
use crate::pixels::PicturePair;
use crate::state::{Shared, Worker};
use bench::Bench;
use form::FormCard;
use gallery::Gallery;
use local::LocalPair;
use run::{RunCard, RunState};

/// Where the sample's report and pictures lie.
const SAMPLE: &str = "sample";

/// The page.
#[component]
pub fn GeneratePage() -> impl IntoView {
    let shared = Shared::get();
    let run = RunState::idle();
    follow_address(shared, run);
    let opened = RwSignal::new(None::<PicturePair>);
    let sample = RwSignal::new(None::<Report>);
    Effect::new(move |_| {
        let wanted = !matches!(shared.worker.get(), Worker::Asked | Worker::Locked);
        if wanted && sample.get_untracked().is_none() {
            spawn_local(async move {
                if let Ok(report) = api::get(&format!("{SAMPLE}/report.json")).await {
                    sample.set(Some(report));
                }
            });
        }
    });
    let bench_runs = move || {
        let link = shared.link.get();
        link.get("bench")
            .and_then(|runs| runs.parse::<usize>().ok())
    };
    view! {
        <h1>"Generate and compare"</h1>
        <div class="generate-page">
            <div class="stack generate-side">
                <FormCard run/>
                <LocalPair opened/>
                {move || bench_runs().map(|n_runs| view! { <Bench n_runs/> })}
            </div>
            <div class="stack generate-main">
                <RunCard run/>
                {move || {
                    let (images, report) = shown(run, sample);
                    let is_empty = images.is_empty() && opened.with(Option::is_none);
                    if is_empty {
                        return view! { <Nothing run/> }.into_any();
                    }
                    let job = run.result.with(Option::is_some).then(|| run.job.get()).flatten();
                    let request = job.map(|job| job.request);
                    view! { <Gallery images report request opened/> }.into_any()
                }}
            </div>
        </div>
    }
}

/// The pictures of the job, or of the sample while none was asked for.
fn shown(run: RunState, sample: RwSignal<Option<Report>>) -> (Vec<MadeImage>, Option<Report>) {
    if let Some(result) = run.result.get() {
        return (made_images(&result, api::artifact_url), result.report);
    }
    if run.job_id.get().is_some() {
        return (Vec::new(), None);
    }
    match sample.get() {
        Some(report) => (images_beside(&report, SAMPLE), Some(report)),
        None => (Vec::new(), None),
    }
}

/// What stands where pictures would.
#[component]
fn Nothing(run: RunState) -> impl IntoView {
    let shared = Shared::get();
    let words = move || match (run.job_id.get().is_some(), shared.worker.get()) {
        (true, _) => "",
        (false, Worker::Asked) => "Asking the worker what it can do…",
        (false, Worker::Ready(_)) => {
            "No pictures yet. Choose a plan and a seed and press the button, \
             or open two pictures of your own."
        }
        (false, _) => "No pictures yet. Open two pictures of your own to compare them.",
    };
    view! {
        <Show when=move || !words().is_empty()>
            <p class="note">{words}</p>
        </Show>
    }
}

/// Follows the job that the address names, whenever it names another one.
fn follow_address(shared: Shared, run: RunState) {
    let following = StoredValue::new_local(None::<Following>);
    let job_id = Memo::new(move |_| {
        let link = shared.link.get();
        link.get("job").and_then(|id| id.parse::<JobId>().ok())
    });
    Effect::new(move |_| {
        let job_id = job_id.get();
        run.begin(job_id);
        let is_new = |id| follow(id, move |told| run.on_told(id, told, shared));
        following.set_value(job_id.map(is_new));
    });
}
