//! A job watched by a page: its story as a signal, for as long as the page is shown.
//!
//! Events come faster than a screen shows pictures, above all when a log is told from its
//! beginning; they are collected and told once per picture.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use dfa_core::wire::JobId;
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api::events::{Followed, Following, follow};
use crate::api::{self, ApiError};
use crate::job::story::JobStory;
use crate::presence::heed;
use crate::state::Shared;

/// After so long without an event the job is asked for: nothing is told to a job that
/// waits, though its place in the queue changes.
const SILENCE: Duration = Duration::from_secs(5);

/// How the watching goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Connection {
    /// Events come, or have all come.
    #[default]
    Fine,
    /// It is lost and tried again.
    Reconnecting,
    /// Nothing will come any more.
    Lost(ApiError),
}

/// A job that is watched. A copy is the same.
#[derive(Clone, Copy)]
pub struct Watched {
    /// Everything that is known of it.
    pub story: RwSignal<JobStory>,
    /// How the watching goes.
    pub connection: RwSignal<Connection>,
    /// Dropped with the component that watches.
    _following: StoredValue<Following, LocalStorage>,
}

/// Watches a job until the component that calls this is gone.
pub fn watch(id: JobId) -> Watched {
    let shared = Shared::get();
    let story = RwSignal::new(JobStory::default());
    let connection = RwSignal::new(Connection::default());
    let waiting: Rc<RefCell<Vec<Followed>>> = Rc::default();
    let is_silent = Rc::new(Cell::new(false));
    ask_in_silence(shared, id, story, Rc::clone(&is_silent));
    let following = follow(id, move |followed| {
        is_silent.set(false);
        waiting.borrow_mut().push(followed);
        if waiting.borrow().len() > 1 {
            // The next picture is asked for already.
            return;
        }
        let waiting = Rc::clone(&waiting);
        request_animation_frame(move || {
            let events = waiting.take();
            tell(shared, id, (story, connection), events);
        });
    });
    Watched {
        story,
        connection,
        _following: StoredValue::new_local(following),
    }
}

fn tell(
    shared: Shared,
    id: JobId,
    (story, connection): (RwSignal<JobStory>, RwSignal<Connection>),
    events: Vec<Followed>,
) {
    let mut now = Connection::Fine;
    let told = story.try_update(|story| {
        for event in events {
            match event {
                Followed::Snapshot(job) => {
                    now = Connection::Fine;
                    story.on_snapshot(*job);
                }
                Followed::Event(event) => story.on_event(*event),
                Followed::Reconnecting => now = Connection::Reconnecting,
                Followed::Lost(error) => now = Connection::Lost(error),
            }
        }
        let is_new = |job: &dfa_core::wire::JobView| !job.state.is_terminal();
        story.has_ended() && story.job.as_ref().is_some_and(is_new)
    });
    // Whoever watched may have left before this picture was drawn.
    let Some(has_just_ended) = told else { return };
    if let Connection::Lost(error) = &now {
        heed(shared, error);
    }
    if connection.get_untracked() != now {
        connection.set(now);
    }
    if has_just_ended {
        look(shared, id, story);
    }
}

fn ask_in_silence(shared: Shared, id: JobId, story: RwSignal<JobStory>, is_silent: Rc<Cell<bool>>) {
    let ask = move || {
        let has_ended = story.try_with_untracked(JobStory::has_ended);
        let is_shown = !document().hidden();
        if is_silent.replace(true) && is_shown && has_ended == Some(false) {
            look(shared, id, story);
        }
    };
    if let Ok(asking) = set_interval_with_handle(ask, SILENCE) {
        on_cleanup(move || asking.clear());
    }
}

/// Asks for the whole job. The last event says that it has ended, not what it made.
fn look(shared: Shared, id: JobId, story: RwSignal<JobStory>) {
    spawn_local(async move {
        match api::jobs::job(id).await {
            Ok(job) => drop(story.try_update(|story| story.on_snapshot(job))),
            Err(error) => heed(shared, &error),
        }
    });
}
