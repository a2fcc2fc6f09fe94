//! Numbers for Prometheus, all beginning with `dfa_`. Labels are routes as written in
//! [`router`](super::router), statuses, codes of errors and names of ours, so their number
//! is bounded; times go into buckets.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::Service;
use super::error::{ApiError, ApiResult};
use crate::jobs::QueueStats;

/// Seconds of requests.
const REQUEST_BUCKETS: [f64; 11] = [
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0,
];
/// Seconds in the queue.
const QUEUE_BUCKETS: [f64; 10] = [
    0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0,
];
/// Seconds of a denoising step.
const STEP_BUCKETS: [f64; 11] = [
    0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0,
];

/// What is counted of a request.
pub(super) struct RequestFacts {
    pub(super) route: String,
    pub(super) status: u16,
    pub(super) error: Option<&'static str>,
    pub(super) elapsed: Duration,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    code: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabel {
    route: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ErrLabel {
    err: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct JobLabels {
    kind: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PhaseLabel {
    phase: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StrategyLabel {
    strategy: &'static str,
}

type Times<L> = Family<L, Histogram, fn() -> Histogram>;
type RealGauge = Gauge<f64, AtomicU64>;

/// The worker's numbers.
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    failures: Family<ErrLabel, Counter>,
    request_secs: Times<RouteLabel>,
    queue_secs: Histogram,
    jobs_ended: Family<JobLabels, Counter>,
    step_secs: Times<PhaseLabel>,
    strategies: Family<StrategyLabel, Counter>,
    jobs_waiting: Gauge,
    jobs_running: Gauge,
    queue_size: Gauge,
    oldest_wait_secs: RealGauge,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("dfa"),
            requests: Family::default(),
            failures: Family::default(),
            request_secs: Family::new_with_constructor(|| Histogram::new(REQUEST_BUCKETS)),
            queue_secs: Histogram::new(QUEUE_BUCKETS),
            jobs_ended: Family::default(),
            step_secs: Family::new_with_constructor(|| Histogram::new(STEP_BUCKETS)),
            strategies: Family::default(),
            jobs_waiting: Gauge::default(),
            jobs_running: Gauge::default(),
            queue_size: Gauge::default(),
            oldest_wait_secs: RealGauge::default(),
        };
        metrics.register_requests();
        metrics.register_jobs();
        metrics
    }

    fn register_requests(&mut self) {
        let registry = &mut self.registry;
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "The program that runs", Info::new(version));
        registry.register(
            "requests",
            "Requests, by route and status",
            self.requests.clone(),
        );
        registry.register(
            "request_failures",
            "Requests refused or failed, by the code of the error",
            self.failures.clone(),
        );
        registry.register(
            "request_duration_seconds",
            "Time until the answer begins, by route",
            self.request_secs.clone(),
        );
    }

    fn register_jobs(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "queue_duration_seconds",
            "Time that jobs waited before they began",
            self.queue_secs.clone(),
        );
        registry.register(
            "queue_size",
            "Jobs that wait or run",
            self.queue_size.clone(),
        );
        registry.register("jobs_waiting", "Jobs that wait", self.jobs_waiting.clone());
        registry.register("jobs_running", "Jobs that run", self.jobs_running.clone());
        registry.register(
            "queue_oldest_seconds",
            "How long the first waiting job has waited",
            self.oldest_wait_secs.clone(),
        );
        registry.register(
            "jobs_ended",
            "Jobs that ended, by kind and state",
            self.jobs_ended.clone(),
        );
        registry.register(
            "step_duration_seconds",
            "Time of a denoising step, by phase",
            self.step_secs.clone(),
        );
        registry.register(
            "attention_strategy",
            "Cells that calibrations decided, by the strategy chosen",
            self.strategies.clone(),
        );
    }

    pub(super) fn count_request(&self, facts: RequestFacts) {
        let RequestFacts { route, status, .. } = facts;
        if let Some(err) = facts.error {
            self.failures.get_or_create(&ErrLabel { err }).inc();
        }
        let time = self.request_secs.get_or_create(&RouteLabel {
            route: route.clone(),
        });
        time.observe(facts.elapsed.as_secs_f64());
        drop(time);
        let labels = RequestLabels {
            route,
            code: status,
        };
        self.requests.get_or_create(&labels).inc();
    }

    pub(super) fn count_queue_time(&self, secs: f64) {
        self.queue_secs.observe(secs);
    }

    pub(super) fn count_ended(&self, kind: &'static str, state: &'static str) {
        self.jobs_ended
            .get_or_create(&JobLabels { kind, state })
            .inc();
    }

    pub(super) fn count_steps(&self, phase: &'static str, n_steps: u32, secs_each: f64) {
        let times = self.step_secs.get_or_create(&PhaseLabel { phase });
        (0..n_steps).for_each(|_| times.observe(secs_each));
    }

    pub(super) fn count_strategy(&self, strategy: &'static str) {
        self.strategies
            .get_or_create(&StrategyLabel { strategy })
            .inc();
    }

    /// Everything as text, with the queue as it is now.
    fn text(&self, stats: &QueueStats) -> Result<String, std::fmt::Error> {
        self.jobs_waiting.set(stats.n_queued.into());
        self.jobs_running.set(stats.n_running.into());
        self.queue_size
            .set(i64::from(stats.n_queued) + i64::from(stats.n_running));
        self.oldest_wait_secs
            .set(stats.oldest_wait_secs.unwrap_or(0.0));
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// The numbers.
#[utoipa::path(
    get, path = "/metrics", tag = "operations",
    description = "Numbers for Prometheus, in the OpenMetrics text format.",
    security(()),
    responses((status = 200, description = "the numbers", body = String, content_type = "application/openmetrics-text"))
)]
pub(super) async fn metrics(State(service): State<Service>) -> ApiResult<Response> {
    let stats = service.jobs().stats().await?;
    let text = service.metrics().text(&stats);
    let text = text.map_err(|error| ApiError::internal(&error))?;
    const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, FORMAT)], text).into_response())
}
