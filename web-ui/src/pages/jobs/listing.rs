//! The jobs as they were last seen, and when they are asked for again: every two seconds
//! while the page is looked at and the worker answers, and at once when a filter changes or
//! something was done.

use std::time::Duration;

use dfa_core::wire::job::{JobList, JobView};
use dfa_core::wire::{JobId, Timestamp};
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api::jobs::JobFilter;
use crate::api::{self, ApiError};
use crate::forms::reading::sentence;
use crate::link::Link;
use crate::presence::heed;
use crate::state::{Shared, Worker};
use crate::words::counted;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(2);
/// Jobs of a page.
const PAGE_SIZE: u32 = 25;

/// The jobs that are shown. A copy is the same.
#[derive(Clone, Copy)]
pub struct Listing {
    shared: Shared,
    /// The page of the list; `None` until it is first known.
    page: RwSignal<Option<JobList>>,
    /// The job of the address, where the page of the list does not have it.
    apart: RwSignal<Option<JobView>>,
    /// Why the list could not be read.
    pub problem: RwSignal<Option<String>>,
    /// When the list was seen.
    pub seen_at: RwSignal<Timestamp>,
    /// Counts the looks, so that a late answer to an old question is dropped.
    look: StoredValue<u64>,
}

impl Listing {
    /// Looks at once, and again and again until the component that calls this is gone.
    pub fn watched() -> Self {
        let listing = Self {
            shared: Shared::get(),
            page: RwSignal::new(None),
            apart: RwSignal::new(None),
            problem: RwSignal::new(None),
            seen_at: RwSignal::new(now()),
            look: StoredValue::new(0),
        };
        let question = Memo::new(move |_| {
            let filter = listing.shared.link.with(filter_of);
            let is_ready = matches!(listing.shared.worker.get(), Worker::Ready(_));
            (filter, is_ready)
        });
        Effect::new(move |before: Option<JobFilter>| {
            let (filter, is_ready) = question.get();
            if before.is_some_and(|before| before != filter) {
                listing.page.set(None);
            }
            if is_ready {
                listing.refresh();
            }
            filter
        });
        let look = move || {
            if question.get_untracked().1 && !document().hidden() {
                listing.refresh();
            }
        };
        if let Ok(looks) = set_interval_with_handle(look, PAUSE) {
            on_cleanup(move || looks.clear());
        }
        listing
    }

    /// Asks again.
    pub fn refresh(self) {
        let Some(look) = self.look.try_update_value(|look| {
            *look += 1;
            *look
        }) else {
            return;
        };
        let filter = self.shared.link.with_untracked(filter_of);
        let open = self.shared.link.with_untracked(open_job);
        spawn_local(async move {
            let answer = api::jobs::list(filter).await;
            let apart = match (&answer, open) {
                (Ok(page), Some(id)) if page.jobs.iter().all(|job| job.id != id) => {
                    api::jobs::job(id).await.ok()
                }
                _ => None,
            };
            if self.look.try_get_value() == Some(look) {
                self.take(answer, apart);
            }
        });
    }

    fn take(self, answer: Result<JobList, ApiError>, apart: Option<JobView>) {
        match answer {
            Ok(page) => {
                self.seen_at.set(now());
                self.problem.set(None);
                if self.apart.get_untracked() != apart {
                    self.apart.set(apart);
                }
                if self
                    .page
                    .with_untracked(|known| known.as_ref() != Some(&page))
                {
                    self.page.set(Some(page));
                }
            }
            Err(error) => {
                heed(self.shared, &error);
                if matches!(error, ApiError::Refused { .. }) {
                    self.problem.set(Some(sentence(&error.to_string())));
                }
            }
        }
    }

    /// Whether the worker has answered.
    pub fn is_known(self) -> bool {
        self.page.with(Option::is_some)
    }

    /// The jobs in their order.
    pub fn ids(self) -> Vec<JobId> {
        let apart = self.apart.with(|job| job.as_ref().map(|job| job.id));
        let listed = self.page.with(|page| match page {
            Some(page) => page.jobs.iter().map(|job| job.id).collect(),
            None => Vec::new(),
        });
        apart.into_iter().chain(listed).collect()
    }

    /// One of them.
    pub fn job(self, id: JobId) -> Option<JobView> {
        let apart = self.apart.get().filter(|job| job.id == id);
        apart.or_else(|| {
            self.page.with(|page| {
                let mut jobs = page.iter().flat_map(|page| &page.jobs);
                jobs.find(|job| job.id == id).cloned()
            })
        })
    }

    /// Where the older jobs begin.
    pub fn next_cursor(self) -> Option<JobId> {
        self.page.with(|page| page.as_ref()?.next_cursor)
    }

    /// `3 jobs`, for people who changed a filter.
    pub fn counted(self) -> String {
        self.page.with(|page| match page {
            Some(page) if page.next_cursor.is_some() => {
                format!("{} of more", counted(page.jobs.len(), "job"))
            }
            Some(page) => counted(page.jobs.len(), "job"),
            None if self.shared.capabilities().is_none() => String::new(),
            None => "Asking for the jobs…".into(),
        })
    }
}

/// The job whose details are shown.
pub fn open_job(link: &Link) -> Option<JobId> {
    link.get("job")?.parse().ok()
}

fn filter_of(link: &Link) -> JobFilter {
    JobFilter {
        state: link.get("state").and_then(|text| text.parse().ok()),
        kind: link.get("kind").and_then(|text| text.parse().ok()),
        cursor: link.get("after").and_then(|text| text.parse().ok()),
        limit: PAGE_SIZE,
    }
}

/// The browser's clock.
fn now() -> Timestamp {
    Timestamp::from_unix_ms(js_sys::Date::now() as u64)
}
