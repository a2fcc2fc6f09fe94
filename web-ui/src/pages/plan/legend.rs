//! What the grid's colours and marks mean, with the count and share of each strategy.

use dfa_core::Strategy;
use leptos::prelude::*;

use super::desk::Desk;
use crate::figure::palette::letter;
use crate::figure::shades::{N_BALANCE, N_SHADES};
use crate::plan::layers::{Legend, LegendKey};
use crate::plan::workbench::Shown;
use crate::words::percent;

/// The legend of the layer shown.
#[component]
pub fn LegendRow() -> impl IntoView {
    let desk = Desk::get();
    let legend = Memo::new(move |_| {
        desk.drawn
            .with(|drawn| Some(drawn.as_ref()?.legend.clone()))
    });
    view! {
        <div class="legend">
            {move || legend.get().map(|legend| view! { <Key legend/> })}
            <Marks/>
        </div>
    }
}

#[component]
fn Key(legend: Legend) -> impl IntoView {
    let note = (!legend.note.is_empty()).then(|| view! { <p class="hint">{legend.note}</p> });
    let key = match legend.key {
        LegendKey::Strategies(entries) => view! { <Strategies entries/> }.into_any(),
        LegendKey::Scale([low, high]) => ramp("n", N_SHADES, vec![low, high]).into_any(),
        LegendKey::Balance(words) => ramp("b", N_BALANCE, words.to_vec()).into_any(),
        LegendKey::Nothing => ().into_any(),
    };
    view! {
        <span class="visually-hidden">{legend.title}</span>
        {key}
        {note}
    }
}

#[component]
fn Strategies(entries: Vec<usize>) -> impl IntoView {
    let desk = Desk::get();
    let entries = entries.into_iter().map(|idx| {
        let strategy = Strategy::ALL[idx];
        let count = move || {
            desk.shown.with(|shown| {
                let plan = &shown.as_ref()?.plan;
                let n_cells = plan.count(strategy);
                let share = n_cells as f64 / plan.shape().n_cells() as f64;
                Some(format!("{n_cells} · {}", percent(share)))
            })
        };
        // No search proposes it, so it is named only where somebody set it.
        let is_absent = move || {
            let is_used = |shown: &Shown| shown.plan.count(strategy) > 0;
            strategy == Strategy::WindowOnly
                && !desk
                    .shown
                    .with(|shown| shown.as_deref().is_some_and(is_used))
        };
        view! {
            <li class:absent=is_absent>
                <span class=format!("swatch s{idx}") aria-hidden="true">{letter(strategy)}</span>
                <span>{strategy.paper_name()}</span>
                <span class="count">{count}</span>
            </li>
        }
    });
    view! { <ul class="strategies">{entries.collect_view()}</ul> }
}

/// Colours from the low end to the high end, with words at both and in the middle.
fn ramp(class: &'static str, n_shades: usize, words: Vec<String>) -> impl IntoView {
    let shades = (0..n_shades).map(|idx| view! { <i class=format!("{class}{idx}")></i> });
    let words = words.into_iter().map(|word| view! { <span>{word}</span> });
    view! {
        <div class="ramp">
            <div class="shades" aria-hidden="true">{shades.collect_view()}</div>
            <div class="ends">{words.collect_view()}</div>
        </div>
    }
}

/// The marks that are in sight.
#[component]
fn Marks() -> impl IntoView {
    let desk = Desk::get();
    let count = move |of: fn(&Shown) -> usize| {
        desk.shown
            .with(|shown| shown.as_ref().map_or(0, |shown| of(shown)))
    };
    let mark = move |class: &'static str, words: &'static str, n: usize| {
        (n > 0).then(|| {
            view! {
                <li>
                    <span class=format!("swatch cell {class}") aria-hidden="true"></span>
                    <span>{words}</span>
                    <span class="count">{n}</span>
                </li>
            }
        })
    };
    view! {
        <ul class="strategies marks">
            {move || mark("changed", "not what the search chose", count(|shown| shown.n_changed))}
            {move || mark("edited", "set by hand", count(|shown| shown.n_edited))}
            {move || mark("locked", "locked", count(|shown| shown.n_locked))}
        </ul>
    }
}
