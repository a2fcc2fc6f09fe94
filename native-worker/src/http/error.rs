//! How the API refuses: one list of codes, one function from a code to its status, one
//! envelope for all of them (OpenAI's). Nothing else in `http/` chooses a status of 400
//! or more.

use std::any::Any;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dfa_core::wire::api_error::{ErrorBody, ErrorEnvelope, ErrorKind};

/// Every way in which a request can end badly. The strings are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// A body that is no JSON.
    InvalidJson,
    /// A body, parameter or header whose value cannot be used.
    InvalidRequest,
    /// A file that is no plan.
    InvalidPlan,
    /// No key, or a wrong one.
    InvalidApiKey,
    /// A name of this worker that it does not answer to.
    HostNotAllowed,
    /// A page of another site.
    OriginNotAllowed,
    /// No such route.
    RouteNotFound,
    /// The page is not in this program.
    PageNotBuilt,
    /// No such job, ever.
    JobNotFound,
    /// No such job any more.
    JobGone,
    /// No such model.
    ModelNotFound,
    /// No such plan.
    PlanNotFound,
    /// No such artifact.
    ArtifactNotFound,
    /// Not this method.
    MethodNotAllowed,
    /// The request took too long to arrive or to answer.
    RequestTimeout,
    /// The job has ended.
    JobEnded,
    /// The job has not ended.
    JobNotEnded,
    /// The plan records no losses.
    PlanWithoutLosses,
    /// A body with more bytes than the worker takes.
    BodyTooLarge,
    /// A body of another media type.
    UnsupportedMediaType,
    /// A range outside the artifact.
    RangeNotSatisfiable,
    /// The key was used for another request.
    IdempotencyConflict,
    /// Enough jobs wait.
    QueueFull,
    /// A bug, a broken disk or database.
    Internal,
    /// The job behind a synchronous request failed.
    JobFailed,
    /// The worker is about to stop.
    Draining,
    /// The device does not answer.
    DeviceUnwell,
    /// There is no room for results.
    DiskFull,
}

impl ErrorCode {
    /// The status, the family and the string of a code.
    pub const fn facts(self) -> (StatusCode, ErrorKind, &'static str) {
        use ErrorKind as Kind;
        use StatusCode as Status;
        match self {
            Self::InvalidJson => bad(Status::BAD_REQUEST, "invalid_json"),
            Self::InvalidRequest => bad(Status::BAD_REQUEST, "invalid_request"),
            Self::InvalidPlan => bad(Status::BAD_REQUEST, "invalid_plan"),
            Self::MethodNotAllowed => bad(Status::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::RequestTimeout => bad(Status::REQUEST_TIMEOUT, "request_timeout"),
            Self::BodyTooLarge => bad(Status::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::UnsupportedMediaType => {
                bad(Status::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type")
            }
            Self::RangeNotSatisfiable => {
                bad(Status::RANGE_NOT_SATISFIABLE, "range_not_satisfiable")
            }
            Self::IdempotencyConflict => bad(Status::UNPROCESSABLE_ENTITY, "idempotency_conflict"),
            Self::InvalidApiKey => (
                Status::UNAUTHORIZED,
                Kind::AuthenticationError,
                "invalid_api_key",
            ),
            Self::HostNotAllowed => (Status::FORBIDDEN, Kind::PermissionError, "host_not_allowed"),
            Self::OriginNotAllowed => (
                Status::FORBIDDEN,
                Kind::PermissionError,
                "origin_not_allowed",
            ),
            Self::RouteNotFound => missing(Status::NOT_FOUND, "route_not_found"),
            Self::PageNotBuilt => missing(Status::NOT_FOUND, "page_not_built"),
            Self::JobNotFound => missing(Status::NOT_FOUND, "job_not_found"),
            Self::JobGone => missing(Status::GONE, "job_gone"),
            Self::ModelNotFound => missing(Status::NOT_FOUND, "model_not_found"),
            Self::PlanNotFound => missing(Status::NOT_FOUND, "plan_not_found"),
            Self::ArtifactNotFound => missing(Status::NOT_FOUND, "artifact_not_found"),
            Self::JobEnded => (Status::CONFLICT, Kind::ConflictError, "job_ended"),
            Self::JobNotEnded => (Status::CONFLICT, Kind::ConflictError, "job_not_ended"),
            Self::PlanWithoutLosses => {
                (Status::CONFLICT, Kind::ConflictError, "plan_without_losses")
            }
            Self::QueueFull => (
                Status::TOO_MANY_REQUESTS,
                Kind::RateLimitError,
                "queue_full",
            ),
            Self::Internal => (Status::INTERNAL_SERVER_ERROR, Kind::ServerError, "internal"),
            Self::JobFailed => (
                Status::INTERNAL_SERVER_ERROR,
                Kind::ServerError,
                "job_failed",
            ),
            Self::Draining => away(Status::SERVICE_UNAVAILABLE, "draining"),
            Self::DeviceUnwell => away(Status::SERVICE_UNAVAILABLE, "device_unwell"),
            Self::DiskFull => away(Status::INSUFFICIENT_STORAGE, "disk_full"),
        }
    }
}

const fn bad(status: StatusCode, code: &'static str) -> (StatusCode, ErrorKind, &'static str) {
    (status, ErrorKind::InvalidRequestError, code)
}

const fn missing(status: StatusCode, code: &'static str) -> (StatusCode, ErrorKind, &'static str) {
    (status, ErrorKind::NotFoundError, code)
}

const fn away(status: StatusCode, code: &'static str) -> (StatusCode, ErrorKind, &'static str) {
    (status, ErrorKind::UnavailableError, code)
}

/// An answer that is no success.
#[derive(Clone, Debug)]
pub struct ApiError {
    code: ErrorCode,
    message: String,
    param: Option<String>,
    problems: Vec<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What a handler answers.
pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    /// An error with words for people.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            param: None,
            problems: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// A value that cannot be used, and where it stands.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidRequest, message).about(param)
    }

    /// A failure of ours: written to the log, not told to the client.
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "request failed");
        let message = "the worker failed; its log says why, under this answer's x-request-id";
        Self::new(ErrorCode::Internal, message)
    }

    /// Names the field, parameter or header that is at fault.
    #[must_use]
    pub fn about(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Lists every single problem.
    #[must_use]
    pub fn listing(mut self, problems: Vec<String>) -> Self {
        self.problems = problems;
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Says when to try again: whole seconds, at least one.
    #[must_use]
    pub fn retry_after(self, after: Duration) -> Self {
        let secs = after.as_secs_f64().ceil().clamp(1.0, 86_400.0) as u64;
        self.with_header(header::RETRY_AFTER, HeaderValue::from(secs))
    }

    /// The code.
    pub const fn code(&self) -> ErrorCode {
        self.code
    }
}

/// The code of an error answer, kept with it for metrics and the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct AnsweredCode(pub(super) &'static str);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, kind, code) = self.code.facts();
        let body = ErrorBody {
            message: self.message,
            kind,
            param: self.param,
            code: code.to_owned(),
            problems: self.problems,
        };
        let mut response = (status, Json(ErrorEnvelope { error: body })).into_response();
        response.headers_mut().extend(self.headers);
        response.extensions_mut().insert(AnsweredCode(code));
        response
    }
}

/// The answer of a handler that panicked, which is our bug.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the layer that catches panics gives the box away"
)]
pub(super) fn of_panic(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    let words = text.unwrap_or_else(|| "a handler panicked".into());
    ApiError::internal(&format_args!("panic: {words}")).into_response()
}
