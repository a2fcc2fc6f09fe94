//! The simple controls of the form: a text, a number, a choice. The browser's own
//! validation knows what is wrong with each, so it refuses to send it and goes there.

use leptos::html::{Input, Select, Textarea};
use leptos::prelude::*;

use super::form_state::FormState;
use crate::components::field::{Field as Frame, described_by};
use crate::forms::calibrate::Field;

/// A field for a text.
#[component]
pub fn TextField(
    state: FormState,
    field: Field,
    label: &'static str,
    #[prop(into, optional)] hint: Signal<String>,
    /// Which keyboard a phone shows.
    #[prop(optional)]
    input_mode: &'static str,
    #[prop(optional)] placeholder: &'static str,
    #[prop(optional)] is_required: bool,
) -> impl IntoView {
    let problem = Signal::derive(move || state.problem(field));
    let node = told_to_browser(problem);
    view! {
        <Frame name=field.as_str() label hint problem>
            <input
                id=field.as_str()
                type="text"
                inputmode=input_mode
                autocomplete="off"
                spellcheck="false"
                required=is_required
                placeholder=placeholder
                node_ref=node
                aria-describedby=described_by(field.as_str())
                aria-invalid=move || problem.get().is_some().to_string()
                prop:value=move || state.text(field)
                on:input=move |event| state.set(field, event_target_value(&event))
            />
        </Frame>
    }
}

/// A field for texts, one a line.
#[component]
pub fn LinesField(
    state: FormState,
    field: Field,
    label: &'static str,
    #[prop(into, optional)] hint: Signal<String>,
    #[prop(optional)] placeholder: &'static str,
    /// Lines that are seen at once.
    rows: u32,
) -> impl IntoView {
    let problem = Signal::derive(move || state.problem(field));
    let node = NodeRef::<Textarea>::new();
    Effect::new(move |_| {
        let words = problem.get().unwrap_or_default();
        if let Some(area) = node.get() {
            area.set_custom_validity(&words);
        }
    });
    view! {
        <Frame name=field.as_str() label hint problem>
            <textarea
                id=field.as_str()
                rows=rows
                placeholder=placeholder
                node_ref=node
                aria-describedby=described_by(field.as_str())
                aria-invalid=move || problem.get().is_some().to_string()
                prop:value=move || state.text(field)
                on:input=move |event| state.set(field, event_target_value(&event))
            ></textarea>
        </Frame>
    }
}

/// A field for a number.
#[component]
pub fn NumberField(
    state: FormState,
    field: Field,
    label: &'static str,
    #[prop(into, optional)] hint: Signal<String>,
    /// The least and the most, as far as there are any.
    range: (u32, Option<u32>),
    /// `any` for numbers that need not be whole.
    #[prop(default = "1")]
    step: &'static str,
    #[prop(optional)] placeholder: &'static str,
    #[prop(optional)] is_required: bool,
) -> impl IntoView {
    let problem = Signal::derive(move || state.problem(field));
    let node = told_to_browser(problem);
    view! {
        <Frame name=field.as_str() label hint problem>
            <input
                id=field.as_str()
                type="number"
                min=range.0
                max=range.1
                step=step
                required=is_required
                placeholder=placeholder
                node_ref=node
                aria-describedby=described_by(field.as_str())
                aria-invalid=move || problem.get().is_some().to_string()
                prop:value=move || state.text(field)
                on:input=move |event| state.set(field, event_target_value(&event))
            />
        </Frame>
    }
}

/// A field with a few choices: values and what they are called.
#[component]
pub fn ChoiceField(
    state: FormState,
    field: Field,
    label: &'static str,
    #[prop(into, optional)] hint: Signal<String>,
    choices: Vec<(String, String)>,
) -> impl IntoView {
    let problem = Signal::derive(move || state.problem(field));
    let node = NodeRef::<Select>::new();
    Effect::new(move |_| {
        let words = problem.get().unwrap_or_default();
        if let Some(select) = node.get() {
            select.set_custom_validity(&words);
        }
    });
    let options = choices.into_iter().map(move |(value, words)| {
        let own = value.clone();
        let is_chosen = move || state.text(field) == own;
        view! { <option value=value prop:selected=is_chosen>{words}</option> }
    });
    view! {
        <Frame name=field.as_str() label hint problem>
            <select
                id=field.as_str()
                node_ref=node
                aria-describedby=described_by(field.as_str())
                aria-invalid=move || problem.get().is_some().to_string()
                on:change=move |event| state.set(field, event_target_value(&event))
            >
                {options.collect_view()}
            </select>
        </Frame>
    }
}

/// Tells the browser's validation what is wrong with an input.
fn told_to_browser(problem: Signal<Option<String>>) -> NodeRef<Input> {
    let node = NodeRef::<Input>::new();
    Effect::new(move |_| {
        let words = problem.get().unwrap_or_default();
        if let Some(input) = node.get() {
            input.set_custom_validity(&words);
        }
    });
    node
}
