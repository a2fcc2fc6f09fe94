//! The open plan held against another one: cell by cell, what became what, totals side by
//! side, and whether both were made for the same thing.

use std::sync::Arc;

use leptos::prelude::*;

use super::desk::Desk;
use super::opening::Purpose;
use super::totals_card::rows;
use crate::components::plan_grid::PlanGrid;
use crate::figure::palette::letter;
use crate::plan::cursor::Cursor;
use crate::plan::difference::{self, Difference, Side, difference, field_title};
use crate::plan::layers::index_of;
use crate::plan::opened::OpenPlan;
use crate::plan::totals::Question;

/// The card; nothing where no other plan was chosen.
#[component]
pub fn CompareCard(choosing: RwSignal<Option<Purpose>>) -> impl IntoView {
    let desk = Desk::get();
    let held = Memo::new(move |_| {
        let (other, shown) = (desk.other.get()?, desk.shown.get()?);
        desk.bench.with_untracked(|bench| {
            let a = Side {
                opened: bench.as_ref()?.opened(),
                plan: &shown.plan,
            };
            let b = Side::unchanged(&other);
            Some(Arc::new(difference(a, b, Question::default())))
        })
    });
    let is_there = Memo::new(move |_| held.with(Option::is_some));
    view! {
        <Show when=move || is_there.get()>
            <section class="card compare" aria-labelledby="compare-title">
                <div class="card-head">
                    <h2 id="compare-title">{move || title(desk)}</h2>
                    <button on:click=move |_| choosing.set(Some(Purpose::Comparison))>"Another…"</button>
                    <OpenOther/>
                    <button on:click=move |_| close(desk)>"Close"</button>
                </div>
                <p role="status">{move || held.get().map(|held| held.sentence())}</p>
                <Cells held/>
                {move || held.get().map(|held| made_for(&held))}
                {move || held.get().map(|held| side_by_side(desk, &held))}
            </section>
        </Show>
    }
}

fn close(desk: Desk) {
    desk.other.set(None);
    let link = desk.shared.link.get_untracked();
    if link.get("compare").is_some() {
        desk.shared.go(&link.with("compare", None));
    }
}

/// An estimate against its measurement has names of its own.
fn title(desk: Desk) -> String {
    let threshold = |plan: &OpenPlan| plan.recorded_threshold();
    let other = desk.other.get();
    let shown = desk.shown.get();
    let is_measured = shown
        .zip(other.clone())
        .is_some_and(|(shown, other)| shown.is_estimate && shown.threshold == threshold(&other));
    let name = other.map_or(String::new(), |other| other.name.clone());
    if is_measured {
        format!("Estimate (A) against measurement (B, {name})")
    } else {
        format!("This plan (A) against {name} (B)")
    }
}

#[component]
fn OpenOther() -> impl IntoView {
    let desk = Desk::get();
    let name = move || {
        desk.shared
            .link
            .with(|link| link.get("compare").map(str::to_owned))
    };
    view! {
        <Show when=move || name().is_some()>
            <button on:click=move |_| {
                if let Some(name) = name() {
                    desk.go_to(&name);
                }
            }>"Open B"</button>
        </Show>
    }
}

#[component]
fn Cells(held: Memo<Option<Arc<Difference>>>) -> impl IntoView {
    let desk = Desk::get();
    let picture = Memo::new(move |_| {
        let held = held.get()?;
        let cells = held.cells.as_ref().ok()?;
        Some(Arc::new(cells.picture.clone()))
    });
    let has_picture = Memo::new(move |_| picture.with(Option::is_some));
    let cursor = RwSignal::new(Cursor::at((dfa_core::Step(0), dfa_core::Block(0))));
    // What is looked at here is looked at in the plan above.
    Effect::new(move |before: Option<()>| {
        let cell = cursor.get().cell;
        if before.is_some() {
            desk.cursor.set(Cursor::at(cell));
        }
    });
    let words = Callback::new(move |(step, block)| {
        let (other, shown) = (desk.other.get_untracked(), desk.shown.get_untracked());
        let both = other.zip(shown);
        both.map_or(String::new(), |(other, shown)| {
            difference::words(&shown.plan, other.plan(), step, block)
        })
    });
    let last = StoredValue::new(None);
    let drawn = Signal::derive(move || {
        if let Some(picture) = picture.get() {
            last.set_value(Some(picture));
        }
        // The grid is only there while there is a picture.
        last.get_value().unwrap_or_else(super::no_picture)
    });
    view! {
        <Show when=move || has_picture.get()>
            <PlanGrid
                picture=drawn
                cursor
                label="Cells that differ: the letter of A, then of B"
                words
            />
            <p class="hint">
                "A cell that differs has B's colour, with the letter of A and then of B; empty cells are alike."
            </p>
            {move || held.get().map(|held| moves(&held))}
        </Show>
    }
}

fn moves(held: &Difference) -> impl IntoView + use<> {
    let moves = held.cells.as_ref().map_or(&[][..], |cells| &cells.moves);
    let moves = moves.iter().map(|found| {
        let part = |strategy| {
            view! {
                <span class=format!("swatch s{}", index_of(strategy))>{letter(strategy)}</span>
            }
        };
        view! {
            <li>
                {part(found.from)}" → "{part(found.to)}
                <span class="count">{found.n_cells}</span>
            </li>
        }
    });
    view! { <ul class="strategies" aria-label="What became what">{moves.collect_view()}</ul> }
}

fn made_for(held: &Difference) -> impl IntoView + use<> {
    let windows = held
        .windows
        .clone()
        .map(|words| view! { <p class="note">{words}</p> });
    let fields = match &held.made_for {
        Err(words) => view! { <p class="note">{words.clone()}</p> }.into_any(),
        Ok(fields) if fields.is_empty() => {
            view! { <p class="hint">"Both were made for the same model and settings."</p> }
                .into_any()
        }
        Ok(fields) => {
            let rows = fields.iter().map(|field| {
                view! {
                    <tr>
                        <th scope="row">{field_title(field.field)}</th>
                        <td>{field.expected.clone()}</td>
                        <td>{field.found.clone()}</td>
                    </tr>
                }
            });
            view! {
                <div class="scroll"><table>
                    <caption>"Made for different things"</caption>
                    <thead><tr>
                        <th scope="col">"What"</th><th scope="col">"A"</th><th scope="col">"B"</th>
                    </tr></thead>
                    <tbody>{rows.collect_view()}</tbody>
                </table></div>
            }
            .into_any()
        }
    };
    view! { {windows}{fields} }
}

fn side_by_side(desk: Desk, held: &Difference) -> impl IntoView + use<> {
    let name = desk
        .other
        .get_untracked()
        .map_or(String::new(), |other| other.name.clone());
    let [a, b] = &held.totals;
    view! {
        <div class="side-by-side">
            <div><h3>"A: this plan"</h3><dl class="bars">{rows(a)}</dl></div>
            <div><h3>{format!("B: {name}")}</h3><dl class="bars">{rows(b)}</dl></div>
        </div>
    }
}
