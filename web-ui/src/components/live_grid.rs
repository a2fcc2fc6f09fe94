//! A grid of strategies that fills: steps downwards, blocks to the right. A picture for
//! the eye; the same in words stands in the list of decisions beside it.

use std::sync::Arc;

use dfa_core::{Block, GridShape, Step, Strategy};
use leptos::prelude::*;

use crate::figure::palette::css_name;
use crate::plan::picture::{GridPicture, Paint};

/// The grid; `at_work` is the cell that is being decided.
#[component]
pub fn LiveGrid(
    /// What is drawn.
    #[prop(into)]
    picture: Signal<Arc<GridPicture>>,
    /// The cell that is marked.
    #[prop(into)]
    at_work: Signal<Option<(Step, Block)>>,
    /// What a screen reader says of the whole.
    #[prop(into)]
    label: Signal<String>,
) -> impl IntoView {
    let shape = Memo::new(move |_| picture.with(|picture| picture.shape));
    view! {
        <div class="live-grid scroll" role="img" aria-label=label>
            {move || rows(shape.get(), picture, at_work)}
        </div>
    }
}

fn rows(
    shape: GridShape,
    picture: Signal<Arc<GridPicture>>,
    at_work: Signal<Option<(Step, Block)>>,
) -> impl IntoView {
    let rows = shape.steps().map(|step| {
        let looks = Memo::new(move |_| looks_of(&picture.get(), step));
        let marked = Memo::new(move |_| {
            let place = at_work.get().filter(|(at, _)| *at == step);
            place.map(|(_, block)| block.0)
        });
        view! {
            <div class="live-row">
                <span class="live-step">{step.0}</span>
                {move || cells(&looks.get(), marked.get())}
            </div>
        }
    });
    rows.collect_view()
}

/// The strategy of each cell, as an index into `Strategy::ALL`, and its letter.
fn looks_of(picture: &GridPicture, step: Step) -> Vec<(Option<usize>, &'static str)> {
    let blocks = picture.shape.blocks();
    let looks = blocks
        .filter(|_| step.0 < picture.shape.n_steps)
        .map(|block| {
            let look = picture.look(step, block);
            let strategy = match look.paint {
                Paint::Strategy(idx) => Some(idx),
                _ => None,
            };
            (strategy, look.letter)
        });
    looks.collect()
}

fn cells(looks: &[(Option<usize>, &'static str)], marked: Option<usize>) -> impl IntoView + use<> {
    let cells = looks.iter().enumerate().map(|(idx, &(strategy, letter))| {
        let strategy = strategy.map(|idx| css_name(Strategy::ALL[idx]));
        let is_at_work = (marked == Some(idx)).then_some("true");
        view! { <i data-strategy=strategy data-at-work=is_at_work>{letter}</i> }
    });
    cells.collect_view()
}
