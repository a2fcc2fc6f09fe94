//! What is open: its name, where it comes from, whether it was edited, and where it can go.

use leptos::prelude::*;

use super::desk::Desk;
use super::export::Actions;
use super::opening::Purpose;
use crate::plan::opened::Origin;
use crate::plan::workbench::Workbench;

/// The head of the page.
#[component]
pub fn Head(choosing: RwSignal<Option<Purpose>>) -> impl IntoView {
    let desk = Desk::get();
    let name = move || {
        let name = desk.bench.with(|bench| Some(bench.as_ref()?.opened().name.clone()));
        name.unwrap_or_else(|| "Plan".to_owned())
    };
    view! {
        <div class="plan-head">
            <h1>{name}</h1>
            <p class="facts">{move || desk.bench.with(|bench| bench.as_ref().map(facts))}</p>
            <Edited/>
            <div class="actions row">
                <button class="primary" on:click=move |_| choosing.set(Some(Purpose::Desk))>"Open…"</button>
                <Show when=move || desk.bench.with(Option::is_some)>
                    <button on:click=move |_| choosing.set(Some(Purpose::Comparison))>"Compare…"</button>
                    <Actions/>
                </Show>
            </div>
        </div>
        <Warnings/>
    }
}

/// Shape, origin, window, in a line.
fn facts(bench: &Workbench) -> String {
    let opened = bench.opened();
    let origin = match opened.origin {
        Origin::Sample => "sample",
        Origin::File => "file of this computer",
        Origin::Library(_) => "worker's library",
        Origin::Job(_) => "calibration",
        Origin::Link => "from a link",
        Origin::Edited => "edited here",
    };
    let window = opened.plan().window();
    let model = opened.checked.provenance.as_ref();
    let model = model.map_or(String::new(), |it| format!(" · {}", it.model_id));
    format!(
        "{}{model} · window {}+{} · {origin} · {}",
        bench.shape(),
        window.left,
        window.right,
        opened.hash().short()
    )
}

/// Says that the plan shown is not its file's, and which plan it comes from.
#[component]
fn Edited() -> impl IntoView {
    let desk = Desk::get();
    let words = move || {
        let shown = desk.shown.get()?;
        desk.bench.with(|bench| {
            let opened = bench.as_ref()?.opened();
            let parent = match opened.checked.edited_from {
                _ if shown.plan != *opened.plan() => Some(opened.hash()),
                parent => parent,
            };
            Some(format!("edited from {}", parent?.short()))
        })
    };
    view! {
        {move || words().map(|words| view! {
            <span class="badge warn" title="The hash of the plan that this one comes from; it is kept in the file">
                {words}
            </span>
        })}
    }
}

/// What the file did not say and was assumed.
#[component]
fn Warnings() -> impl IntoView {
    let desk = Desk::get();
    let warnings = Memo::new(move |_| {
        desk.bench
            .with(|bench| bench.as_ref().map(|bench| bench.opened().warnings.clone()))
            .unwrap_or_default()
    });
    view! {
        {move || warnings.get().into_iter()
            .map(|words| view! { <p class="note warn">{words}</p> })
            .collect_view()}
    }
}
