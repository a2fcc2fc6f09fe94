//! The help window: every key in one place, and the switch that turns single keys off, for
//! people who speak to their computer (WCAG 2.1.4).

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

/// Where this browser remembers that single keys are off.
const SINGLE_KEYS: &str = "dfa-single-keys";

/// Whether a key is not for the page: it belongs to a text that is being typed, or it is a
/// single character and those are turned off.
pub fn is_not_ours(event: &KeyboardEvent) -> bool {
    let is_single = event.key().chars().count() == 1 && !event.ctrl_key() && !event.meta_key();
    is_typing(event) || (is_single && !are_single_keys_on())
}

fn is_typing(event: &KeyboardEvent) -> bool {
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

fn are_single_keys_on() -> bool {
    let storage = window().local_storage().ok().flatten();
    let kept = storage.and_then(|storage| storage.get_item(SINGLE_KEYS).ok().flatten());
    kept.as_deref() != Some("off")
}

fn turn_single_keys(on: bool) {
    if let Ok(Some(storage)) = window().local_storage() {
        // A browser that keeps nothing leaves them on.
        let _ = storage.set_item(SINGLE_KEYS, if on { "on" } else { "off" });
    }
}

/// The switch.
#[component]
fn SingleKeys() -> impl IntoView {
    let are_on = RwSignal::new(are_single_keys_on());
    view! {
        <label class="inline">
            <input
                type="checkbox"
                prop:checked=move || are_on.get()
                on:change=move |event| {
                    turn_single_keys(event_target_checked(&event));
                    are_on.set(are_single_keys_on());
                }
            />
            "Keys of a single character do something"
        </label>
    }
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
            <p><SingleKeys/></p>
            <button on:click=move |_| is_open.set(false)>"Close"</button>
        </dialog>
    }
}
