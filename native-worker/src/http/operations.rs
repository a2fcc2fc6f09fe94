//! Routes for whoever keeps the worker running.

use axum::Json;
use axum::extract::State;
use dfa_core::wire::service::{HealthView, WorkerInfo};

use super::Service;
use super::error::{ApiError, ApiResult, ErrorCode};

fn ok(device: Option<String>) -> Json<HealthView> {
    let status = "ok".into();
    Json(HealthView { status, device })
}

/// Whether jobs can be run: the device answers and new jobs are taken.
#[utoipa::path(
    get, path = "/health", tag = "operations",
    description = "Whether jobs can be run. Does a tiny operation on the device, or looks at \
                   the running job's last sign of life, and answers within seconds.",
    security(()),
    responses(
        (status = 200, description = "well", body = ref("#/components/schemas/HealthView")),
        (status = 503, description = "`device_unwell`: the device does not answer"),
    )
)]
pub(super) async fn health(State(service): State<Service>) -> ApiResult<Json<HealthView>> {
    let limit = service.config().probe_timeout;
    service.jobs().probe(limit).await?;
    Ok(ok(Some(service.jobs().config().placement.id())))
}

/// Whether the process lives.
#[utoipa::path(
    get, path = "/v2/health/live", tag = "operations",
    description = "Whether the process answers at all.",
    security(()),
    responses((status = 200, description = "alive", body = ref("#/components/schemas/HealthView")))
)]
pub(super) async fn live() -> Json<HealthView> {
    ok(None)
}

/// Whether new requests should be sent here.
#[utoipa::path(
    get, path = "/v2/health/ready", tag = "operations",
    description = "Whether new requests should be sent here: the device answers, and the \
                   worker is not about to stop.",
    security(()),
    responses(
        (status = 200, description = "ready", body = ref("#/components/schemas/HealthView")),
        (status = 503, description = "`draining`: the worker is about to stop, or `device_unwell`"),
    )
)]
pub(super) async fn ready(State(service): State<Service>) -> ApiResult<Json<HealthView>> {
    let stats = service.jobs().stats().await?;
    if stats.draining || service.closing().is_cancelled() {
        let error = ApiError::new(ErrorCode::Draining, "the worker is about to stop");
        return Err(error.retry_after(stats.retry_after));
    }
    health(State(service)).await
}

/// The cheapest answer.
#[utoipa::path(
    get, path = "/ping", tag = "operations",
    description = "The cheapest answer.",
    security(()),
    responses((status = 200, description = "alive", body = ref("#/components/schemas/HealthView")))
)]
pub(super) async fn ping() -> Json<HealthView> {
    ok(None)
}

/// Which program this is, and how busy.
#[utoipa::path(
    get, path = "/info", tag = "operations",
    description = "Which program this is, what it serves and how busy it is.",
    responses((status = 200, description = "the worker", body = ref("#/components/schemas/WorkerInfo")))
)]
pub(super) async fn info(State(service): State<Service>) -> ApiResult<Json<WorkerInfo>> {
    let stats = service.jobs().stats().await?;
    let models = service.jobs().models().all().iter();
    Ok(Json(WorkerInfo {
        name: "dfa".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        models: models.map(|model| model.id().to_owned()).collect(),
        needs_key: !service.config().api_keys.is_empty(),
        uptime_secs: service.uptime().as_secs(),
        jobs_waiting: stats.n_queued,
        jobs_running: stats.n_running,
    }))
}
