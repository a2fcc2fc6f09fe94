//! The fields that are typed into, and the words below one that is wrong.

use dfa_core::wire::service::ModelView;
use leptos::prelude::*;

use super::Filling;
use crate::generation::form::{Field, GenerateForm, Wish};

/// More classes than these are typed, not pressed.
const MOST_CHIPS: usize = 24;

#[component]
pub fn LabelsField(filling: Filling, model: Signal<Option<ModelView>>) -> impl IntoView {
    let hint = move || match model.get() {
        None => String::new(),
        Some(model) => format!(
            "{} classes, by name or number, with commas; empty: drawn from the seed",
            model.n_classes
        ),
    };
    let add = move |name: String| {
        filling.form.update(|form| {
            let before = form.labels.trim().trim_end_matches(',').to_owned();
            form.labels = if before.is_empty() {
                name
            } else {
                format!("{before}, {name}")
            };
        });
    };
    let names = move || {
        let classes = model.get().map(|model| model.classes).unwrap_or_default();
        let few = if classes.len() <= MOST_CHIPS {
            classes
        } else {
            Vec::new()
        };
        let chips = few.into_iter().map(move |class| {
            let name = class.name.split(',').next().unwrap_or_default().trim().to_owned();
            let words = name.clone();
            view! { <button type="button" class="quiet chip" on:click=move |_| add(name.clone())>{words}</button> }
        });
        chips.collect_view()
    };
    view! {
        <label>
            "Classes"
            <input type="text" autocomplete="off"
                prop:value=move || filling.form.with(|form| form.labels.clone())
                on:input=move |event| filling.form.update(|form| form.labels = event_target_value(&event))
            />
            <span class="hint">{hint}</span>
        </label>
        <div class="row tight" role="group" aria-label="Add a class">{names}</div>
        <ProblemOf filling field=Field::Labels/>
    }
}

/// What is drawn by a model that takes text.
#[component]
pub fn TextsFields(filling: Filling) -> impl IntoView {
    let hint = move || match filling.form.with(|form| form.wish) {
        Wish::Compare => "one a line; empty: captions of the worker's own",
        Wish::Generate => "one a line",
    };
    view! {
        <label>
            "Prompts"
            <textarea rows="4"
                placeholder="A brown dog runs along a sandy beach."
                prop:value=move || filling.form.with(|form| form.prompts.clone())
                aria-invalid=move || problem_of(filling, Field::Prompts).is_some().to_string()
                on:input=move |event| filling.form.update(|form| form.prompts = event_target_value(&event))
            ></textarea>
            <span class="hint">{hint}</span>
        </label>
        <ProblemOf filling field=Field::Prompts/>
        <label>
            "Negative prompt"
            <textarea rows="2"
                prop:value=move || filling.form.with(|form| form.negative_prompt.clone())
                aria-invalid=move || problem_of(filling, Field::Negative).is_some().to_string()
                on:input=move |event| filling.form.update(|form| form.negative_prompt = event_target_value(&event))
            ></textarea>
            <span class="hint">"what guidance leads away from; may be empty"</span>
        </label>
        <ProblemOf filling field=Field::Negative/>
    }
}

#[component]
pub fn TextField(
    filling: Filling,
    field: Field,
    #[prop(into)] title: Signal<&'static str>,
    #[prop(into)] hint: Signal<String>,
    get: fn(&GenerateForm) -> String,
    set: fn(&mut GenerateForm, String),
) -> impl IntoView {
    view! {
        <div class="short-field">
            <label>
                {move || title.get()}
                <input type="text" inputmode="decimal" autocomplete="off"
                    prop:value=move || filling.form.with(get)
                    aria-invalid=move || problem_of(filling, field).is_some().to_string()
                    on:input=move |event| filling.form.update(|form| set(form, event_target_value(&event)))
                />
                <span class="hint">{move || hint.get()}</span>
            </label>
            <ProblemOf filling field/>
        </div>
    }
}

fn problem_of(filling: Filling, field: Field) -> Option<String> {
    filling.problems.with(|all| {
        let found = all.iter().find(|problem| problem.field == field);
        found.map(|problem| problem.words.clone())
    })
}

#[component]
pub fn ProblemOf(filling: Filling, field: Field) -> impl IntoView {
    view! { <p class="problem" role="alert">{move || problem_of(filling, field)}</p> }
}
