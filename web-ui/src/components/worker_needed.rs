//! What a page says when it needs a worker and there is none that answers: what is the
//! matter, and what to do.

use leptos::prelude::*;

use crate::presence::ask_worker;
use crate::state::{Shared, Worker};

/// Nothing while the worker answers. `purpose` completes "… needs a worker".
#[component]
pub fn WorkerNeeded(
    /// What needs one, for example "A calibration".
    purpose: &'static str,
) -> impl IntoView {
    let shared = Shared::get();
    move || {
        match shared.worker.get() {
        Worker::Ready(_) => ().into_any(),
        Worker::Asked => view! { <p class="note" role="status">"Asking the worker…"</p> }.into_any(),
        Worker::Locked => view! {
            <div class="note warn" role="status">
                <p><strong>"The worker needs a key."</strong>" Log in with the form at the corner of the window."</p>
            </div>
        }
        .into_any(),
        Worker::None => view! {
            <div class="note">
                <p><strong>{purpose}" needs a worker."</strong>" This page comes from a plain file server, which has none."</p>
                <HowToStart/>
            </div>
        }
        .into_any(),
        Worker::Away(why) => view! {
            <div class="note warn" role="status">
                <p><strong>{purpose}" needs a worker."</strong>" "{crate::forms::reading::sentence(&why)}</p>
                <HowToStart/>
                <p>"The page goes on by itself as soon as it answers. "
                    <button on:click=move |_| ask_worker(shared)>"Try now"</button>
                </p>
            </div>
        }
        .into_any(),
    }
    }
}

#[component]
fn HowToStart() -> impl IntoView {
    view! {
        <p>"Start one in the project's folder, then open the address that it prints:"</p>
        <pre tabindex="0">"cargo xtask serve\n# or, with the program installed:\ndfa serve --model-id models/avatars-dit"</pre>
    }
}
