//! The worker over HTTP: who may ask what, and what is answered. Knows axum and the
//! [`jobs`](crate::jobs), never tensors.
//!
//! [`router`] is the API in one screen. A request passes, from the outside in: `trace` (an
//! id, a line of log, a count), `guard` (which names and origins), `auth` (which keys), the
//! time limit, and then its handler, which reads it with `input`, asks the jobs, and
//! answers a wire type or an [`ApiError`](error::ApiError).
//!
//! Always true: whatever goes wrong is answered in one envelope, and what a client sends
//! never becomes a path or a URL that the worker opens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, Method, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use dfa_core::wire::Timestamp;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::jobs::Jobs;

pub mod auth;
pub mod config;
pub mod error;
pub mod serve;

mod artifacts;
mod byte_range;
mod cookie;
mod events;
mod guard;
mod images;
mod images_request;
mod input;
mod job_errors;
mod job_metrics;
mod job_routes;
mod metrics;
mod models;
mod openapi;
mod operations;
mod page;
mod plan_name;
mod plans;
mod query;
mod redecision;
mod trace;

use error::{ApiError, ErrorCode};
use openapi::Document;

pub use auth::ApiKeys;
pub use config::HttpConfig;

/// The API.
///
/// # Errors
/// Only if the description of the API, which is a part of the program, is broken.
pub fn router(
    jobs: Jobs,
    config: HttpConfig,
    closing: CancellationToken,
) -> serde_json::Result<Router> {
    let (ordinary, description) = OpenApiRouter::new()
        .routes(routes!(job_routes::submit, job_routes::list))
        .routes(routes!(job_routes::delete))
        .routes(routes!(job_routes::cancel))
        .routes(routes!(artifacts::get))
        .routes(routes!(plans::list, plans::import))
        .routes(routes!(plans::get))
        .routes(routes!(plans::redecide_at))
        .routes(routes!(models::list))
        .routes(routes!(models::get))
        .routes(routes!(models::capabilities))
        .routes(routes!(operations::health))
        .routes(routes!(operations::live))
        .routes(routes!(operations::ready))
        .routes(routes!(operations::ping))
        .routes(routes!(operations::info))
        .routes(routes!(metrics::metrics))
        .routes(routes!(auth::login))
        .routes(routes!(auth::logout))
        .routes(routes!(openapi::openapi))
        .split_for_parts();
    // These wait by design, each with a limit of its own.
    let (waiting, more) = OpenApiRouter::new()
        .routes(routes!(job_routes::get))
        .routes(routes!(events::stream_events))
        .routes(routes!(images::generations))
        .split_for_parts();
    let service = Service::new(
        jobs,
        config,
        closing,
        Document::new(&description.merge_from(more))?,
    );
    let api = ordinary
        .layer(from_fn_with_state(service.clone(), trace::within_time))
        .merge(waiting)
        .merge(openapi::docs())
        .fallback(page_or_nothing)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::disable())
        .layer(CatchPanicLayer::custom(error::of_panic))
        .layer(from_fn_with_state(service.clone(), auth::require_key));
    let origins = &service.config().cors_allow_origins;
    let api = match origins.as_slice() {
        [] => api,
        origins => api.layer(guard::cors(origins)),
    };
    Ok(api
        .layer(from_fn_with_state(service.clone(), guard::check_origin))
        .layer(from_fn_with_state(service.clone(), trace::observe))
        .layer(from_fn(guard::security_headers))
        .with_state(service))
}

/// Whether this program has the page in it.
pub fn has_page() -> bool {
    page::is_built()
}

/// What is no route is a file of the page, or nothing.
async fn page_or_nothing(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let message = "there is no such route; GET /openapi.json or /docs lists them";
    page::answer(&method, &uri, &headers)
        .unwrap_or_else(|| ApiError::new(ErrorCode::RouteNotFound, message).into_response())
}

async fn no_method() -> ApiError {
    let message = "the route has other methods, see the allow header";
    ApiError::new(ErrorCode::MethodNotAllowed, message)
}

/// What every handler knows. A clone is the same.
#[derive(Clone)]
pub struct Service(Arc<Shared>);

struct Shared {
    jobs: Jobs,
    config: HttpConfig,
    sessions: auth::Sessions,
    metrics: metrics::Metrics,
    document: Document,
    closing: CancellationToken,
    started: Instant,
    started_at: Timestamp,
}

impl Service {
    fn new(jobs: Jobs, config: HttpConfig, closing: CancellationToken, document: Document) -> Self {
        let started_at = jobs.config().clock.now();
        let service = Self(Arc::new(Shared {
            jobs,
            config,
            sessions: auth::Sessions::default(),
            metrics: metrics::Metrics::new(),
            document,
            closing,
            started: Instant::now(),
            started_at,
        }));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let service = service.clone();
            runtime.spawn(async move { job_metrics::watch_earlier(&service).await });
        }
        service
    }

    fn jobs(&self) -> &Jobs {
        &self.0.jobs
    }

    fn config(&self) -> &HttpConfig {
        &self.0.config
    }

    fn sessions(&self) -> &auth::Sessions {
        &self.0.sessions
    }

    fn metrics(&self) -> &metrics::Metrics {
        &self.0.metrics
    }

    fn document(&self) -> &Document {
        &self.0.document
    }

    /// Cancelled when the worker is about to stop.
    fn closing(&self) -> &CancellationToken {
        &self.0.closing
    }

    fn uptime(&self) -> Duration {
        self.0.started.elapsed()
    }

    fn started_at(&self) -> Timestamp {
        self.0.started_at
    }
}
