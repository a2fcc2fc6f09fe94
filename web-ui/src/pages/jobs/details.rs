//! All about a job: times, error, files, and how to make the same again.

use dfa_core::wire::JobId;
use dfa_core::wire::job::JobView;
use leptos::prelude::*;

use super::listing::open_job;
use super::row::local_time;
use crate::api::artifact_url;
use crate::components::reproduce::Reproduce;
use crate::job::summary::what_to_do;
use crate::state::Shared;
use crate::words::{bytes, seconds};

/// Folded away until it is asked for; which one is open stands in the address.
#[component]
pub fn Details(id: JobId, job: Memo<Option<JobView>>) -> impl IntoView {
    let shared = Shared::get();
    let is_open = Memo::new(move |_| shared.link.with(open_job) == Some(id));
    let toggle = move |event: leptos::ev::MouseEvent| {
        // The address decides what is open, not the element itself.
        event.prevent_default();
        let open = (!is_open.get_untracked()).then(|| id.to_string());
        shared.set("job", open.as_deref());
    };
    view! {
        <details prop:open=move || is_open.get()>
            <summary on:click=toggle>"Details, and how to reproduce it"</summary>
            <Show when=move || is_open.get()>
                {move || job.get().map(|job| view! { <AllAbout job/> })}
            </Show>
        </details>
    }
}

#[component]
fn AllAbout(job: JobView) -> impl IntoView {
    let time = |time: Option<_>| time.map_or_else(|| "–".to_owned(), local_time);
    let run_secs = job.result.as_ref().map(|result| seconds(result.run_secs));
    let error = job.error.clone().map(|error| {
        view! {
            <dt>"Error"</dt>
            <dd><code>{error.code.as_str()}</code>" "{error.message}<br/>{what_to_do(error.code)}</dd>
        }
    });
    let weights = model_hash(&job);
    let files = job.result.as_ref().map(|result| result.artifacts.clone());
    view! {
        <dl class="facts">
            <dt>"Job"</dt><dd><code>{job.id.to_string()}</code></dd>
            <dt>"Created"</dt><dd>{local_time(job.created_at)}</dd>
            <dt>"Started"</dt><dd>{time(job.started_at)}</dd>
            <dt>"Ended"</dt><dd>{time(job.finished_at)}</dd>
            <dt>"Ran"</dt><dd>{run_secs.unwrap_or_else(|| "–".into())}</dd>
            <dt>"Attempts"</dt><dd>{job.attempts}</dd>
            {weights.map(|hash| view! { <dt>"Weights"</dt><dd><code>{hash}</code></dd> })}
            {error}
        </dl>
        {files.filter(|files| !files.is_empty()).map(|files| view! {
            <h3>"Files"</h3>
            <ul class="files">
                {files.into_iter().map(|file| view! {
                    <li>
                        <a href=artifact_url(file.hash) target="_blank">{file.name}</a>
                        <span class="hint">" "{file.role.as_str()}", "{bytes(file.size_bytes)}</span>
                    </li>
                }).collect_view()}
            </ul>
        })}
        <Reproduce request=job.request/>
    }
}

/// The weights that the model has now.
fn model_hash(job: &JobView) -> Option<String> {
    let capabilities = Shared::get().capabilities()?;
    let mut models = capabilities.models.iter();
    let model = models.find(|model| model.id == job.request.model())?;
    Some(model.weights_sha256.to_string())
}
