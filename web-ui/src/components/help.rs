//! The help window: every key, in one place.

use leptos::ev::KeyboardEvent;
use leptos::html::Dialog;
use leptos::prelude::*;
use wasm_bindgen::JsCast as _;

/// A page and its keys: what is pressed, and what it does.
type KeysOfPage = (&'static str, &'static [(&'static str, &'static str)]);

const KEYS: [KeysOfPage; 3] = [
    (
        "Everywhere",
        &[
            ("?", "this help"),
            ("Tab", "next control"),
            ("Esc", "close what is open"),
        ],
    ),
    (
        "Plan",
        &[
            ("← ↑ → ↓", "another cell; with Shift, a rectangle"),
            (
                "Home, End",
                "first, last cell of the row; with Ctrl, of the plan",
            ),
            ("Page Up, Page Down", "ten rows up, down"),
            (
                "Shift+Space",
                "select the row; Ctrl+Space the column, Ctrl+A everything",
            ),
            ("Enter", "the cell's losses and the reason"),
            (
                "[ and ]",
                "δ down, up; with Shift, to the next cell that flips",
            ),
            ("0 to 5", "set the selected cells: F, W, A, C, B, o"),
            ("L", "lock or unlock the selected cells"),
            ("Ctrl+Z, Ctrl+Shift+Z", "undo, redo"),
            ("G", "next layer over the grid"),
            ("/", "find a cell: step, block"),
        ],
    ),
    (
        "Generate",
        &[
            ("1 to 5", "side by side, wipe, blink, difference, SSIM"),
            ("+ and −", "zoom; 0 fits the picture"),
            ("← ↑ → ↓", "move the picture"),
            ("N and P", "next, previous picture"),
        ],
    ),
];

/// Whether a key belongs to the text that is being typed.
pub fn is_typing(event: &KeyboardEvent) -> bool {
    let target = event.target();
    let element = target.and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    element.is_some_and(|element| {
        let kind = element.get_attribute("type");
        let slides = matches!(kind.as_deref(), Some("range" | "checkbox" | "radio"));
        match element.tag_name().as_str() {
            "INPUT" => !slides,
            name => matches!(name, "TEXTAREA" | "SELECT"),
        }
    })
}

/// A dialog of the browser: it keeps the focus and closes with Esc.
#[component]
pub fn Help(is_open: RwSignal<bool>) -> impl IntoView {
    let dialog = NodeRef::<Dialog>::new();
    Effect::new(move |_| {
        let Some(dialog) = dialog.get() else { return };
        if is_open.get() {
            // One that is open already refuses, which is as good.
            let _ = dialog.show_modal();
        } else {
            dialog.close();
        }
    });
    let sections = KEYS.map(|(title, keys)| {
        let rows = keys.iter().map(|(key, words)| {
            view! { <dt><kbd>{*key}</kbd></dt><dd>{*words}</dd> }
        });
        view! { <h3>{title}</h3><dl class="keys">{rows.collect_view()}</dl> }
    });
    view! {
        <dialog
            class="card help"
            node_ref=dialog
            aria-labelledby="help-title"
            on:close=move |_| is_open.set(false)
        >
            <h2 id="help-title">"Keyboard"</h2>
            {sections.collect_view()}
            <button on:click=move |_| is_open.set(false)>"Close"</button>
        </dialog>
    }
}
