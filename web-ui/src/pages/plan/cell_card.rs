//! The cell that the keyboard stands on: every measured loss against its budget, the
//! margin, and the reason in words.

use dfa_core::{Block, Step, Strategy};
use leptos::prelude::*;

use super::desk::Desk;
use crate::figure::palette::letter;
use crate::plan::layers::index_of;
use crate::plan::reason::{self, Verdict};
use crate::words::{number, percent};

const ID: &str = "cell-card";

/// Brings the card into sight and gives it the focus.
pub(super) fn show() {
    use wasm_bindgen::JsCast as _;
    let card = document().get_element_by_id(ID);
    if let Some(card) = card.and_then(|card| card.dyn_into::<web_sys::HtmlElement>().ok()) {
        card.scroll_into_view_with_bool(false);
        // Who cannot be given the focus keeps it where it is.
        let _ = card.focus();
    }
}
