//! What the Plan page works on: the open plan with everything that was done to it, the
//! plan it is compared with, where the keyboard stands, and what was said last.
//!
//! Made once by the frame, so that a look at another page loses nothing. What follows from
//! the open plan (the plan shown, its picture) is worked out once and shared.

use std::sync::Arc;

use dfa_core::search::Threshold;
use dfa_core::wire::{ContentHash, plan_hash};
use dfa_core::{Block, Step};
use leptos::prelude::*;

use crate::link::{Link, Page};
use crate::plan::cursor::Cursor;
use crate::plan::layers::{self, Layer, Legend};
use crate::plan::open_file::RefusedFile;
use crate::plan::opened::OpenPlan;
use crate::plan::picture::GridPicture;
use crate::plan::reason;
use crate::plan::workbench::{Refusal, Shown, Workbench};
use crate::state::Shared;

/// Where the open plan came from, as an address can say it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// Nothing is open.
    #[default]
    Nothing,
    /// Named by an address: the sample, or a plan of the worker's library.
    Named(String),
    /// Written into an address.
    Inline(String),
    /// A file of this computer, which no address can name.
    File,
}

/// A picture of the open plan and what its colours mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// The picture.
    pub picture: Arc<GridPicture>,
    /// What its colours mean.
    pub legend: Legend,
}

/// What was said last about something that a person did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The sentence; empty for nothing.
    pub words: String,
    /// Whether it was refused.
    pub is_refusal: bool,
}

/// The state of the Plan page. A copy is the same.
#[derive(Clone, Copy)]
pub struct Desk {
    /// What all pages share.
    pub shared: Shared,
    /// The open plan.
    pub bench: RwSignal<Option<Workbench>>,
    /// Counts the plans that were opened, for what depends on the opened file alone.
    pub openings: RwSignal<u32>,
    /// Where it came from.
    pub source: RwSignal<Source>,
    /// The plan that it is compared with.
    pub other: RwSignal<Option<Arc<OpenPlan>>>,
    /// What is being loaded, in words.
    pub loading: RwSignal<Option<String>>,
    /// A file that could not be opened, with all its problems.
    pub refused: RwSignal<Option<RefusedFile>>,
    /// Where the keyboard stands.
    pub cursor: RwSignal<Cursor>,
    /// What was said last.
    pub said: RwSignal<Said>,
    /// The plan shown.
    pub shown: Memo<Option<Arc<Shown>>>,
    /// The layer.
    pub layer: Memo<Layer>,
    /// The plan shown, drawn.
    pub drawn: Memo<Option<Arc<Drawn>>>,
    /// Where δ stood when the plan was opened.
    start: RwSignal<Option<Threshold>>,
    /// The plan that was saved last.
    saved: RwSignal<Option<ContentHash>>,
}

impl Desk {
    /// Made once, by the frame.
    pub fn new(shared: Shared) -> Self {
        let bench = RwSignal::new(None::<Workbench>);
        let shown = Memo::new(move |_| bench.with(|bench| Some(Arc::new(bench.as_ref()?.shown()))));
        let layer = Memo::new(move |_| {
            let word = shared
                .link
                .with(|link| link.get("layer").and_then(Layer::named));
            word.unwrap_or_default()
        });
        let drawn = Memo::new(move |_| {
            let (shown, layer) = (shown.get()?, layer.get());
            let picture =
                bench.with_untracked(|bench| Some(layers::picture(bench.as_ref()?, &shown, layer)));
            let (picture, legend) = picture?;
            Some(Arc::new(Drawn {
                picture: Arc::new(picture),
                legend,
            }))
        });
        Self {
            shared,
            bench,
            openings: RwSignal::new(0),
            source: RwSignal::default(),
            other: RwSignal::new(None),
            loading: RwSignal::new(None),
            refused: RwSignal::new(None),
            cursor: RwSignal::new(Cursor::at((Step(0), Block(0)))),
            said: RwSignal::default(),
            shown,
            layer,
            drawn,
            start: RwSignal::new(None),
            saved: RwSignal::new(None),
        }
    }

    /// The desk, in a component.
    ///
    /// # Panics
    /// Outside the frame.
    pub fn get() -> Self {
        expect_context()
    }

    /// Puts a plan on the desk, in the place of the one that is there.
    pub fn put(self, opened: OpenPlan, source: Source) {
        let said = format!("{} is open.", opened.name);
        match Workbench::open(opened) {
            Ok(bench) => {
                // The first cell that was decided says more than step 0 does.
                let first = (Step(usize::from(bench.shape().n_steps > 1)), Block(0));
                self.cursor.set(Cursor::at(first));
                self.source.set(source);
                self.saved.set(None);
                self.start.set(bench.threshold());
                self.refused.set(None);
                self.bench.set(Some(bench));
                self.openings.update(|count| *count += 1);
                self.say(said);
            }
            Err(error) => self.refuse(format!("{error}; the plan that was open stays open.")),
        }
    }

    /// Says what was done, to everybody.
    pub fn say(self, words: impl Into<String>) {
        let words = words.into();
        self.shared.announce(words.clone());
        self.said.set(Said {
            words,
            is_refusal: false,
        });
    }

    /// Says why something is not done, to everybody.
    pub fn refuse(self, words: impl Into<String>) {
        let words = words.into();
        self.shared.announce(words.clone());
        self.said.set(Said {
            words,
            is_refusal: true,
        });
    }

    /// Changes the open plan and says what was done or why not.
    pub fn change(self, act: impl FnOnce(&mut Workbench) -> Result<String, Refusal>) {
        let mut done = None;
        self.bench.update(|bench| done = bench.as_mut().map(act));
        match done {
            Some(Ok(words)) => self.say(words),
            Some(Err(refusal)) => self.refuse(refusal.to_string()),
            None => {}
        }
    }

    /// Moves δ. Nothing is said: the slider says its own value.
    pub fn set_threshold(self, threshold: Threshold) {
        let is_there = |bench: &Option<Workbench>| {
            let bench = bench.as_ref();
            bench.is_some_and(|bench| bench.threshold() == Some(threshold))
        };
        if self.bench.with_untracked(is_there) {
            return;
        }
        let mut refusal = None;
        self.bench.update(|bench| {
            refusal = bench
                .as_mut()
                .and_then(|bench| bench.set_threshold(threshold).err());
        });
        if let Some(refusal) = refusal {
            self.refuse(refusal.to_string());
        }
    }

    /// Where δ stood when the plan was opened; `None` for a plan without losses.
    pub fn start(self) -> Option<Threshold> {
        self.start.get_untracked()
    }

    /// Ends a row of moves of δ, so that one undo takes it back.
    pub fn settle(self) {
        // Nothing that is shown depends on it.
        self.bench.update_untracked(|bench| {
            if let Some(bench) = bench {
                bench.settle();
            }
        });
    }

    /// Takes the last action back.
    pub fn undo(self) {
        self.go_through_history(Workbench::undo, "There is nothing to undo.");
    }

    /// Does the last undone action again.
    pub fn redo(self) {
        self.go_through_history(Workbench::redo, "There is nothing to do again.");
    }

    fn go_through_history(self, go: fn(&mut Workbench) -> Option<String>, nothing: &str) {
        let mut said = None;
        self.bench
            .update(|bench| said = bench.as_mut().and_then(go));
        self.say(said.unwrap_or_else(|| nothing.to_owned()));
    }

    /// Asks something of the open plan, now.
    pub fn ask<T>(self, question: impl FnOnce(&Workbench) -> T) -> Option<T> {
        self.bench
            .with_untracked(|bench| bench.as_ref().map(question))
    }

    /// A cell of the plan shown in words.
    pub fn words(self, (step, block): (Step, Block)) -> String {
        let shown = self.shown.get_untracked();
        let words = self.bench.with_untracked(|bench| {
            let (bench, shown) = (bench.as_ref()?, shown.as_ref()?);
            let shape = shown.plan.shape();
            let is_inside = step.0 < shape.n_steps && block.0 < shape.n_blocks;
            is_inside.then(|| reason::words(bench, shown, step, block))
        });
        words.unwrap_or_default()
    }

    /// Remembers that the plan shown is kept somewhere.
    pub fn mark_saved(self) {
        let shown = self.shown.get_untracked();
        self.saved.set(shown.map(|shown| plan_hash(&shown.plan)));
    }

    /// Whether edits would be lost with the page. Moving δ is no edit: it is in the
    /// address, and moved back in a moment.
    pub fn has_unsaved_edits(self) -> bool {
        let Some(shown) = self.shown.get_untracked() else {
            return false;
        };
        let is_other = self.ask(|bench| shown.plan != *bench.opened().plan());
        shown.n_edited > 0
            && is_other.unwrap_or(false)
            && self.saved.get_untracked() != Some(plan_hash(&shown.plan))
    }

    /// Lets the browser ask before edits are lost with the page. Only for the frame.
    pub fn guard_edits(self) {
        let leaving = window_event_listener(leptos::ev::beforeunload, move |event| {
            if self.has_unsaved_edits() {
                event.prevent_default();
            }
        });
        on_cleanup(move || leaving.remove());
    }

    /// Asks something of the opened file; runs again when another one is opened.
    pub fn of_file<T>(self, question: impl FnOnce(&OpenPlan) -> T) -> Option<T> {
        self.openings.track();
        self.ask(|bench| question(bench.opened()))
    }

    /// Asks before edits are lost. `true` if they may be, or there are none.
    pub fn may_lose_edits(self) -> bool {
        const QUESTION: &str = "The open plan has edits that are saved nowhere. Open another plan \
                                and lose them?";
        !self.has_unsaved_edits() || window().confirm_with_message(QUESTION).unwrap_or(true)
    }

    /// Goes to an address of this page with one plan named.
    pub fn go_to(self, name: &str) {
        self.shared.go(&Link::to(Page::Plan).with("id", Some(name)));
    }
}
