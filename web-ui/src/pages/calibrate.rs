//! The page "Calibrate": a form for a new plan, or, with `job` in the address, a
//! calibration that is watched. A page that is loaded again goes on where it was.
//!
//! - [`form`]: the form and what sends it; [`inputs`], [`candidates`] and [`settings`] are
//!   its parts.
//! - [`run`]: the calibration while it runs and when it has ended; [`decided`] and
//!   [`outcome`] are its parts.

use dfa_core::wire::JobId;
use leptos::prelude::*;

use crate::components::worker_needed::WorkerNeeded;
use crate::state::Shared;

pub mod candidates;
pub mod controls;
pub mod decided;
pub mod form;
pub mod form_state;
pub mod inputs;
pub mod outcome;
pub mod run;
pub mod settings;

use form::CalibrateForm;
use run::CalibrationRun;

/// The page.
#[component]
pub fn CalibratePage() -> impl IntoView {
    let shared = Shared::get();
    let job = Memo::new(move |_| shared.link.with(|link| link.get("job").map(str::to_owned)));
    move || match job.get().map(|text| text.parse::<JobId>()) {
        None => view! { <NewCalibration/> }.into_any(),
        Some(Ok(id)) => view! { <CalibrationRun id/> }.into_any(),
        Some(Err(error)) => view! {
            <h1>"Calibrate"</h1>
            <div class="note bad">
                <p>"The address names no job: "{error.to_string()}"."</p>
                <p><a href="#calibrate">"New calibration"</a>" · "<a href="#jobs">"All jobs"</a></p>
            </div>
        }
        .into_any(),
    }
}

#[component]
fn NewCalibration() -> impl IntoView {
    let shared = Shared::get();
    // A worker that is away for a moment must not take away what is being typed.
    let worker = Memo::new(move |known: Option<&Option<_>>| {
        let now = shared.capabilities();
        now.or_else(|| known.cloned().flatten())
    });
    view! {
        <h1>"Calibrate"</h1>
        <p class="lead">
            "Algorithm 1 runs the model on a few inputs, tries cheaper strategies block by block, "
            "and keeps each one whose loss stays under its budget. The outcome is a compression plan."
        </p>
        <WorkerNeeded purpose="A calibration"/>
        {move || worker.get().map(|worker| view! { <CalibrateForm worker/> })}
    }
}
