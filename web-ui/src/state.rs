//! What the pages know together, made once by the frame and handed down as context.
//!
//! The address is the truth about what is shown: a page reads [`Shared::link`] and changes
//! it with [`Shared::go`] or [`Shared::set`], and never keeps a second copy.

use std::sync::Arc;

use dfa_core::wire::service::Capabilities;
use leptos::prelude::*;

use crate::link::Link;

/// What is known of the worker that serves the page.
#[derive(Clone, Debug, PartialEq)]
pub enum Worker {
    /// It was asked and has not answered yet.
    Asked,
    /// The page is served without one, on purpose.
    None,
    /// It does not answer; the text says why.
    Away(String),
    /// It wants a key first.
    Locked,
    /// It answers, and this is what it can do.
    Ready(Arc<Capabilities>),
}

/// What the pages share. A copy is the same.
#[derive(Clone, Copy)]
pub struct Shared {
    /// The address, as it is.
    pub link: ReadSignal<Link>,
    set_link: WriteSignal<Link>,
    /// The worker.
    pub worker: RwSignal<Worker>,
    /// How often the worker was asked in vain since it last answered.
    pub n_tries: RwSignal<usize>,
    /// The latest look at the worker that is planned; earlier plans are dropped.
    pub(crate) look: RwSignal<u64>,
    /// A sentence for screen readers: what just happened by itself.
    pub announcement: RwSignal<String>,
}

impl Shared {
    /// Made once. `link` is the address at the start.
    pub fn new(link: Link) -> Self {
        let (link, set_link) = signal(link);
        Self {
            link,
            set_link,
            worker: RwSignal::new(Worker::Asked),
            n_tries: RwSignal::new(0),
            look: RwSignal::new(0),
            announcement: RwSignal::new(String::new()),
        }
    }

    /// The shared state, in a component.
    ///
    /// # Panics
    /// Outside the frame.
    pub fn get() -> Self {
        expect_context()
    }

    /// Goes to another address; the browser's back button comes back.
    pub fn go(&self, link: &Link) {
        // The browser tells the frame, which tells `link`.
        let _ = window().location().set_hash(&link.to_string());
    }

    /// Changes one setting of the address, without a step for the back button.
    pub fn set(&self, name: &str, value: Option<&str>) {
        self.replace(&self.link.get_untracked().with(name, value));
    }

    /// Follows the browser's address. Only for the frame.
    pub(crate) fn follow(&self, link: Link) {
        if link != self.link.get_untracked() {
            self.set_link.set(link);
        }
    }

    /// Says something to people who do not see the page.
    pub fn announce(&self, words: impl Into<String>) {
        self.announcement.set(words.into());
    }

    /// Puts another address in the place of this one, without a step for the back button.
    pub fn replace(&self, link: &Link) {
        if *link == self.link.get_untracked() {
            return;
        }
        if let Ok(history) = window().history() {
            // A browser that refuses keeps the old address; what is shown is right anyway.
            let _ = history.replace_state_with_url(
                &wasm_bindgen::JsValue::NULL,
                "",
                Some(&link.to_string()),
            );
        }
        self.set_link.set(link.clone());
    }

    /// What the worker can do, if there is one that answers.
    pub fn capabilities(&self) -> Option<Arc<Capabilities>> {
        match self.worker.get() {
            Worker::Ready(capabilities) => Some(capabilities),
            _ => None,
        }
    }
}
