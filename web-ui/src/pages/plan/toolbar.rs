//! What stands around the grid: which layer it shows and in which form, and what can be
//! done with the selected cells.

use dfa_core::Strategy;
use leptos::prelude::*;

use super::desk::Desk;
use crate::figure::palette::letter;
use crate::plan::cursor::{Cursor, named_cell};
use crate::plan::layers::{Layer, index_of};
use crate::plan::workbench::{Region, Workbench};
use crate::words::counted;

/// The id of the field that finds a cell; the key `/` goes there.
pub const FIND_ID: &str = "find-cell";

/// Layers, form, and the search for a cell.
#[component]
pub fn ViewBar() -> impl IntoView {
    let desk = Desk::get();
    let layers = Layer::ALL.map(|layer| {
        let word = (layer != Layer::default()).then(|| layer.as_str());
        view! {
            <Choice
                group="layer"
                title=layer.title()
                is_chosen=Signal::derive(move || desk.layer.get() == layer)
                choose=Callback::new(move |()| desk.shared.set("layer", word))
            />
        }
    });
    let is_table = Memo::new(move |_| {
        desk.shared
            .link
            .with(|link| link.get("view") == Some("table"))
    });
    view! {
        <div class="view-bar">
            <div class="segmented" role="radiogroup" aria-label="Layer">{layers.collect_view()}</div>
            <div class="segmented" role="radiogroup" aria-label="Form">
                <Choice
                    group="view"
                    title="Grid"
                    is_chosen=Signal::derive(move || !is_table.get())
                    choose=Callback::new(move |()| desk.shared.set("view", None))
                />
                <Choice
                    group="view"
                    title="Table"
                    is_chosen=Signal::derive(move || is_table.get())
                    choose=Callback::new(move |()| desk.shared.set("view", Some("table")))
                />
            </div>
            <FindCell/>
        </div>
    }
}

/// One of several; the browser's own radio button under its name.
#[component]
fn Choice(
    group: &'static str,
    title: &'static str,
    is_chosen: Signal<bool>,
    choose: Callback<()>,
) -> impl IntoView {
    view! {
        <label class="choice">
            <input
                type="radio"
                name=group
                prop:checked=move || is_chosen.get()
                on:change=move |_| choose.run(())
            />
            <span>{title}</span>
        </label>
    }
}

/// A field that takes a step and a block.
#[component]
fn FindCell() -> impl IntoView {
    let desk = Desk::get();
    let text = RwSignal::new(String::new());
    let find = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Some(shape) = desk.ask(Workbench::shape) else {
            return;
        };
        match named_cell(&text.get_untracked(), shape) {
            Ok(cell) => {
                desk.cursor.set(Cursor::at(cell));
                text.set(String::new());
                focus_grid();
            }
            Err(words) => desk.refuse(words),
        }
    };
    view! {
        <form class="find" role="search" on:submit=find>
            <input
                id=FIND_ID
                type="text"
                inputmode="numeric"
                autocomplete="off"
                aria-label="Find a cell: step, block"
                placeholder="step, block"
                prop:value=move || text.get()
                on:input=move |event| text.set(event_target_value(&event))
            />
            <button>"Find"</button>
        </form>
    }
}

/// Gives the grid's cell the focus, once the grid knows which one it is.
pub fn focus_grid() {
    request_animation_frame(|| {
        use wasm_bindgen::JsCast as _;
        let found = document().query_selector(".workplace [role=gridcell][tabindex='0']");
        let cell = found.ok().flatten();
        if let Some(cell) = cell.and_then(|cell| cell.dyn_into::<web_sys::HtmlElement>().ok()) {
            // Who cannot be given the focus keeps it where it is.
            let _ = cell.focus();
        }
    });
}

/// What can be done with the selected cells.
#[component]
pub fn EditBar() -> impl IntoView {
    let desk = Desk::get();
    let region = move || desk.cursor.get().region;
    let selected = move || {
        let shape = desk.shown.with(|shown| Some(shown.as_ref()?.plan.shape()));
        let count = shape.and_then(|shape| Some(region().cells(shape)?.count()));
        format!("{} ({})", region(), counted(count.unwrap_or(0), "cell"))
    };
    let lock = move |_| lock(desk);
    let clear = move |_| desk.change(|bench| bench.clear(region()));
    view! {
        <div class="edit-bar" role="group" aria-label="Edit the selected cells">
            <span class="selected-words">"Selected: " <b>{selected}</b></span>
            <span class="segmented swatches" role="group" aria-label="Set the selected cells">
                <Strategies/>
            </span>
            <span class="segmented" role="group" aria-label="Locks and edits">
                <button title="Keep the selected cells whatever δ is, or let them go (L)" on:click=lock>
                    "Lock"
                </button>
                <button title="Forget what was set by hand in the selected cells" on:click=clear>
                    "Clear"
                </button>
            </span>
            <History/>
            <Said/>
        </div>
    }
}

/// Locks or unlocks the selection.
pub fn lock(desk: Desk) {
    let region = desk.cursor.get_untracked().region;
    desk.change(|bench| bench.toggle_lock(region));
}

/// Sets the selection.
pub fn set(desk: Desk, strategy: Strategy) {
    let region = desk.cursor.get_untracked().region;
    desk.change(|bench| bench.set(region, strategy));
}

#[component]
fn Strategies() -> impl IntoView {
    let desk = Desk::get();
    let buttons = Strategy::ALL.map(|strategy| {
        let idx = index_of(strategy);
        let name = strategy.paper_name();
        view! {
            <button
                class=format!("swatch s{idx}")
                aria-label=format!("Set to {name}")
                title=format!("Set to {name} ({idx})")
                on:click=move |_| set(desk, strategy)
            >
                {letter(strategy)}
            </button>
        }
    });
    buttons.collect_view()
}

#[component]
fn History() -> impl IntoView {
    let desk = Desk::get();
    let named = move |of: fn(&Workbench) -> Option<&str>| {
        desk.bench
            .with(|bench| Some(of(bench.as_ref()?)?.to_owned()))
    };
    let undoable = Memo::new(move |_| named(Workbench::undoable));
    let redoable = Memo::new(move |_| named(Workbench::redoable));
    let title = |verb: &str, what: Option<String>, key: &str| match what {
        Some(what) => format!("{verb}: {what} ({key})"),
        None => format!("Nothing to {}", verb.to_lowercase()),
    };
    view! {
        <span class="segmented" role="group" aria-label="History">
            <button
                disabled=move || undoable.with(Option::is_none)
                title=move || title("Undo", undoable.get(), "Ctrl+Z")
                on:click=move |_| desk.undo()
            >"Undo"</button>
            <button
                disabled=move || redoable.with(Option::is_none)
                title=move || title("Redo", redoable.get(), "Ctrl+Shift+Z")
                on:click=move |_| desk.redo()
            >"Redo"</button>
            <button
                disabled=move || undoable.with(Option::is_none)
                title="Back to what the search chose; can be undone"
                on:click=move |_| revert(desk)
            >"Revert"</button>
        </span>
    }
}

/// Back to what the search chose, in actions that can be undone.
fn revert(desk: Desk) {
    desk.change(|bench| {
        let n_locked = bench.shown().n_locked;
        if n_locked > 0 {
            // One call locks what is not, the next one unlocks everything.
            bench.toggle_lock(Region::Everything)?;
            if bench.shown().n_locked > 0 {
                bench.toggle_lock(Region::Everything)?;
            }
        }
        // Nothing set by hand is as good as taken back.
        let _ = bench.clear(Region::Everything);
        if let Some(slider) = bench.slider() {
            bench.set_threshold(slider.recorded)?;
            bench.settle();
        }
        Ok("Everything is as the search chose it.".to_owned())
    });
}

/// What was said last, in sight; screen readers are told by the frame.
#[component]
fn Said() -> impl IntoView {
    let desk = Desk::get();
    view! {
        <p class="said" class:refusal=move || desk.said.get().is_refusal>
            {move || desk.said.get().words}
        </p>
    }
}
