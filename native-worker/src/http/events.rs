//! `GET /v1/jobs/{id}/events`: what happens in a job, as server-sent events.
//!
//! The first event is `snapshot`, the whole job; then come the events of the log from the
//! place that was asked for, each with its number as id, and after the terminal one the
//! stream ends. A client that lost the connection sends the last id that it saw. A slow
//! reader only slows itself: events are read from the log as it takes them.

use std::convert::Infallible;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use dfa_core::wire::{JobEvent, JobId};
use futures_util::stream::{self, Stream, StreamExt as _};
use serde::Serialize;

use super::Service;
use super::error::{ApiError, ApiResult};
use super::input::{Params, PathId};
use crate::jobs::JobEvents;

const LAST_EVENT_ID: &str = "last-event-id";

/// Streams a job's events.
#[utoipa::path(
    get, path = "/v1/jobs/{id}/events", tag = "jobs",
    description = "What happens in a job, as server-sent events: first `snapshot` (the job), \
                   then `status`, `progress`, `decision`, `preview` and `warning` from the \
                   durable log. Ends after the terminal status. A comment comes every 15 s. \
                   `docs/http-api.md` describes the events.",
    params(
        ("id" = String, Path, description = "The job"),
        ("last-event-id" = Option<String>, Header, description = "Id of the last event that was seen; those after it are sent"),
        ("after" = Option<u64>, Query, description = "The same for clients that cannot send headers; the header wins"),
    ),
    responses(
        (status = 200, description = "the events", body = String, content_type = "text/event-stream"),
        (status = 404, description = "`job_not_found`: there never was such a job"),
        (status = 410, description = "`job_gone`: it was deleted or is too old"),
    )
)]
pub(super) async fn stream_events(
    State(service): State<Service>,
    PathId(id): PathId<JobId>,
    headers: HeaderMap,
    mut params: Params,
) -> ApiResult<Response> {
    let asked: Option<u64> = params.value("after")?;
    params.end()?;
    let after = match headers.get(LAST_EVENT_ID) {
        Some(value) => last_event_id(value)?,
        None => asked.unwrap_or(0),
    };
    let events = service.jobs().watch(id, after).await?;
    let closing = service.closing().clone();
    let stream = events_of(events, after).take_until(closing.cancelled_owned());
    let ping = KeepAlive::new()
        .interval(service.config().ping_interval)
        .text("ping");
    let mut response = Sse::new(stream).keep_alive(ping).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would collect the events otherwise.
    let buffering = HeaderName::from_static("x-accel-buffering");
    headers.insert(buffering, HeaderValue::from_static("no"));
    Ok(response)
}

fn last_event_id(value: &HeaderValue) -> ApiResult<u64> {
    let text = value.to_str().unwrap_or("?").trim();
    // A browser that saw no id yet sends an empty one.
    if text.is_empty() {
        return Ok(0);
    }
    text.parse()
        .map_err(|_| ApiError::invalid(LAST_EVENT_ID, "an event's id is a number, as it was sent"))
}

fn events_of(events: JobEvents, after: u64) -> impl Stream<Item = Result<Event, Infallible>> {
    let first = named("snapshot", after, events.snapshot());
    let log = stream::unfold(events, |mut events| async move {
        match events.next().await {
            Ok(event) => event.map(|event| (sse_event(&event), events)),
            Err(error) => {
                // The client comes again with the last id and is told then.
                tracing::error!(%error, "a stream of events broke");
                None
            }
        }
    });
    stream::iter(first)
        .chain(log.filter_map(std::future::ready))
        .map(Ok)
}

fn sse_event(event: &JobEvent) -> Option<Event> {
    named(event.data.name(), event.seq, event)
}

fn named<T: Serialize>(name: &str, id: u64, data: &T) -> Option<Event> {
    let event = Event::default().event(name).id(id.to_string());
    event
        .json_data(data)
        .inspect_err(|error| tracing::error!(%error, "an event cannot be written"))
        .ok()
}
