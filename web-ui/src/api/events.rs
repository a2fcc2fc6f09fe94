//! `/v1/jobs/{id}/events`: what happens in a job, while it happens.
//!
//! [`follow`] begins with the job's log from its first event, so a page that is loaded in
//! the middle of a job knows what one knows that saw it all. A lost connection comes back
//! by itself, with the events in between; no event is told twice.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use dfa_core::wire::{JobEvent, JobId, JobView};
use leptos::prelude::set_timeout;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast as _;
use wasm_bindgen::closure::Closure;
use web_sys::{Event, EventSource, MessageEvent};

use super::{ApiError, jobs};

/// The kinds of events that the worker sends beside the snapshot.
const EVENT_NAMES: [&str; 5] = ["status", "progress", "decision", "preview", "warning"];
/// Longest pause between two tries to come back.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// What a follower is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Followed {
    /// The job as it is now: at first, and again after every lost connection.
    Snapshot(Box<JobView>),
    /// What happened next. Nothing follows the terminal status.
    Event(Box<JobEvent>),
    /// The connection is lost; it is tried again until [`Followed::Snapshot`] says that it
    /// is back.
    Reconnecting,
    /// Nothing will come any more: the job is gone, or the worker wants a key.
    Lost(ApiError),
}

/// Follows a job until it is dropped. In a component: `StoredValue::new_local(follow(…))`.
#[must_use = "dropping it stops following"]
pub struct Following(Rc<Stream>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Tells `on_event` everything that happened and happens in a job.
pub fn follow(job: JobId, on_event: impl Fn(Followed) + 'static) -> Following {
    let stream = Rc::new(Stream {
        job,
        last_seq: Cell::new(0),
        is_over: Cell::new(false),
        n_failures: Cell::new(0),
        n_events_since_open: Cell::new(0),
        has_ended_snapshot: Cell::new(false),
        on_event: Box::new(on_event),
        source: RefCell::new(None),
    });
    stream.open();
    Following(stream)
}

struct Stream {
    job: JobId,
    last_seq: Cell<u64>,
    is_over: Cell<bool>,
    n_failures: Cell<u32>,
    n_events_since_open: Cell<u64>,
    has_ended_snapshot: Cell<bool>,
    on_event: Box<dyn Fn(Followed)>,
    source: RefCell<Option<Source>>,
}

/// A browser's event source with what listens to it; closed when it is dropped.
struct Source {
    events: EventSource,
    _listeners: Vec<Closure<dyn FnMut(MessageEvent)>>,
    _on_error: Closure<dyn FnMut(Event)>,
}

impl Drop for Source {
    fn drop(&mut self) {
        self.events.close();
    }
}

impl Stream {
    fn open(self: &Rc<Self>) {
        let after = self.last_seq.get();
        let url = format!("v1/jobs/{}/events?after={after}", self.job);
        let Ok(events) = EventSource::new(&url) else {
            // Only an address that cannot be parsed fails here, and this one can.
            return;
        };
        let mut listeners = vec![self.listen(&events, "snapshot", Self::on_snapshot)];
        for name in EVENT_NAMES {
            listeners.push(self.listen(&events, name, Self::on_log_event));
        }
        let weak = Rc::downgrade(self);
        let on_error = Closure::<dyn FnMut(Event)>::new(move |_| {
            if let Some(stream) = weak.upgrade() {
                stream.on_error();
            }
        });
        events.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        *self.source.borrow_mut() = Some(Source {
            events,
            _listeners: listeners,
            _on_error: on_error,
        });
    }

    fn listen(
        self: &Rc<Self>,
        events: &EventSource,
        name: &str,
        told: fn(&Self, &str),
    ) -> Closure<dyn FnMut(MessageEvent)> {
        let weak: Weak<Self> = Rc::downgrade(self);
        let listener = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            let stream = weak.upgrade().filter(|stream| !stream.is_over.get());
            if let (Some(stream), Some(text)) = (stream, event.data().as_string()) {
                told(&stream, &text);
            }
        });
        // Fails for no name of ours.
        let _ = events.add_event_listener_with_callback(name, listener.as_ref().unchecked_ref());
        listener
    }

    fn on_snapshot(&self, text: &str) {
        self.n_failures.set(0);
        self.n_events_since_open.set(0);
        match serde_json::from_str::<JobView>(text) {
            Ok(job) => {
                self.has_ended_snapshot.set(job.state.is_terminal());
                (self.on_event)(Followed::Snapshot(Box::new(job)));
            }
            Err(error) => self.lose(super::unreadable(error)),
        }
    }

    fn on_log_event(&self, text: &str) {
        let event = match serde_json::from_str::<JobEvent>(text) {
            Ok(event) => event,
            Err(error) => return self.lose(super::unreadable(error)),
        };
        let is_new = event.seq > self.last_seq.get();
        self.n_events_since_open.update(|n| n + 1);
        if !is_new {
            return;
        }
        self.last_seq.set(event.seq);
        if event.data.is_last() {
            self.end();
        }
        (self.on_event)(Followed::Event(Box::new(event)));
    }

    /// The connection broke, or the worker ended the stream.
    fn on_error(self: &Rc<Self>) {
        if self.is_over.get() {
            return;
        }
        if self.has_ended_snapshot.get() && self.n_events_since_open.get() == 0 {
            // The log of a job that has ended has no more events.
            return self.end();
        }
        (self.on_event)(Followed::Reconnecting);
        let source = self.source.borrow();
        let state = source.as_ref().map(|source| source.events.ready_state());
        drop(source);
        // While it is connecting the browser tries again by itself.
        if state == Some(EventSource::CLOSED) {
            self.come_back_later();
        }
    }

    fn come_back_later(self: &Rc<Self>) {
        let n_failures = self.n_failures.get();
        self.n_failures.set(n_failures.saturating_add(1));
        let pause = Duration::from_secs(1 << n_failures.min(4)).min(LONGEST_PAUSE);
        let weak = Rc::downgrade(self);
        set_timeout(move || spawn_local(come_back(weak)), pause);
    }

    fn lose(&self, error: ApiError) {
        self.end();
        (self.on_event)(Followed::Lost(error));
    }

    fn end(&self) {
        self.is_over.set(true);
        // Dropped by whoever drops the stream: this may run inside one of its listeners.
        if let Some(source) = self.source.borrow().as_ref() {
            source.events.close();
        }
    }
}

/// An event source does not say why it was refused; asking for the job does.
async fn come_back(stream: Weak<Stream>) {
    let running = |stream: &Weak<Stream>| stream.upgrade().filter(|it| !it.is_over.get());
    let Some(job) = running(&stream).map(|stream| stream.job) else {
        return;
    };
    let answer = jobs::job(job).await;
    let Some(stream) = running(&stream) else {
        return;
    };
    match answer {
        Ok(_) => stream.open(),
        Err(error) if error.is_gone() || error.needs_key() => stream.lose(error),
        Err(_) => stream.come_back_later(),
    }
}
