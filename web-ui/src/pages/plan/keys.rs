//! The keys of the page, wherever the focus is; those of the grid alone are the grid's.
//! `components/help.rs` lists them all.

use dfa_core::Strategy;
use leptos::ev::{self, KeyboardEvent};
use leptos::prelude::*;
use wasm_bindgen::JsCast as _;
use web_sys::{Element, HtmlElement};

use super::desk::Desk;
use super::threshold_bar::{flip, nudge};
use super::toolbar::{FIND_ID, lock, set};
use crate::components::help::is_not_ours;
use crate::plan::layers::Layer;
use crate::plan::threshold::Direction;

/// Listens while the page is there.
pub fn listen(desk: Desk) {
    let keys = window_event_listener(ev::keydown, move |event| {
        let is_free = !event.default_prevented() && !event.alt_key() && !is_dialog_open();
        if is_free && !is_not_ours(&event) && desk.ask(|_| ()).is_some() && press(desk, &event) {
            event.prevent_default();
        }
    });
    on_cleanup(move || keys.remove());
}

fn is_dialog_open() -> bool {
    let open = document().query_selector("dialog[open]");
    open.is_ok_and(|dialog| dialog.is_some())
}

/// Whether the key did something.
fn press(desk: Desk, event: &KeyboardEvent) -> bool {
    let key = event.key();
    if event.ctrl_key() || event.meta_key() {
        match (key.to_lowercase().as_str(), event.shift_key()) {
            ("z", false) => desk.undo(),
            ("z", true) | ("y", false) => desk.redo(),
            _ => return false,
        }
        return true;
    }
    match key.as_str() {
        "[" => nudge(desk, -1.0),
        "]" => nudge(desk, 1.0),
        "{" => flip(desk, Direction::Down),
        "}" => flip(desk, Direction::Up),
        "g" | "G" => next_layer(desk),
        "/" => find(),
        _ if is_on_cells(event) => return press_on_cells(desk, &key),
        _ => return false,
    }
    true
}

/// Keys that change cells count only in the grid, or where nothing has the focus.
fn is_on_cells(event: &KeyboardEvent) -> bool {
    let target = event
        .target()
        .and_then(|target| target.dyn_into::<Element>().ok());
    target.is_some_and(|target| {
        target.tag_name() == "BODY" || target.closest("[role=grid]").is_ok_and(|it| it.is_some())
    })
}

fn press_on_cells(desk: Desk, key: &str) -> bool {
    if let "l" | "L" = key {
        lock(desk);
        return true;
    }
    let strategy = key
        .parse()
        .ok()
        .and_then(|idx: usize| Strategy::ALL.get(idx));
    if let Some(&strategy) = strategy {
        set(desk, strategy);
    }
    strategy.is_some()
}

fn next_layer(desk: Desk) {
    let now = desk.layer.get_untracked();
    let place = Layer::ALL
        .iter()
        .position(|&layer| layer == now)
        .unwrap_or(0);
    let next = Layer::ALL[(place + 1) % Layer::ALL.len()];
    let word = (next != Layer::default()).then(|| next.as_str());
    desk.shared.set("layer", word);
    desk.shared.announce(format!("Layer: {}", next.title()));
}

fn find() {
    let field = document().get_element_by_id(FIND_ID);
    if let Some(field) = field.and_then(|field| field.dyn_into::<HtmlElement>().ok()) {
        // Who cannot be given the focus keeps it where it is.
        let _ = field.focus();
    }
}
