//! The form: model and inputs, what is searched for, how the run is made; and the button
//! that sends it, with what it will cost.

use std::sync::Arc;

use dfa_core::wire::service::Capabilities;
use leptos::ev::SubmitEvent;
use leptos::prelude::*;

use super::candidates::Candidates;
use super::form_state::FormState;
use super::inputs::Inputs;
use super::settings::{RunSettings, SearchSettings};
use crate::forms::calibrate::Field;
use crate::state::{Shared, Worker};

/// The form of a calibration for a worker that can do so much.
#[component]
pub fn CalibrateForm(worker: Arc<Capabilities>) -> impl IntoView {
    let shared = Shared::get();
    let state = FormState::new(worker);
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        state.send();
        if let Some(field) = state.first_problem() {
            focus(field);
        }
    };
    // A refusal comes later than the click; the field that it names is looked at then.
    Effect::new(move |was_sending: Option<bool>| {
        let is_sending = state.is_sending.get();
        if was_sending == Some(true)
            && !is_sending
            && let Some(field) = state.first_problem()
        {
            focus(field);
        }
        is_sending
    });
    let is_ready = move || matches!(shared.worker.get(), Worker::Ready(_));
    let is_idle = move || is_ready() && !state.is_sending.get();
    view! {
        <form class="calibrate-form" aria-label="New calibration" on:submit=submit>
            <Inputs state/>
            <SearchSettings state/>
            <Candidates state/>
            <RunSettings state/>
            <div class="card send">
                <p class="cost">{move || cost(state)}</p>
                <p class="problem" role="alert">{move || state.failure.get()}</p>
                <button class="primary" disabled=move || !is_idle()>
                    {move || if state.is_sending.get() { "Sending…" } else { "Calibrate" }}
                </button>
            </div>
        </form>
    }
}

/// What the search will measure, before it is asked for.
fn cost(state: FormState) -> String {
    let worker = state.worker();
    match state.with(|form| form.measurements(&worker)) {
        Some(measurements) => format!(
            "{}, each one forward pass over all inputs (unchanged blocks are not computed again).",
            measurements.words()
        ),
        None => "The cost is said here once steps and candidates can be read.".into(),
    }
}

fn focus(field: Field) {
    if let Some(control) = document().get_element_by_id(field.as_str()) {
        let control: web_sys::HtmlElement = wasm_bindgen::JsCast::unchecked_into(control);
        // Whoever cannot be given the focus keeps it where it is.
        let _ = control.focus();
    }
}
