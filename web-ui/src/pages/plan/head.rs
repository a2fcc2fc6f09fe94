//! What is open: its name, where it comes from, whether it was edited, and where it can go.

use dfa_core::wire::CalibrationInputs;
use leptos::prelude::*;

use super::desk::Desk;
use super::export::Actions;
use super::opening::Purpose;
use crate::plan::opened::{OpenPlan, Origin};
use crate::words::counted;

/// The head of the page.
#[component]
pub fn Head(choosing: RwSignal<Option<Purpose>>) -> impl IntoView {
    let desk = Desk::get();
    let name = move || {
        let name = desk.of_file(|opened| opened.name.clone());
        name.unwrap_or_else(|| "Plan".to_owned())
    };
    view! {
        <div class="plan-head">
            <h1>{name}</h1>
            <p class="plan-facts">{move || desk.of_file(facts)} " · " <Identity/></p>
            <div class="actions row">
                <button class="primary" on:click=move |_| choosing.set(Some(Purpose::Desk))>"Open…"</button>
                <Show when=move || desk.of_file(|_| ()).is_some()>
                    <button on:click=move |_| choosing.set(Some(Purpose::Comparison))>"Compare…"</button>
                    <Actions/>
                </Show>
            </div>
        </div>
        <Texts/>
        <Warnings/>
    }
}

/// The prompts that the plan was calibrated with, folded away.
#[component]
fn Texts() -> impl IntoView {
    let desk = Desk::get();
    let prompts = Memo::new(move |_| desk.of_file(prompts_of).unwrap_or_default());
    let title = move || {
        format!(
            "Calibrated with {}",
            counted(prompts.with(Vec::len), "prompt")
        )
    };
    let lines = move || {
        let prompts = prompts.get().into_iter();
        prompts
            .map(|prompt| view! { <li>{prompt}</li> })
            .collect_view()
    };
    view! {
        <Show when=move || !prompts.with(Vec::is_empty)>
            <details class="plan-texts"><summary>{title}</summary><ol>{lines}</ol></details>
        </Show>
    }
}

/// Texts that were encoded elsewhere are not known.
fn prompts_of(opened: &OpenPlan) -> Vec<String> {
    let known = opened.checked.provenance.as_ref();
    let known = known.filter(|it| it.prompt_embeds_sha256.is_none());
    match known.map(|it| &it.inputs) {
        Some(CalibrationInputs::Prompts(prompts)) => prompts.clone(),
        _ => Vec::new(),
    }
}

/// Shape, model, window, origin, in a line.
fn facts(opened: &OpenPlan) -> String {
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
    let shape = opened.plan().shape();
    format!(
        "{shape}{model} · window {}+{} · {origin}",
        window.left, window.right
    )
}

/// The hash of the plan; or, if the plan shown is not its file's, a badge that says so and
/// names the plan that it comes from.
#[component]
fn Identity() -> impl IntoView {
    let desk = Desk::get();
    let hash = Memo::new(move |_| desk.of_file(|opened| opened.hash().short()));
    let parent = move || {
        let parent = desk.of_file(|opened| opened.checked.edited_from)?;
        parent.map(|parent| parent.short())
    };
    let is_changed = Memo::new(move |_| {
        let shown = desk.shown.get()?;
        desk.ask(|bench| shown.plan != *bench.opened().plan())
    });
    move || {
        let parent = match is_changed.get() {
            Some(true) => hash.get(),
            _ => parent(),
        };
        match parent {
            Some(parent) => view! {
                <span
                    class="badge warn"
                    title="The plan shown is not the one in the file. Saved, it names the plan that it comes from by this hash."
                >
                    {format!("edited from {parent}")}
                </span>
            }
            .into_any(),
            None => hash.get().into_any(),
        }
    }
}

/// What the file did not say and was assumed.
#[component]
fn Warnings() -> impl IntoView {
    let desk = Desk::get();
    let warnings = move || {
        desk.of_file(|opened| opened.warnings.clone())
            .unwrap_or_default()
    };
    view! {
        {move || warnings().into_iter()
            .map(|words| view! { <p class="note warn">{words}</p> })
            .collect_view()}
    }
}
