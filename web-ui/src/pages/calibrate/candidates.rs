//! Which strategies are tried, in which order. The order decides: the first one whose loss
//! stays under the budget is taken.

use dfa_core::Strategy;
use dfa_core::wire::service::StrategyView;
use leptos::prelude::*;

use super::form_state::FormState;
use crate::components::field::FieldGroup;
use crate::figure::palette::letter;
use crate::forms::calibrate::Field;
use crate::plan::layers::index_of;

#[component]
pub fn Candidates(state: FormState) -> impl IntoView {
    let problem = Signal::derive(move || state.problem(Field::Candidates));
    let order = Memo::new(move |_| order(state));
    view! {
        <section class="card" aria-labelledby="candidates-title">
            <h2 id="candidates-title">"Candidates"</h2>
            <FieldGroup
                name=Field::Candidates.as_str()
                label="Tried in this order; the first whose loss stays under the budget is taken"
                hint="A cell that no candidate fits stays full."
                problem
            >
                <ol class="candidates">
                    <For each=move || order.get() key=|strategy| *strategy let:strategy>
                        <Candidate state strategy/>
                    </For>
                </ol>
            </FieldGroup>
        </section>
    }
}

/// The candidates that are chosen in their order, then the others.
fn order(state: FormState) -> Vec<Strategy> {
    let worker = state.worker();
    let mut order = state.with(|form| form.candidates());
    let known = worker
        .strategies
        .iter()
        .filter_map(|view| view.id.parse().ok());
    for strategy in known {
        if strategy != Strategy::Full && !order.contains(&strategy) {
            order.push(strategy);
        }
    }
    order.retain(|strategy| *strategy != Strategy::Full);
    order
}

#[component]
fn Candidate(state: FormState, strategy: Strategy) -> impl IntoView {
    let view = view_of(state, strategy);
    let name = strategy.paper_name();
    let needs_guidance = view.as_ref().is_some_and(|view| view.needs_guidance);
    let is_ablation = view.as_ref().is_some_and(|view| !view.is_candidate);
    let place = move || {
        let candidates = state.with(|form| form.candidates());
        candidates.iter().position(|&known| known == strategy)
    };
    let is_blocked = move || needs_guidance && !state.with(|form| form.is_guided());
    let note = move || match (is_blocked(), is_ablation) {
        (true, _) => "needs guidance above 1",
        (false, true) => "ablation; not tried by default",
        (false, false) => "",
    };
    let raise = move |_| {
        state.change(Field::Candidates, |form| form.raise_candidate(strategy));
    };
    view! {
        <li class="candidate">
            <label class="inline">
                <input
                    type="checkbox"
                    prop:checked=move || place().is_some()
                    disabled=is_blocked
                    on:change=move |_| {
                        state.change(Field::Candidates, |form| form.toggle_candidate(strategy));
                    }
                />
                <i class=format!("swatch s{}", index_of(strategy)) aria-hidden="true">{letter(strategy)}</i>
                <span>{name}</span>
            </label>
            <span class="hint">{note}</span>
            <button
                type="button"
                class="quiet"
                aria-label=format!("Try {name} earlier")
                title="Try it earlier"
                disabled=move || place().is_none_or(|place| place == 0)
                on:click=raise
            >"↑"</button>
        </li>
    }
}

fn view_of(state: FormState, strategy: Strategy) -> Option<StrategyView> {
    let worker = state.worker();
    let mut views = worker.strategies.iter();
    views.find(|view| view.id == strategy.as_str()).cloned()
}
