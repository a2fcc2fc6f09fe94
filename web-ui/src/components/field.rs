//! What surrounds a control of a form: its label, what to know, and what is wrong.

use leptos::prelude::*;

/// A label, a control (the children), a hint and a problem. The control has the id `name`
/// and is described by [`described_by`].
#[component]
pub fn Field(
    /// The control's id.
    name: &'static str,
    /// What it is called.
    label: &'static str,
    /// What to know about it.
    #[prop(into, optional)]
    hint: Signal<String>,
    /// What is wrong with it.
    #[prop(into)]
    problem: Signal<Option<String>>,
    /// The control.
    children: Children,
) -> impl IntoView {
    view! {
        <div class="field" data-invalid=move || problem.with(Option::is_some).to_string()>
            <label for=name>{label}</label>
            {children()}
            <FieldWords name hint problem/>
        </div>
    }
}

/// The same for a group of controls.
#[component]
pub fn FieldGroup(
    /// Begins the ids of its words.
    name: &'static str,
    /// What the group is called.
    label: &'static str,
    /// What to know about it.
    #[prop(into, optional)]
    hint: Signal<String>,
    /// What is wrong with it.
    #[prop(into)]
    problem: Signal<Option<String>>,
    /// The controls.
    children: Children,
) -> impl IntoView {
    view! {
        <fieldset
            class="field"
            id=name
            tabindex="-1"
            aria-describedby=described_by(name)
            data-invalid=move || problem.with(Option::is_some).to_string()
        >
            <legend>{label}</legend>
            {children()}
            <FieldWords name hint problem/>
        </fieldset>
    }
}

#[component]
fn FieldWords(
    name: &'static str,
    hint: Signal<String>,
    problem: Signal<Option<String>>,
) -> impl IntoView {
    view! {
        <p class="hint" id=format!("{name}-hint")>{move || hint.get()}</p>
        <p class="problem" id=format!("{name}-problem")>{move || problem.get()}</p>
    }
}

/// The ids of the words about a control.
pub fn described_by(name: &str) -> String {
    format!("{name}-hint {name}-problem")
}
