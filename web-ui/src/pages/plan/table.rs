//! The grid as a table of words and numbers: the same data, for whoever prefers or needs
//! to read it.

use dfa_core::{Block, Step};
use leptos::prelude::*;

use super::desk::Desk;
use crate::plan::layers::Layer;
use crate::plan::opened::OpenPlan;
use crate::plan::picture::{GridPicture, Paint};
use crate::plan::workbench::Shown;
use crate::words::{number, percent};

/// Steps down, blocks across.
#[component]
pub fn TableView() -> impl IntoView {
    let desk = Desk::get();
    let table = move || {
        let (shown, drawn) = (desk.shown.get()?, desk.drawn.get()?);
        let layer = desk.layer.get();
        desk.bench.with_untracked(|bench| {
            let opened = bench.as_ref()?.opened();
            Some(table(opened, &shown, &drawn.picture, layer))
        })
    };
    view! { <div class="scroll table-view" tabindex="0" role="region" aria-label="Plan as a table">{table}</div> }
}

fn table(
    opened: &OpenPlan,
    shown: &Shown,
    picture: &GridPicture,
    layer: Layer,
) -> impl IntoView + use<> {
    let shape = shown.plan.shape();
    let head = shape
        .blocks()
        .map(|block| view! { <th scope="col">{block.0}</th> });
    let rows = shape.steps().map(|step| {
        let cells = shape.blocks().map(|block| {
            let text = text(opened, shown, picture, layer, (step, block));
            view! { <td>{text}</td> }
        });
        view! { <tr><th scope="row">{step.0}</th>{cells.collect_view()}</tr> }
    });
    view! {
        <table>
            <caption>{format!("{}: a row is a step, a column is a block", layer.title())}</caption>
            <thead><tr><th scope="col">"Step"</th>{head.collect_view()}</tr></thead>
            <tbody>{rows.collect_view()}</tbody>
        </table>
    }
}

fn text(
    opened: &OpenPlan,
    shown: &Shown,
    picture: &GridPicture,
    layer: Layer,
    (step, block): (Step, Block),
) -> String {
    let strategy = shown.plan.strategy(step, block);
    let margin = || opened.margin(shown.threshold?, step, block, strategy);
    let value = match layer {
        Layer::Strategy => Some(strategy.as_str().to_owned()),
        Layer::Loss => {
            let loss = opened.telling_loss(step, block, strategy);
            loss.map(|loss| number(loss.into()))
        }
        Layer::Margin => margin().map(percent),
        Layer::Saved => match picture.look(step, block).paint {
            Paint::Scale(share) => Some(percent(share.into())),
            _ => None,
        },
    };
    let look = picture.look(step, block);
    let mut text = value.unwrap_or_else(|| "–".to_owned());
    for (_, mark) in [
        (look.is_changed, " changed"),
        (look.is_edited, " by hand"),
        (look.is_locked, " locked"),
    ]
    .into_iter()
    .filter(|&(holds, _)| holds)
    {
        text += mark;
    }
    text
}
