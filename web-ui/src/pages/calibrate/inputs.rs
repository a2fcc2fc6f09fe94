//! Which model, and what it is asked to draw.

use dfa_core::wire::service::{ClassView, ModelMakes, ModelTakes, ModelView};
use leptos::prelude::*;

use super::controls::{ChoiceField, LinesField, NumberField, TextField};
use super::form_state::FormState;
use crate::components::field::FieldGroup;
use crate::forms::calibrate::Field;
use crate::forms::classes::{found, named};
use crate::words::counted;

/// Classes that are shown before a search makes them fewer.
const MAX_SHOWN: usize = 24;

#[component]
pub fn Inputs(state: FormState) -> impl IntoView {
    let worker = state.worker();
    let models = worker.models.iter();
    let choices = models.map(|model| (model.id.clone(), model.id.clone()));
    let facts = Signal::derive(move || state.model().map_or(String::new(), |it| facts(&it)));
    let most = worker.limits.max_images;
    let n_inputs = Signal::derive(move || n_inputs_hint(state, most));
    let takes_text = Memo::new(move |_| state.takes_text());
    view! {
        <section class="card" aria-labelledby="inputs-title">
            <h2 id="inputs-title">"Model and inputs"</h2>
            <div class="fields">
                <ChoiceField state field=Field::Model label="Model" hint=facts choices=choices.collect()/>
                <NumberField
                    state
                    field=Field::NImages
                    label="Number of inputs"
                    hint=n_inputs
                    range=(1, Some(most))
                    placeholder="chosen by the worker"
                />
                <TextField
                    state
                    field=Field::Seed
                    label="Seed"
                    hint="Of the start noise, and of random classes."
                    input_mode="numeric"
                    is_required=true
                />
            </div>
            <Show when=move || takes_text.get() fallback=move || view! { <Classes state/> }>
                <Texts state/>
            </Show>
        </section>
    }
}

fn facts(model: &ModelView) -> String {
    let of = match model.makes {
        ModelMakes::Images => "",
        ModelMakes::Videos => " a frame",
    };
    let takes = match model.takes {
        ModelTakes::Classes => format!("{} classes", model.n_classes),
        ModelTakes::Text => "draws what a text says".into(),
    };
    format!(
        "{}: {} blocks, width {}, {} image tokens{of} at {}, {takes}.",
        model.family, model.n_blocks, model.width, model.n_tokens, model.size
    )
}

fn n_inputs_hint(state: FormState, most: u32) -> String {
    let usual = state
        .model()
        .map_or(8, |it| it.defaults.n_calibration_inputs);
    let (n_given, none, one) = match state.takes_text() {
        true => (
            state.with(|form| form.prompts().len()),
            "captions of the worker's own",
            "prompt",
        ),
        false => (
            state.with(|form| form.labels().len()),
            "random classes",
            "class",
        ),
    };
    match n_given {
        0 => format!("Empty: {usual} of {none}. At most {most}."),
        n => format!("Empty: one per {one}, {n}. More repeat them in order."),
    }
}

/// What is drawn by a model that takes text.
#[component]
fn Texts(state: FormState) -> impl IntoView {
    let hint = Signal::derive(move || match state.with(|form| form.prompts().len()) {
        0 => "One a line. None: captions of the worker's own.".to_owned(),
        n => format!("One a line. {}.", counted(n, "prompt")),
    });
    view! {
        <div class="texts">
            <LinesField
                state
                field=Field::Prompts
                label="Prompts"
                hint
                placeholder="A brown dog runs along a sandy beach."
                rows=4
            />
            <LinesField
                state
                field=Field::NegativePrompt
                label="Negative prompt"
                hint="What guidance leads away from, the same for all. May be empty."
                rows=2
            />
        </div>
    }
}

#[component]
fn Classes(state: FormState) -> impl IntoView {
    let query = RwSignal::new(String::new());
    let problem = Signal::derive(move || state.problem(Field::Labels));
    let hint = Signal::derive(move || match state.with(|form| form.labels().len()) {
        0 => "None chosen: random classes from the seed.".to_owned(),
        n => format!("{n} chosen."),
    });
    let shown = Memo::new(move |_| {
        state
            .model()
            .map(|model| shown(state, &model, &query.get()))
    });
    let classes = move || shown.get().map_or(Vec::new(), |(classes, _)| classes);
    let n_more = move || shown.get().map_or(0, |(_, n_more)| n_more);
    view! {
        <FieldGroup name=Field::Labels.as_str() label="Classes" hint problem>
            <input
                type="search"
                class="search"
                aria-label="Search for a class by name or number"
                placeholder="Search by name or number"
                autocomplete="off"
                prop:value=move || query.get()
                on:input=move |event| query.set(event_target_value(&event))
                // Sending the form with Enter is not what a search is for.
                on:keydown=move |event| if event.key() == "Enter" { event.prevent_default(); }
            />
            <div class="chips">
                <For each=classes key=|class| class.index let:class>
                    <ClassChip state class/>
                </For>
            </div>
            <Show when=move || { n_more() > 0 }>
                <p class="hint">{n_more}" more: search to see them."</p>
            </Show>
        </FieldGroup>
    }
}

/// The classes that are chosen, then those that the search finds; and how many are left out.
fn shown(state: FormState, model: &ModelView, query: &str) -> (Vec<ClassView>, usize) {
    let mut chosen = state.with(|form| form.labels());
    chosen.sort_unstable();
    chosen.dedup();
    let found = found(model, query);
    if found.len() <= MAX_SHOWN {
        // Nothing moves under the pointer while everything fits.
        let missing = chosen
            .iter()
            .filter(|&&index| !found.iter().any(|it| it.index == index));
        let mut all: Vec<ClassView> = missing.map(|&index| named(model, index)).collect();
        all.extend(found.iter().cloned());
        return (all, 0);
    }
    let mut all: Vec<ClassView> = chosen.iter().map(|&index| named(model, index)).collect();
    let others: Vec<_> = found
        .into_iter()
        .filter(|it| !chosen.contains(&it.index))
        .collect();
    let n_more = others.len().saturating_sub(MAX_SHOWN);
    all.extend(others.into_iter().take(MAX_SHOWN));
    (all, n_more)
}

#[component]
fn ClassChip(state: FormState, class: ClassView) -> impl IntoView {
    let index = class.index;
    let is_chosen = move || state.with(|form| form.labels().contains(&index));
    view! {
        <label class="chip inline">
            <input
                type="checkbox"
                prop:checked=is_chosen
                on:change=move |_| state.change(Field::Labels, |form| form.toggle_label(index))
            />
            <span>{class.name}</span>
            <span class="hint">{index}</span>
        </label>
    }
}
