//! `POST /v1/images/generations`, as OpenAI's clients send it: a generate job that is
//! waited for. A client that goes away cancels the job, on this route only.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use dfa_core::wire::job::{Artifact, ArtifactRole, JobView};
use dfa_core::wire::openai_images::{ImageData, ImagesRequest, ImagesResponse};
use dfa_core::wire::{JobId, JobState};
use futures_util::TryStreamExt as _;

use super::error::{ApiError, ApiResult, ErrorCode};
use super::images_request::{ImageForm, job_from};
use super::input::JsonBody;
use super::{Service, job_metrics};
use crate::jobs::Submitted;

/// Makes images.
#[utoipa::path(
    post, path = "/v1/images/generations", tag = "images",
    description = "Makes images and answers when they are done; OpenAI's shape. The prompt is \
                   a class of the model, by name or index, or a text if the model takes text. \
                   A video model answers animated PNG. Fields that mean nothing here are \
                   named in `warnings`.",
    request_body(content = ref("#/components/schemas/ImagesRequest"), content_type = "application/json"),
    responses(
        (status = 200, description = "the images", body = ref("#/components/schemas/ImagesResponse")),
        (status = 404, description = "`model_not_found`: the model is not served"),
        (status = 413, description = "`body_too_large`: the body has too many bytes"),
        (status = 415, description = "`unsupported_media_type`: the body is no JSON"),
        (status = 429, description = "`queue_full`: enough jobs wait; `Retry-After` says when to come back"),
        (status = 503, description = "`draining`: the worker is about to stop; `Retry-After` says when to come back"),
        (status = 507, description = "`disk_full`: there is no room for results"),
    )
)]
pub(super) async fn generations(
    State(service): State<Service>,
    headers: HeaderMap,
    JsonBody(request): JsonBody<ImagesRequest>,
) -> ApiResult<Json<ImagesResponse>> {
    let asked = job_from(service.jobs().models(), &request)?;
    let submitted = service.jobs().submit(asked.job, None).await?;
    let (Submitted::Accepted(job) | Submitted::Replayed(job)) = submitted;
    job_metrics::watch(&service, job.id);
    let job = finished(&service, job.id).await?;
    let mut data = Vec::new();
    for image in images_of(&job) {
        data.push(match asked.form {
            ImageForm::Url => url_of(&headers, image),
            ImageForm::Base64 => bytes_of(&service, image).await?,
        });
    }
    Ok(Json(ImagesResponse {
        created: job.finished_at.unwrap_or_default().unix_ms() / 1000,
        data,
        warnings: asked.warnings,
    }))
}

/// Cancels the job when the request is dropped before the job has ended.
struct CancelOnDrop {
    service: Service,
    id: JobId,
    is_done: bool,
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let (service, id) = (self.service.clone(), self.id);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                tracing::info!(job = %id, "the client of a synchronous request went away");
                // It may have ended by itself in between.
                let _ = service.jobs().cancel(id).await;
            });
        }
    }
}

/// The job when it has ended well.
async fn finished(service: &Service, id: JobId) -> ApiResult<JobView> {
    let mut guard = CancelOnDrop {
        service: service.clone(),
        id,
        is_done: false,
    };
    let timeout = service.config().images_timeout;
    let job = tokio::select! {
        job = service.jobs().wait(id, timeout) => job?,
        () = service.closing().cancelled() => {
            // The job is kept and goes on after the restart; only this answer is lost.
            guard.is_done = true;
            return Err(ApiError::new(ErrorCode::Draining, "the worker is about to stop"));
        }
    };
    guard.is_done = job.state.is_terminal();
    match job.state {
        JobState::Succeeded => Ok(job),
        JobState::Queued | JobState::Running => Err(super::input::timed_out(timeout)),
        JobState::Failed | JobState::Cancelled => Err(failed(&job)),
    }
}

fn failed(job: &JobView) -> ApiError {
    let why = job.error.as_ref().map(|error| error.message.as_str());
    let message = format!("job {}: {}", job.id, why.unwrap_or("it was cancelled"));
    ApiError::new(ErrorCode::JobFailed, message)
}

fn images_of(job: &JobView) -> impl Iterator<Item = &Artifact> {
    let artifacts = job.result.iter().flat_map(|result| &result.artifacts);
    artifacts.filter(|artifact| matches!(artifact.role, ArtifactRole::Image | ArtifactRole::Video))
}

/// A URL under the name by which the client reached this worker. `Host` has been checked.
fn url_of(headers: &HeaderMap, image: &Artifact) -> ImageData {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).unwrap_or("localhost");
    let forwarded = headers.get("x-forwarded-proto");
    let scheme = match forwarded {
        Some(scheme) if scheme == "https" => "https",
        _ => "http",
    };
    ImageData {
        url: Some(format!("{scheme}://{host}{}", image.href)),
        b64_json: None,
    }
}

async fn bytes_of(service: &Service, image: &Artifact) -> ApiResult<ImageData> {
    let body = service.jobs().read_artifact(image.hash, None).await?;
    let whole: Vec<u8> = body
        .bytes
        .try_fold(Vec::new(), |mut whole, chunk| async move {
            whole.extend_from_slice(&chunk);
            Ok(whole)
        })
        .await
        .map_err(|error| ApiError::internal(&error))?;
    Ok(ImageData {
        url: None,
        b64_json: Some(BASE64.encode(whole)),
    })
}
