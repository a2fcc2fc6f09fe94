//! The job at work: where it is, what its pictures will probably look like, and the
//! button that ends it.

use std::collections::BTreeMap;

use dfa_core::wire::JobId;
use dfa_core::wire::job::{JobPhase, JobProgress, JobResult, JobState, JobView};
use dfa_core::wire::job_event::{JobEvent, JobEventData, PreviewEvent, StatusEvent};
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api;
use crate::api::events::Followed;
use crate::state::Shared;
use crate::words;

/// Which half of a comparison a preview belongs to, and which picture.
type PreviewKey = (bool, u32);

/// What is known of the job. A copy is the same.
#[derive(Clone, Copy)]
pub struct RunState {
    /// The job that the address names.
    pub job_id: RwSignal<Option<JobId>>,
    /// The job as the worker last told it.
    pub job: RwSignal<Option<JobView>>,
    /// What it made, once it is done.
    pub result: RwSignal<Option<JobResult>>,
    progress: RwSignal<Option<JobProgress>>,
    previews: RwSignal<BTreeMap<PreviewKey, PreviewEvent>>,
    warnings: RwSignal<Vec<String>>,
    is_reconnecting: RwSignal<bool>,
    /// Why nothing more is known.
    problem: RwSignal<String>,
}

impl RunState {
    pub fn idle() -> Self {
        Self {
            job_id: RwSignal::new(None),
            job: RwSignal::new(None),
            result: RwSignal::new(None),
            progress: RwSignal::new(None),
            previews: RwSignal::new(BTreeMap::new()),
            warnings: RwSignal::new(Vec::new()),
            is_reconnecting: RwSignal::new(false),
            problem: RwSignal::new(String::new()),
        }
    }

    /// Forgets the job before.
    pub fn begin(self, job_id: Option<JobId>) {
        self.job_id.set(job_id);
        self.job.set(None);
        self.result.set(None);
        self.progress.set(None);
        self.previews.set(BTreeMap::new());
        self.warnings.set(Vec::new());
        self.is_reconnecting.set(false);
        self.problem.set(String::new());
    }

    /// Something happened in the job.
    pub fn on_told(self, id: JobId, told: Followed, shared: Shared) {
        if self.job_id.try_get_untracked() != Some(Some(id)) {
            return;
        }
        match told {
            Followed::Snapshot(job) => {
                self.is_reconnecting.set(false);
                self.take(*job);
            }
            Followed::Event(event) => self.on_event(*event, shared),
            Followed::Reconnecting => self.is_reconnecting.set(true),
            Followed::Lost(error) => self.problem.set(error.to_string()),
        }
    }

    fn take(self, job: JobView) {
        if job.progress.is_some() {
            self.progress.set(job.progress);
        }
        self.result.set(job.result.clone());
        self.job.set(Some(job));
    }

    fn on_event(self, event: JobEvent, shared: Shared) {
        match event.data {
            JobEventData::Progress(progress) => self.progress.set(Some(progress)),
            JobEventData::Preview(preview) => {
                let phase = self.progress.with_untracked(|it| it.map(|it| it.phase));
                let is_compressed = phase == Some(JobPhase::GeneratingCompressed);
                let key = (is_compressed, preview.image_index);
                self.previews.update(|all| {
                    all.insert(key, preview);
                });
            }
            JobEventData::Warning(warning) => {
                self.warnings.update(|all| all.push(warning.message));
            }
            JobEventData::Status(status) => self.on_status(&status, shared),
            JobEventData::Decision(_) => {}
        }
    }

    fn on_status(self, status: &StatusEvent, shared: Shared) {
        self.job.update(|job| {
            if let Some(job) = job {
                job.state = status.state;
                job.error.clone_from(&status.error);
                job.queue_position = None;
            }
        });
        if !status.state.is_terminal() {
            return;
        }
        shared.announce(format!("The job {}", ended(status.state)));
        // The event says that there is a result; the job says what it is.
        let Some(id) = self.job_id.get_untracked() else {
            return;
        };
        spawn_local(async move {
            match api::jobs::job(id).await {
                Ok(job) if self.job_id.try_get_untracked() == Some(Some(id)) => self.take(job),
                Ok(_) => {}
                Err(error) => self.problem.set(error.to_string()),
            }
        });
    }
}

fn ended(state: JobState) -> &'static str {
    match state {
        JobState::Succeeded => "is done",
        JobState::Failed => "failed",
        JobState::Cancelled => "was cancelled",
        JobState::Queued | JobState::Running => "goes on",
    }
}

/// The job at work, or why it ended without pictures.
#[component]
pub fn RunCard(run: RunState) -> impl IntoView {
    let state = Memo::new(move |_| run.job.with(|job| job.as_ref().map(|job| job.state)));
    let is_shown = move || run.job_id.get().is_some() && state.get() != Some(JobState::Succeeded);
    let is_open = move || !state.get().is_some_and(JobState::is_terminal);
    let done = move || {
        run.progress
            .get()
            .map_or(0.0, |progress| progress.done_share)
    };
    let error = move || {
        let job = run.job.get()?;
        let error = job.error.map(|error| error.message);
        job.state
            .is_terminal()
            .then(|| error.unwrap_or_else(|| ended(job.state).into()))
    };
    view! {
        <Show when=is_shown>
            <section class="card stack run-card" aria-label="The job at work" data-state=move || state.get().map(JobState::as_str)>
                <p class="problem" role="alert">{move || run.problem.get()}</p>
                <p class="problem" role="alert">{error}</p>
                <Show when=is_open>
                    <p role="status">{move || words_of(run)}</p>
                    <progress max="1" value=move || done().to_string() aria-label="Share of the job that is done"></progress>
                    <CancelButton run/>
                </Show>
                {move || run.warnings.get().into_iter().map(|words| view! { <p class="note warn">{words}</p> }).collect_view()}
                <Show when=is_open><Previews run/></Show>
            </section>
        </Show>
        <Show when=move || !is_shown() && !run.warnings.with(Vec::is_empty)>
            {move || run.warnings.get().into_iter().map(|words| view! { <p class="note warn">{words}</p> }).collect_view()}
        </Show>
    }
}

/// Where the job is, in a sentence.
fn words_of(run: RunState) -> String {
    if run.is_reconnecting.get() {
        return "The connection to the worker is lost; trying again…".into();
    }
    let Some(job) = run.job.get() else {
        return "Asking the worker for the job…".into();
    };
    if job.state == JobState::Queued {
        return match job.queue_position {
            Some(0) | None => "Waiting: next in the queue.".into(),
            Some(n) => format!(
                "Waiting: {} before it in the queue.",
                words::counted(n as usize, "job")
            ),
        };
    }
    let Some(progress) = run.progress.get() else {
        return "Running…".into();
    };
    let phase = match progress.phase {
        JobPhase::Loading => "Reading the model",
        JobPhase::EncodingText => "Reading the prompts",
        JobPhase::Calibrating => "Choosing strategies",
        JobPhase::GeneratingRaw => "Making the pictures without compression",
        JobPhase::GeneratingCompressed => "Making the pictures with the plan",
        JobPhase::Decoding => "Decoding",
        JobPhase::Saving => "Saving",
    };
    let step = format!("step {} of {}", progress.step, progress.steps);
    let left = progress
        .eta_secs
        .map(|secs| format!(", about {} left", words::seconds(secs)));
    format!("{phase}: {step}{}", left.unwrap_or_default())
}

#[component]
fn CancelButton(run: RunState) -> impl IntoView {
    let is_asked = RwSignal::new(false);
    let cancel = move |_| {
        let Some(id) = run.job_id.get_untracked() else {
            return;
        };
        is_asked.set(true);
        spawn_local(async move {
            if let Err(error) = api::jobs::cancel(id).await {
                is_asked.try_set(false);
                run.problem.try_set(error.to_string());
            }
        });
    };
    view! {
        <button class="cancel" disabled=is_asked on:click=cancel>
            {move || if is_asked.get() { "Cancelling…" } else { "Cancel" }}
        </button>
    }
}

/// Small pictures of what will probably come, raw above compressed.
#[component]
fn Previews(run: RunState) -> impl IntoView {
    let half = move |is_compressed: bool, title: &'static str| {
        let found = move || {
            let all = run.previews.get();
            let found = all
                .into_iter()
                .filter(move |((half, _), _)| *half == is_compressed);
            found.map(|(_, preview)| preview).collect::<Vec<_>>()
        };
        let pictures = move || {
            let pictures = found().into_iter().map(|preview| {
                let words = format!("Preview of picture {} after step {}", preview.image_index + 1, preview.step + 1);
                view! { <img class="pixelated" alt=words src=format!("data:image/png;base64,{}", preview.png_base64)/> }
            });
            pictures.collect_view()
        };
        view! {
            <Show when=move || !found().is_empty()>
                <figure class="previews">
                    <figcaption>{title}</figcaption>
                    <div class="row">{pictures}</div>
                </figure>
            </Show>
        }
    };
    view! {
        {half(false, "Preview")}
        {half(true, "Preview, with the plan")}
    }
}
