//! Asks for the worker's key when it wants one. The key goes to the worker once, for a
//! cookie that scripts cannot read; it is kept nowhere else.

use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api;
use crate::presence::ask_worker;
use crate::state::{Shared, Worker};

/// Shown only while the worker is locked.
#[component]
pub fn Login() -> impl IntoView {
    let shared = Shared::get();
    let key = RwSignal::new(String::new());
    let problem = RwSignal::new(String::new());
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        spawn_local(async move {
            match api::login(&key.get_untracked()).await {
                Ok(()) => {
                    key.set(String::new());
                    problem.set(String::new());
                    ask_worker(shared);
                }
                Err(error) => problem.set(error.to_string()),
            }
        });
    };
    view! {
        <Show when=move || shared.worker.get() == Worker::Locked>
            <form class="login card" aria-label="Log in to the worker" on:submit=submit>
                <label>
                    "This worker needs a key (its --api-key)"
                    <input
                        type="password"
                        autocomplete="current-password"
                        required
                        prop:value=move || key.get()
                        on:input=move |event| key.set(event_target_value(&event))
                    />
                </label>
                <button>"Log in"</button>
                <p role="alert" class="problem">{move || problem.get()}</p>
            </form>
        </Show>
    }
}
