//! One line of log, one count and one time per request, under an id that the client sees.

use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument as _;

use super::Service;
use super::error::{AnsweredCode, ApiError, ErrorCode};
use super::input::timed_out;
use super::metrics::RequestFacts;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A client's own id is taken up to this length.
const MAX_ID_BYTES: usize = 64;

/// Names, times, counts and logs a request.
pub(super) async fn observe(
    State(service): State<Service>,
    request: Request,
    next: Next,
) -> Response {
    let id = request_id(request.headers());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("unmatched".to_owned(), |route| route.as_str().to_owned());
    let span = tracing::info_span!("request", id = %id, %method, route);
    let start = Instant::now();
    let response = next.run(request).instrument(span.clone()).await;
    let mut response = enveloped(response);
    let elapsed = start.elapsed();
    let error = response.extensions().get::<AnsweredCode>();
    let facts = RequestFacts {
        route,
        status: response.status().as_u16(),
        error: error.map(|code| code.0),
        elapsed,
    };
    span.in_scope(|| log(&facts));
    service.metrics().count_request(facts);
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// What a part that is not ours refuses is said in the envelope too.
fn enveloped(response: Response) -> Response {
    let status = response.status();
    let is_ours = response.extensions().get::<AnsweredCode>().is_some();
    if is_ours || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let code = match status {
        StatusCode::NOT_FOUND => ErrorCode::RouteNotFound,
        StatusCode::METHOD_NOT_ALLOWED => ErrorCode::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::BodyTooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ErrorCode::UnsupportedMediaType,
        status if status.is_client_error() => ErrorCode::InvalidRequest,
        _ => ErrorCode::Internal,
    };
    let words = status.canonical_reason().unwrap_or("refused");
    ApiError::new(code, words.to_lowercase()).into_response()
}

fn log(facts: &RequestFacts) {
    let RequestFacts { status, error, .. } = *facts;
    let elapsed_ms = facts.elapsed.as_millis();
    match status {
        500.. => tracing::warn!(status, error, elapsed_ms, "answered"),
        _ => tracing::info!(status, error, elapsed_ms, "answered"),
    }
}

/// The client's id if it is short and plain, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let is_plain = |id: &&str| {
        (1..=MAX_ID_BYTES).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let given = given.filter(is_plain);
    given.map_or_else(|| uuid::Uuid::now_v7().to_string(), str::to_owned)
}

/// Ends an ordinary request that takes too long.
pub(super) async fn within_time(
    State(service): State<Service>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    // A body that trickles in has its own limit of the same length, with better words.
    let limit = service.config().request_timeout + Duration::from_millis(200);
    let answer = tokio::time::timeout(limit, next.run(request)).await;
    answer.map_err(|_elapsed| timed_out(limit))
}
