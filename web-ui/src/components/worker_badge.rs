//! One word about the worker, always in sight.

use leptos::prelude::*;

use crate::presence::{ask_worker, pause_secs};
use crate::state::{Shared, Worker};

/// The badge. While the worker is away it says when it is asked again.
#[component]
pub fn WorkerBadge() -> impl IntoView {
    let shared = Shared::get();
    let is_away = move || matches!(shared.worker.get(), Worker::Away(_));
    let title = move || match shared.worker.get() {
        Worker::Away(why) => why,
        _ => String::new(),
    };
    view! {
        <span class="worker-badge" data-state=move || state(&shared.worker.get()) title=title>
            {move || words(&shared.worker.get(), shared.n_tries.get())}
            <Show when=is_away>
                <button class="quiet" on:click=move |_| ask_worker(shared)>"Try now"</button>
            </Show>
        </span>
    }
}

const fn state(worker: &Worker) -> &'static str {
    match worker {
        Worker::Asked => "waiting",
        Worker::None => "none",
        Worker::Away(_) | Worker::Locked => "bad",
        Worker::Ready(_) => "good",
    }
}

fn words(worker: &Worker, n_tries: usize) -> String {
    match worker {
        Worker::Asked => "asking the worker…".into(),
        Worker::None => "no worker: plans can be seen and changed".into(),
        Worker::Away(_) => {
            let secs = pause_secs(n_tries.saturating_sub(1));
            format!("worker away, asked every {secs} s")
        }
        Worker::Locked => "worker needs a key".into(),
        Worker::Ready(capabilities) => {
            let models: Vec<&str> = capabilities
                .models
                .iter()
                .map(|model| model.id.as_str())
                .collect();
            format!("worker: {}", models.join(", "))
        }
    }
}
