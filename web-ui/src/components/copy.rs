//! A button that puts a text on the clipboard, and says that it did.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen_futures::JsFuture;

use crate::state::Shared;

/// How long the button says what happened.
const SAID_FOR: Duration = Duration::from_secs(2);

/// Copies `text`; `what` says to a screen reader what is copied.
#[component]
pub fn CopyButton(#[prop(into)] text: Signal<String>, what: &'static str) -> impl IntoView {
    let shared = Shared::get();
    let said = RwSignal::new("Copy");
    let copy = move |_| {
        let text = text.get_untracked();
        spawn_local(async move {
            let words = if put_on_clipboard(&text).await {
                "Copied"
            } else {
                "Copy it by hand"
            };
            shared.announce(words);
            // Whoever leaves the page meanwhile does not read it any more.
            let _ = said.try_set(words);
            let say_again = move || {
                let _ = said.try_set("Copy");
            };
            set_timeout(say_again, SAID_FOR);
        });
    };
    view! {
        <button type="button" class="quiet copy" aria-label=format!("Copy {what}") on:click=copy>
            {move || said.get()}
        </button>
    }
}

/// Browsers have a clipboard only for pages of this machine or over HTTPS.
async fn put_on_clipboard(text: &str) -> bool {
    let navigator = window().navigator();
    let has_one = js_sys::Reflect::get(&navigator, &"clipboard".into())
        .is_ok_and(|clipboard| !clipboard.is_undefined());
    has_one
        && JsFuture::from(navigator.clipboard().write_text(text))
            .await
            .is_ok()
}
