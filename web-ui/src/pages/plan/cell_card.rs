//! The cell that the keyboard stands on: every measured loss against its budget, the
//! margin, and the reason in words.

use dfa_core::{Block, Step, Strategy};
use leptos::prelude::*;

use super::desk::Desk;
use crate::figure::palette::letter;
use crate::plan::layers::index_of;
use crate::plan::reason::{Candidate, Reason, reason};
use crate::words::{number, percent};

const ID: &str = "cell-card";

/// The card.
#[component]
pub fn CellCard() -> impl IntoView {
    let desk = Desk::get();
    let story = RwSignal::new(None);
    // The grid is drawn first; the words come in the frame after it.
    Effect::new(move |_| {
        desk.shown.track();
        desk.cursor.track();
        request_animation_frame(move || {
            // The page may have been left meanwhile.
            let _ = story.try_set(tell(desk));
        });
    });
    view! {
        <section class="card cell-card" id=ID tabindex="-1" aria-labelledby="cell-title">
            {move || story.get().map(|(step, block, strategy, story)| view! {
                <h2 id="cell-title">
                    <span class=format!("swatch s{}", index_of(strategy)) aria-hidden="true">
                        {letter(strategy)}
                    </span>
                    {format!("Step {}, block {}", step.0, block.0)}
                </h2>
                {told(story)}
            })}
        </section>
    }
}

/// The cell with its strategy and its story.
fn tell(desk: Desk) -> Option<(Step, Block, Strategy, Reason)> {
    let (step, block) = desk.cursor.get_untracked().cell;
    let shown = desk.shown.get_untracked()?;
    let shape = shown.plan.shape();
    if step.0 >= shape.n_steps || block.0 >= shape.n_blocks {
        return None;
    }
    let strategy = shown.plan.strategy(step, block);
    desk.ask(|bench| (step, block, strategy, reason(bench, &shown, step, block)))
}

fn told(story: Reason) -> impl IntoView {
    let sentences = story.sentences.iter().cloned();
    let sentences = sentences.map(|sentence| view! { <li>{sentence}</li> });
    let losses = (!story.candidates.is_empty()).then(|| losses(&story));
    view! {
        <div class="cell-story">
            <div class="cell-words">
                <p><b>{story.headline}</b></p>
                <ul>{sentences.collect_view()}</ul>
            </div>
            {losses}
        </div>
    }
}

/// The candidates in the order in which they are tried, each loss beside the budget.
fn losses(story: &Reason) -> impl IntoView + use<> {
    let budget = story.budget.unwrap_or(0.0);
    let measured = story
        .candidates
        .iter()
        .filter_map(|candidate| candidate.loss);
    let largest = measured.map(f64::from).fold(budget, f64::max);
    let end = if largest > 0.0 { 1.05 * largest } else { 1.0 };
    let rows = story
        .candidates
        .iter()
        .map(|candidate| row(candidate, budget, end));
    let margin = story
        .margin
        .map(|margin| format!(" · margin {}", percent(margin)));
    view! {
        <div class="scroll"><table class="losses">
            <caption>
                {format!("Losses against the budget {}", number(budget))}
                {margin}
            </caption>
            <thead>
                <tr>
                    <th scope="col">"Candidate"</th>
                    <th scope="col" class="number">"Loss"</th>
                    <th scope="col"><span class="visually-hidden">"Loss as a bar"</span></th>
                    <th scope="col">"Outcome"</th>
                </tr>
            </thead>
            <tbody>{rows.collect_view()}</tbody>
        </table></div>
    }
}

fn row(candidate: &Candidate, budget: f64, end: f64) -> impl IntoView + use<> {
    let idx = index_of(candidate.strategy);
    let share = |value: f64| format!("{:.2}%", 100.0 * (value / end).clamp(0.0, 1.0));
    let loss = candidate.loss.map(f64::from);
    let bar = loss.map(|loss| view! {
        <i class=format!("loss s{idx}") class:over=!candidate.passes style:width=share(loss)></i>
    });
    let is_shown = candidate.is_shown.then_some("true");
    view! {
        <tr class:chosen=candidate.is_shown aria-current=is_shown>
            <th scope="row">
                <span class=format!("swatch s{idx}") aria-hidden="true">{letter(candidate.strategy)}</span>
                {candidate.strategy.paper_name()}
            </th>
            <td class="number">{loss.map_or("–".into(), number)}</td>
            <td class="loss-cell">
                <span class="loss-track" aria-hidden="true">
                    {bar}
                    <i class="budget" style:left=share(budget)></i>
                </span>
            </td>
            <td>
                {candidate.verdict}
                {(candidate.is_recorded && !candidate.is_shown).then_some(" (recorded choice)")}
            </td>
        </tr>
    }
}

/// Brings the card into sight and gives it the focus.
pub fn show() {
    use wasm_bindgen::JsCast as _;
    let card = document().get_element_by_id(ID);
    if let Some(card) = card.and_then(|card| card.dyn_into::<web_sys::HtmlElement>().ok()) {
        card.scroll_into_view_with_bool(false);
        // Who cannot be given the focus keeps it where it is.
        let _ = card.focus();
    }
}
