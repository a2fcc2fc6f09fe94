//! `/v1/jobs`: submit, look, wait, cancel, delete. The streams are in [`events`](super::events).

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dfa_core::wire::job::{JobLinks, JobList, JobView};
use dfa_core::wire::{JobId, JobRequest};

use super::error::{ApiError, ApiResult};
use super::input::{JsonBody, Params, PathId};
use super::{Service, job_metrics};
use crate::jobs::{IdempotencyKey, JobFilter, MAX_KEY_BYTES, MAX_PAGE, Submitted};

const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Tells a replayed answer from a new one.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Accepts a job.
#[utoipa::path(
    post, path = "/v1/jobs", tag = "jobs",
    description = "Keeps a job and answers at once. With `Idempotency-Key` the same request \
                   sent again gives the same job.",
    params(("idempotency-key" = Option<String>, Header, description = "The client's own name for this request, at most 255 printable ASCII letters")),
    request_body(content = ref("#/components/schemas/JobRequest"), content_type = "application/json"),
    responses(
        (status = 202, description = "accepted", body = ref("#/components/schemas/JobView"),
            headers(("location" = String, description = "Path of the job"))),
        (status = 413, description = "`body_too_large`: the body has too many bytes"),
        (status = 415, description = "`unsupported_media_type`: the body is no JSON"),
        (status = 422, description = "`idempotency_conflict`: the key was used for another request"),
        (status = 429, description = "`queue_full`: enough jobs wait; `Retry-After` says when to come back"),
        (status = 503, description = "`draining`: the worker is about to stop; `Retry-After` says when to come back"),
        (status = 507, description = "`disk_full`: there is no room for results"),
    )
)]
pub(super) async fn submit(
    State(service): State<Service>,
    headers: HeaderMap,
    JsonBody(request): JsonBody<JobRequest>,
) -> ApiResult<Response> {
    let key = idempotency_key(&headers)?;
    let submitted = service.jobs().submit(request, key.as_ref()).await?;
    let (job, replayed) = match submitted {
        Submitted::Accepted(job) => {
            job_metrics::watch(&service, job.id);
            (job, false)
        }
        Submitted::Replayed(job) => (job, true),
    };
    let mut response = (StatusCode::ACCEPTED, Json(&job)).into_response();
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::from_str(&JobLinks::of(job.id).this) {
        headers.insert(header::LOCATION, location);
    }
    if replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

fn idempotency_key(headers: &HeaderMap) -> ApiResult<Option<IdempotencyKey>> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let key = value.to_str().ok().and_then(IdempotencyKey::new);
    match (key, values.next()) {
        (Some(key), None) => Ok(Some(key)),
        _ => Err(ApiError::invalid(
            IDEMPOTENCY_KEY,
            format!("an idempotency key has 1 to {MAX_KEY_BYTES} printable ASCII letters"),
        )),
    }
}

/// Lists jobs.
#[utoipa::path(
    get, path = "/v1/jobs", tag = "jobs",
    description = "Jobs, newest first, in pages.",
    params(
        ("status" = Option<String>, Query, description = "Only jobs in this state: queued, running, succeeded, failed or cancelled"),
        ("kind" = Option<String>, Query, description = "Only jobs of this kind: calibrate, generate or compare"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "Most jobs of the page, 1 to 200; 50 if not given"),
    ),
    responses((status = 200, description = "a page", body = ref("#/components/schemas/JobList")))
)]
pub(super) async fn list(
    State(service): State<Service>,
    mut params: Params,
) -> ApiResult<Json<JobList>> {
    let filter = JobFilter {
        state: params.value("status")?,
        kind: params.value("kind")?,
        cursor: params.value("cursor")?,
        limit: page_size(&mut params)?,
    };
    params.end()?;
    Ok(Json(service.jobs().list(&filter).await?))
}

/// The `limit` of a page; 0 means the usual.
pub(super) fn page_size(params: &mut Params) -> ApiResult<u32> {
    match params.value("limit")? {
        None => Ok(0),
        Some(limit @ 1..=MAX_PAGE) => Ok(limit),
        Some(_) => Err(ApiError::invalid(
            "limit",
            format!("limit is 1 to {MAX_PAGE}"),
        )),
    }
}

/// A job.
#[utoipa::path(
    get, path = "/v1/jobs/{id}", tag = "jobs",
    description = "A job as it is now, or with `wait` as soon as it has ended.",
    params(
        ("id" = String, Path, description = "The job"),
        ("wait" = Option<u32>, Query, description = "Seconds to wait for the end of the job, 0 to 60"),
    ),
    responses(
        (status = 200, description = "the job", body = ref("#/components/schemas/JobView")),
        (status = 404, description = "`job_not_found`: there never was such a job"),
        (status = 410, description = "`job_gone`: it was deleted or is too old"),
    )
)]
pub(super) async fn get(
    State(service): State<Service>,
    PathId(id): PathId<JobId>,
    mut params: Params,
) -> ApiResult<Json<JobView>> {
    let wait: Option<u32> = params.value("wait")?;
    params.end()?;
    let wait = Duration::from_secs(wait.unwrap_or(0).into());
    let longest = service.config().longest_wait;
    if wait > longest {
        let longest = longest.as_secs();
        return Err(ApiError::invalid(
            "wait",
            format!("wait is 0 to {longest} seconds; ask again for longer"),
        ));
    }
    if wait.is_zero() {
        return Ok(Json(service.jobs().get(id).await?));
    }
    // A worker that stops answers its waiting clients first.
    tokio::select! {
        job = service.jobs().wait(id, wait) => Ok(Json(job?)),
        () = service.closing().cancelled() => Ok(Json(service.jobs().get(id).await?)),
    }
}

/// Cancels a job.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/cancel", tag = "jobs",
    description = "Asks a job to end: a waiting one ends at once, a running one within a \
                   denoising step or a candidate.",
    params(("id" = String, Path, description = "The job")),
    responses(
        (status = 202, description = "asked", body = ref("#/components/schemas/JobView")),
        (status = 404, description = "`job_not_found`: there never was such a job"),
        (status = 409, description = "`job_ended`: it has ended already"),
        (status = 410, description = "`job_gone`: it was deleted or is too old"),
    )
)]
pub(super) async fn cancel(
    State(service): State<Service>,
    PathId(id): PathId<JobId>,
) -> ApiResult<(StatusCode, Json<JobView>)> {
    let job = service.jobs().cancel(id).await?;
    Ok((StatusCode::ACCEPTED, Json(job)))
}

/// Forgets a job.
#[utoipa::path(
    delete, path = "/v1/jobs/{id}", tag = "jobs",
    description = "Forgets a job that has ended, with its events and the artifacts that no \
                   other job has.",
    params(("id" = String, Path, description = "The job")),
    responses(
        (status = 204, description = "forgotten"),
        (status = 404, description = "`job_not_found`: there never was such a job"),
        (status = 409, description = "`job_not_ended`: cancel it first"),
        (status = 410, description = "`job_gone`: it was deleted or is too old"),
    )
)]
pub(super) async fn delete(
    State(service): State<Service>,
    PathId(id): PathId<JobId>,
) -> ApiResult<StatusCode> {
    service.jobs().delete(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
