//! Whether the worker is there. It is asked at the start; while it is away it is asked again
//! and again, with longer and longer pauses; while it is there a tiny request every now and
//! then notices when it goes. Nothing is asked while the page is not looked at.

use std::sync::Arc;
use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api::{self, ApiError};
use crate::state::{Shared, Worker};

/// The pauses between tries: the last one stays.
const PAUSES_SECS: [u64; 6] = [1, 2, 4, 8, 16, 30];
/// How often a worker that is there is asked whether it still is.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Asks the worker at once what it can do; [`Shared::worker`] tells everybody.
pub fn ask_worker(shared: Shared) {
    if is_without_worker() {
        shared.worker.set(Worker::None);
        return;
    }
    shared.n_tries.set(0);
    ask(shared);
}

/// Whether the page was written for a plain file server.
fn is_without_worker() -> bool {
    let meta = document().query_selector("meta[name=dfa-worker]");
    let content = meta
        .ok()
        .flatten()
        .and_then(|meta| meta.get_attribute("content"));
    content.as_deref() == Some("none")
}

fn ask(shared: Shared) {
    spawn_local(async move {
        let worker = match api::capabilities().await {
            Ok(capabilities) => Worker::Ready(Arc::new(capabilities)),
            Err(error) if error.needs_key() => Worker::Locked,
            Err(error) => Worker::Away(error.to_string()),
        };
        tell(shared, worker);
    });
}

/// Learns from a request that failed: whoever made it says so, this looks further.
pub fn heed(shared: Shared, error: &ApiError) {
    match error {
        ApiError::Unreachable(_) => ask(shared),
        error if error.needs_key() => shared.worker.set(Worker::Locked),
        _ => {}
    }
}

/// Tells what was found, and plans the next look.
fn tell(shared: Shared, worker: Worker) {
    let was = shared.worker.get_untracked();
    match (&was, &worker) {
        (Worker::Away(_), Worker::Ready(_)) => shared.announce("The worker is back."),
        (Worker::Ready(_), Worker::Away(_)) => shared.announce("The worker does not answer."),
        _ => {}
    }
    match worker {
        Worker::Away(_) => retry_later(shared),
        Worker::Ready(_) => {
            shared.n_tries.set(0);
            look_later(shared);
        }
        Worker::Locked | Worker::None | Worker::Asked => {}
    }
    if was != worker {
        shared.worker.set(worker);
    }
}

/// Seconds until the try after `n_tries` that failed.
pub fn pause_secs(n_tries: usize) -> u64 {
    PAUSES_SECS[n_tries.min(PAUSES_SECS.len() - 1)]
}

fn retry_later(shared: Shared) {
    let n_tries = shared.n_tries.get_untracked();
    shared.n_tries.set(n_tries + 1);
    let planned = shared.look.get_untracked() + 1;
    shared.look.set(planned);
    let pause = Duration::from_secs(pause_secs(n_tries));
    let again = move || {
        // A try by hand in between makes its own plan.
        if shared.look.get_untracked() == planned {
            ask(shared);
        }
    };
    set_timeout(again, pause);
}

fn look_later(shared: Shared) {
    let planned = shared.look.get_untracked() + 1;
    shared.look.set(planned);
    set_timeout(move || look(shared, planned), HEARTBEAT);
}

fn look(shared: Shared, planned: u64) {
    if shared.look.get_untracked() != planned {
        return;
    }
    if document().hidden() {
        return look_later(shared);
    }
    spawn_local(async move {
        match api::ping().await {
            Ok(()) => look_later(shared),
            // Why it does not answer is the next answer's to say.
            Err(_) => ask(shared),
        }
    });
}
