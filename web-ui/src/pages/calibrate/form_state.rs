//! What the parts of the form share: its texts, what is wrong with them, and how it is sent.

use std::sync::Arc;

use dfa_core::wire::JobRequest;
use dfa_core::wire::service::{Capabilities, ModelView};
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api::{self, ApiError};
use crate::forms::calibrate::{CalibrateForm, Field, Problem};
use crate::forms::reading::sentence;
use crate::link::{Link, Page};
use crate::presence::heed;
use crate::state::Shared;

/// The form's state. A copy is the same.
#[derive(Clone, Copy)]
pub struct FormState {
    shared: Shared,
    worker: StoredValue<Arc<Capabilities>>,
    form: RwSignal<CalibrateForm>,
    problems: Memo<Vec<Problem>>,
    /// What the worker said about a field; gone as soon as the field is changed.
    refused: RwSignal<Option<Problem>>,
    /// Why it could not be sent, if no field is at fault.
    pub failure: RwSignal<Option<String>>,
    /// Whether it is on its way.
    pub is_sending: RwSignal<bool>,
    /// The request that was sent last, and its name, until it is answered.
    sent: StoredValue<Option<(JobRequest, String)>>,
}

impl FormState {
    pub fn new(worker: Arc<Capabilities>) -> Self {
        let shared = Shared::get();
        let link = shared.link.get_untracked();
        let form = RwSignal::new(CalibrateForm::from_link(&link, &worker));
        let worker = StoredValue::new(worker);
        let problems = Memo::new(move |_| {
            let checked = worker.with_value(|worker| form.with(|form| form.check(worker)));
            checked.err().unwrap_or_default()
        });
        Self {
            shared,
            worker,
            form,
            problems,
            refused: RwSignal::new(None),
            failure: RwSignal::new(None),
            is_sending: RwSignal::new(false),
            sent: StoredValue::new(None),
        }
    }

    /// What the worker can do.
    pub fn worker(self) -> Arc<Capabilities> {
        self.worker.get_value()
    }

    /// The model that is chosen.
    pub fn model(self) -> Option<ModelView> {
        let model = |form: &CalibrateForm, worker: &Capabilities| form.model(worker).cloned();
        self.worker
            .with_value(|worker| self.form.with(|form| model(form, worker)))
    }

    /// Whether the chosen model draws what a text says.
    pub fn takes_text(self) -> bool {
        self.worker
            .with_value(|worker| self.form.with(|form| form.takes_text(worker)))
    }

    /// Whether the chosen model makes videos.
    pub fn makes_videos(self) -> bool {
        self.worker
            .with_value(|worker| self.form.with(|form| form.makes_videos(worker)))
    }

    /// Something about the form.
    pub fn with<T>(self, read: impl FnOnce(&CalibrateForm) -> T) -> T {
        self.form.with(read)
    }

    /// The text of a field.
    pub fn text(self, field: Field) -> String {
        self.form.with(|form| form.get(field).to_owned())
    }

    /// Changes the text of a field.
    pub fn set(self, field: Field, text: String) {
        let worker = self.worker();
        self.change(field, |form| match field {
            Field::Model => form.choose_model(&text, &worker),
            field => form.set(field, text),
        });
    }

    /// Changes the form at a field; the address follows, so that a reload keeps it.
    pub fn change(self, field: Field, change: impl FnOnce(&mut CalibrateForm)) {
        self.form.update(change);
        self.failure.set(None);
        if self.refused.with_untracked(|refused| {
            refused
                .as_ref()
                .is_some_and(|refused| refused.field == field)
        }) {
            self.refused.set(None);
        }
        let link = self.shared.link.get_untracked();
        let form = self.form.get_untracked();
        let link = self.worker.with_value(|worker| form.to_link(link, worker));
        self.shared.replace(&link);
    }

    /// What is wrong with a field: what the worker said, or what the page knows.
    pub fn problem(self, field: Field) -> Option<String> {
        let of_field = |problem: &&Problem| problem.field == field;
        let refused = self.refused.get().filter(|problem| of_field(&problem));
        let known = || self.problems.with(|all| all.iter().find(of_field).cloned());
        refused.or_else(known).map(|problem| problem.words)
    }

    /// The field that has to be looked at first.
    pub fn first_problem(self) -> Option<Field> {
        let refused = self.refused.get_untracked();
        let known = self.problems.with_untracked(|all| all.first().cloned());
        refused.or(known).map(|problem| problem.field)
    }

    /// Sends the form, once, and goes to the job.
    pub fn send(self) {
        let checked = self
            .worker
            .with_value(|worker| self.form.with_untracked(|form| form.check(worker)));
        let Ok(job) = checked else { return };
        if self.is_sending.get_untracked() {
            return;
        }
        self.is_sending.set(true);
        let request = JobRequest::Calibrate(job);
        let key = self.key_for(&request);
        spawn_local(async move {
            let answer = api::jobs::submit(&request, &key).await;
            let _ = self.is_sending.try_set(false);
            match answer {
                Ok(job) => {
                    self.sent.set_value(None);
                    let id = job.id.to_string();
                    self.shared
                        .go(&Link::to(Page::Calibrate).with("job", Some(&id)));
                }
                Err(error) => self.take_refusal(&error),
            }
        });
    }

    /// The name of a request: the same one until it is answered, so that a request whose
    /// answer was lost is not run twice.
    fn key_for(self, request: &JobRequest) -> String {
        let known = self.sent.get_value();
        if let Some((sent, key)) = known.filter(|(sent, _)| sent == request) {
            drop(sent);
            return key;
        }
        let key = api::jobs::fresh_key();
        self.sent.set_value(Some((request.clone(), key.clone())));
        key
    }

    fn take_refusal(self, error: &ApiError) {
        heed(self.shared, error);
        let words = sentence(&error.to_string());
        match error.param().and_then(Field::named) {
            Some(field) => self.refused.set(Some(Problem { field, words })),
            None => self.failure.set(Some(words)),
        }
    }
}
