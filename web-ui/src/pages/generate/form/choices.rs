//! What is made, with which model, with which plan.

use dfa_core::wire::job::PlanView;
use dfa_core::wire::service::ModelView;
use leptos::prelude::*;

use super::fields::ProblemOf;
use super::{Filling, choose_model};
use crate::generation::form::{Field, Wish};
use crate::link::{Link, Page};
use crate::words;

#[component]
pub fn WishChoice(filling: Filling) -> impl IntoView {
    let choice = move |wish: Wish, title: &'static str| {
        view! {
            <label class="inline">
                <input type="radio" name="wish"
                    prop:checked=move || filling.form.with(|form| form.wish == wish)
                    on:change=move |_| filling.form.update(|form| form.wish = wish)
                />
                {title}
            </label>
        }
    };
    view! {
        <fieldset class="row plain">
            <legend class="visually-hidden">"What is made"</legend>
            {choice(Wish::Compare, "Raw and compressed, compared")}
            {choice(Wish::Generate, "Pictures only")}
        </fieldset>
    }
}

#[component]
pub fn ModelChoice(filling: Filling, models: Vec<ModelView>) -> impl IntoView {
    let options = models.iter().map(|model| {
        let id = model.id.clone();
        let is_chosen = move || filling.form.with(|form| form.model == id);
        let words = format!("{} ({}, {})", model.id, model.family, model.size);
        view! { <option value=model.id.clone() selected=is_chosen>{words}</option> }
    });
    let options = options.collect_view();
    view! {
        <label>
            "Model"
            <select on:change=move |event| choose_model(filling, &event_target_value(&event), &models)>
                {options}
            </select>
        </label>
    }
}

#[component]
pub fn PlanChoice(filling: Filling) -> impl IntoView {
    let option = move |value: String, words: String| {
        let id = value.clone();
        let is_chosen = move || filling.form.with(|form| form.plan == id);
        view! { <option value=value selected=is_chosen>{words}</option> }
    };
    let options = move || {
        let plans = filling.plans.get();
        let chosen = filling.form.with(|form| form.plan.clone());
        let is_known = chosen.is_empty() || plans.iter().any(|plan| plan.id.to_string() == chosen);
        let unknown =
            (!is_known).then(|| option(chosen.clone(), format!("plan {}", short(&chosen))));
        let model = filling.form.with(|form| form.model.clone());
        let (own, others): (Vec<_>, Vec<_>) = plans
            .into_iter()
            .partition(|plan| plan.model.as_ref().is_none_or(|of| *of == model));
        let all = |plans: Vec<PlanView>| {
            let options = plans.into_iter();
            let options = options.map(|plan| option(plan.id.to_string(), plan_words(&plan)));
            options.collect_view()
        };
        let has_others = !others.is_empty();
        let others = all(others);
        let others =
            has_others.then(|| view! { <optgroup label="Of other models">{others}</optgroup> });
        let wish = filling.form.with(|form| form.wish);
        let none = match wish {
            Wish::Generate => Some("no plan: without compression"),
            Wish::Compare if chosen.is_empty() => Some("choose a plan"),
            Wish::Compare => None,
        };
        let none = none.map(|words| option(String::new(), words.into()));
        (none, unknown, all(own), others)
    };
    let is_empty =
        move || filling.plans.with(Vec::is_empty) && filling.form.with(|form| form.plan.is_empty());
    view! {
        <label>
            "Plan"
            <select
                on:change=move |event| filling.form.update(|form| form.plan = event_target_value(&event))
            >{options}</select>
        </label>
        <Show when=is_empty>
            <p class="hint">
                "The worker's library has no plan yet: "
                <a href=Link::to(Page::Calibrate).to_string()>"calibrate one"</a>
                ", or open and save one on the page "
                <a href=Link::to(Page::Plan).to_string()>"Plan"</a>"."
            </p>
        </Show>
        <ProblemOf filling field=Field::Plan/>
    }
}

/// A plan of the library in a few words.
fn plan_words(plan: &PlanView) -> String {
    let model = plan.model.as_deref().unwrap_or("unknown model");
    let threshold = plan.threshold.map_or("by hand".into(), |delta| {
        format!("δ {}", words::number(delta))
    });
    format!(
        "{model} · {} × {} · {threshold} · {}",
        plan.n_steps,
        plan.n_blocks,
        short(&plan.id.to_string())
    )
}

fn short(hash: &str) -> String {
    hash.chars().take(8).collect()
}
