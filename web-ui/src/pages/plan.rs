//! The page "Plan": a plan seen, understood and changed.
//!
//! - [`desk`]: what the page works on; it outlives the page.
//! - [`address`]: the desk and the address in step.
//! - [`opening`]: from an address, a file or a list to a plan on the desk.
//! - [`open_dialog`], [`drop_zone`]: where people choose what to open.
//! - [`head`], [`export`]: what is open, and where it can go.
//! - [`threshold_bar`], [`calibrate_here`]: δ, and how to learn the truth about it.
//! - [`toolbar`], [`table`], [`legend`]: the grid's layers, edits, and another form of it.
//! - [`cell_card`], [`totals_card`], [`pareto_card`], [`compare_card`]: what there is to know.
//! - [`keys`]: the keys of the page.
//! - [`bench`]: how long a change of δ takes, measured in place.

use std::sync::Arc;

use leptos::prelude::*;

use crate::components::plan_grid::PlanGrid;
use crate::plan::picture::GridPicture;

pub mod address;
pub mod bench;
pub mod calibrate_here;
pub mod cell_card;
pub mod compare_card;
pub mod desk;
pub mod drop_zone;
pub mod export;
pub mod head;
pub mod keys;
pub mod legend;
pub mod open_dialog;
pub mod opening;
pub mod pareto_card;
pub mod plot;
pub mod table;
pub mod threshold_bar;
pub mod toolbar;
pub mod totals_card;

use calibrate_here::CalibrateHere;
use cell_card::CellCard;
use compare_card::CompareCard;
use desk::Desk;
use drop_zone::DropZone;
use head::Head;
use legend::LegendRow;
use open_dialog::{OpenDialog, RefusedNote};
use opening::Purpose;
use pareto_card::ParetoCard;
use table::TableView;
use threshold_bar::ThresholdBar;
use toolbar::{EditBar, ViewBar};
use totals_card::TotalsCard;

/// The page.
#[component]
pub fn PlanPage() -> impl IntoView {
    let desk = Desk::get();
    address::keep(desk);
    bench::run_if_asked(desk);
    let choosing = RwSignal::new(None::<Purpose>);
    keys::listen(desk);
    let is_open = Memo::new(move |_| desk.bench.with(Option::is_some));
    view! {
        <div class="plan-page">
            <Head choosing/>
            <RefusedNote/>
            <p class="loading" role="status">{move || desk.loading.get()}</p>
            <Show when=move || is_open.get() fallback=move || view! { <Empty choosing/> }>
                <div class="plan-columns">
                    <div class="plan-main">
                        <Workplace/>
                        <CellCard/>
                        <CompareCard choosing/>
                    </div>
                    <div class="plan-side">
                        <TotalsCard/>
                        <ParetoCard/>
                    </div>
                </div>
            </Show>
            <OpenDialog choosing/>
            <DropZone/>
        </div>
    }
}

/// δ, the grid and what belongs to it.
#[component]
fn Workplace() -> impl IntoView {
    let desk = Desk::get();
    let is_table = Memo::new(move |_| {
        desk.shared
            .link
            .with(|link| link.get("view") == Some("table"))
    });
    view! {
        <section class="card workplace" aria-label="Plan">
            <ThresholdBar/>
            <CalibrateHere/>
            <ViewBar/>
            <Show when=move || is_table.get() fallback=|| view! { <Grid/> }>
                <TableView/>
            </Show>
            <LegendRow/>
            <EditBar/>
        </section>
    }
}

#[component]
fn Grid() -> impl IntoView {
    let desk = Desk::get();
    let picture = Signal::derive(move || {
        let drawn = desk.drawn.get();
        drawn.map_or_else(no_picture, |drawn| drawn.picture.clone())
    });
    let label = Signal::derive(move || {
        let shape = picture.with(|picture| picture.shape);
        format!("{} of the plan, {shape}", desk.layer.get().title())
    });
    let words = Callback::new(move |cell| desk.words(cell));
    let on_open = Callback::new(move |_| cell_card::show());
    view! { <PlanGrid picture cursor=desk.cursor label words on_open/> }
}

/// What a grid draws where there is nothing to draw.
fn no_picture() -> Arc<GridPicture> {
    Arc::new(GridPicture {
        shape: dfa_core::GridShape {
            n_steps: 1,
            n_blocks: 1,
        },
        cells: Vec::new(),
    })
}

/// Before any plan is open.
#[component]
fn Empty(choosing: RwSignal<Option<Purpose>>) -> impl IntoView {
    let desk = Desk::get();
    view! {
        <Show when=move || desk.loading.get().is_none()>
            <section class="card nothing-open" aria-label="No plan is open">
                <h2>"No plan is open"</h2>
                <p>
                    "A compression plan says how each self-attention layer is computed at each \
                     denoising step. Open a file to see one, or drop it anywhere on this page: \
                     our plan files, plans of the reference project, xDiT's JSON and CSV are read."
                </p>
                <p class="row">
                    <button class="primary" on:click=move |_| choosing.set(Some(Purpose::Desk))>
                        "Open a plan…"
                    </button>
                    <button on:click=move |_| desk.go_to(opening::SAMPLE)>"Open the sample"</button>
                    <a class="button" href="#calibrate">"Make one by calibration"</a>
                </p>
            </section>
        </Show>
    }
}
