//! The cells that are decided: the grid, the latest one in words, and all of them as a
//! table.

use std::sync::Arc;

use dfa_core::{Block, GridShape, Step, Strategy};
use leptos::prelude::*;

use crate::components::plan_grid::PlanGrid;
use crate::figure::palette::letter;
use crate::job::decisions::{Decisions, sentence};
use crate::plan::cursor::Cursor;
use crate::plan::layers::index_of;
use crate::state::Shared;
use crate::watching::Watched;
use crate::words::{counted, number};

/// Rows of the table; older ones are on the Plan page once there is a plan.
const MAX_ROWS: usize = 200;

#[component]
pub fn Decided(watched: Watched) -> impl IntoView {
    let shared = Shared::get();
    let story = watched.story;
    let shape = Memo::new(move |_| {
        let blocks = story.with(|story| {
            let model = story.job.as_ref()?.request.model().to_owned();
            let capabilities = shared.capabilities()?;
            let mut models = capabilities.models.iter();
            Some(models.find(|it| it.id == model)?.n_blocks)
        });
        story.with(|story| story.shape(blocks))
    });
    move || {
        match shape.get() {
        Some(shape) => view! { <Grid watched shape/> }.into_any(),
        None => view! {
            <p class="hint">"The grid appears once the run says how many steps and blocks it has."</p>
        }
        .into_any(),
    }
    }
}

#[component]
fn Grid(watched: Watched, shape: GridShape) -> impl IntoView {
    let story = watched.story;
    let of = move |read: fn(&Decisions, GridShape) -> String| {
        Memo::new(move |_| story.with(|story| read(&story.decisions, shape)))
    };
    let picture = Memo::new(move |_| {
        Arc::new(story.with(|story| {
            let runs = !story.has_ended() && story.progress.is_some();
            let at_work = story.decisions.at_work(shape).filter(|_| runs);
            story.decisions.picture(shape, at_work)
        }))
    });
    let cursor = RwSignal::new(Cursor::at((Step(0), Block(0))));
    let words = Callback::new(move |(step, block)| {
        story.with_untracked(|story| story.decisions.words(step, block))
    });
    let chosen = Memo::new(move |_| {
        let (step, block) = cursor.get().cell;
        let words = story.with(|story| story.decisions.words(step, block));
        format!("Chosen cell, {step}, {block}: {words}.")
    });
    let label = of(|decisions, shape| {
        format!(
            "Plan of {} steps and {} blocks, {} of {} decided",
            shape.n_steps,
            shape.n_blocks,
            counted(decisions.len(), "cell"),
            shape.n_cells()
        )
    });
    let last = of(|decisions, _| match decisions.last() {
        Some(decision) => sentence(decision),
        None => "Nothing is decided yet.".into(),
    });
    view! {
        <section class="card decided" aria-labelledby="decided-title">
            <h2 id="decided-title">"Decisions"</h2>
            <div class="stack">
                <p class="last-decision">{move || last.get()}</p>
                <PlanGrid picture cursor label words/>
                <Legend/>
                <p class="hint">{move || chosen.get()}</p>
                <DecisionTable watched/>
            </div>
        </section>
    }
}

#[component]
fn Legend() -> impl IntoView {
    let entries = Strategy::ALL
        .into_iter()
        .filter(|it| *it != Strategy::WindowOnly);
    let entries = entries.map(|strategy| {
        view! {
            <li>
                <i class=format!("swatch s{}", index_of(strategy)) aria-hidden="true">{letter(strategy)}</i>
                {strategy.paper_name()}
            </li>
        }
    });
    view! { <ul class="legend-row" aria-label="Legend">{entries.collect_view()}</ul> }
}

/// Built only while it is open: it changes with every event.
#[component]
fn DecisionTable(watched: Watched) -> impl IntoView {
    let is_open = RwSignal::new(false);
    view! {
        <details on:toggle=move |event| is_open.set(is_open_now(&event))>
            <summary>"All decisions as a table"</summary>
            <Show when=move || is_open.get()>
                <div class="scroll table-frame" tabindex="0" role="region" aria-label="All decisions">
                    <table>
                        <thead><tr>
                            <th class="number">"Step"</th><th class="number">"Block"</th><th>"Strategy"</th>
                            <th class="number">"Budget"</th><th>"Losses, in the order of measurement"</th>
                        </tr></thead>
                        <tbody>{move || rows(watched)}</tbody>
                    </table>
                </div>
            </Show>
        </details>
    }
}

fn is_open_now(event: &leptos::ev::Event) -> bool {
    let target = event.target();
    let element = target.map(wasm_bindgen::JsCast::unchecked_into::<web_sys::Element>);
    element.is_some_and(|element| element.has_attribute("open"))
}

fn rows(watched: Watched) -> impl IntoView {
    watched.story.with(|story| {
        let rows = story.decisions.newest_first().take(MAX_ROWS).map(|it| {
            let losses: Vec<String> = it
                .measured
                .iter()
                .map(|it| format!("{} {}", it.candidate.paper_name(), number(it.loss.into())))
                .collect();
            view! {
                <tr>
                    <td class="number">{it.step}</td>
                    <td class="number">{it.block}</td>
                    <td>{it.choice.paper_name()}</td>
                    <td class="number">{number(it.budget)}</td>
                    <td>{losses.join(" · ")}</td>
                </tr>
            }
        });
        rows.collect_view()
    })
}
