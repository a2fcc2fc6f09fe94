//! A file that is dropped anywhere on the page is opened. While one is dragged over it,
//! the page says so.

use leptos::ev;
use leptos::prelude::*;

use super::desk::Desk;
use super::opening::{Purpose, open_local};

/// Shown only while something is dragged over the page.
#[component]
pub fn DropZone() -> impl IntoView {
    let desk = Desk::get();
    let is_over = RwSignal::new(false);
    let over = window_event_listener(ev::dragover, move |event| {
        if holds_files(&event) {
            // Without this the browser would leave the page for the file.
            event.prevent_default();
            is_over.set(true);
        }
    });
    let left = window_event_listener(ev::dragleave, move |event| {
        if event.related_target().is_none() {
            is_over.set(false);
        }
    });
    let dropped = window_event_listener(ev::drop, move |event| {
        if !holds_files(&event) {
            return;
        }
        event.prevent_default();
        is_over.set(false);
        let files = event.data_transfer().and_then(|data| data.files());
        match files.and_then(|files| Some((files.get(0)?, files.length()))) {
            Some((file, 1)) => open_local(desk, file, Purpose::Desk),
            Some(_) => desk.refuse("Drop one file at a time: one plan is open at a time."),
            None => {}
        }
    });
    on_cleanup(move || {
        over.remove();
        left.remove();
        dropped.remove();
    });
    view! {
        <Show when=move || is_over.get()>
            <div class="drop-zone"><p>"Drop the file to open its plan"</p></div>
        </Show>
    }
}

fn holds_files(event: &ev::DragEvent) -> bool {
    let types = event.data_transfer().map(|data| data.types());
    types.is_some_and(|types| types.includes(&"Files".into(), 0))
}
