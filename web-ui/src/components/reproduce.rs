//! How to make the same again: the request, and the commands that repeat it.

use dfa_core::wire::JobRequest;
use leptos::prelude::*;

use super::copy::CopyButton;
use crate::job::command::commands;

/// The commands and the request of a job, each with a button that copies it.
#[component]
pub fn Reproduce(request: JobRequest) -> impl IntoView {
    // Writing a request that was read cannot fail.
    let json = serde_json::to_string_pretty(&request).unwrap_or_default();
    let commands = commands(&request, &base()).into_iter();
    let entries = commands.map(|command| {
        view! { <Snippet title=command.title what="the command" text=command.text/> }
    });
    view! {
        <div class="reproduce stack">
            <h3>"Reproduce with this command"</h3>
            {entries.collect_view()}
            <Snippet title="The request" what="the request" text=json/>
            <p class="hint">
                "A worker that wants a key needs it too: "
                <code>"-H 'authorization: Bearer KEY'"</code>
                ". A model's id is its folder's name; write the path if the folder lies elsewhere."
            </p>
        </div>
    }
}

#[component]
fn Snippet(title: &'static str, what: &'static str, text: String) -> impl IntoView {
    view! {
        <figure class="snippet">
            <figcaption>{title}<CopyButton text=text.clone() what=what/></figcaption>
            <pre tabindex="0">{text}</pre>
        </figure>
    }
}

/// The worker's address, as this page reaches it.
fn base() -> String {
    let location = window().location();
    let origin = location.origin().unwrap_or_default();
    let folder = location.pathname().unwrap_or_default();
    let folder = folder.rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{origin}{folder}")
}
