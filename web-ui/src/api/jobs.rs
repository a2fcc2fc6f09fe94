//! `/v1/jobs`: submit, look, list, cancel, delete.

use dfa_core::wire::job::{JobList, JobState, JobView};
use dfa_core::wire::{JobId, JobKind, JobRequest};
use gloo_net::http::Request;

use super::{ApiError, checked, get, read, unreachable, unreadable};

/// Which jobs are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct JobFilter {
    /// Only those in this state.
    pub state: Option<JobState>,
    /// Only those of this kind.
    pub kind: Option<JobKind>,
    /// Only those after this one: `next_cursor` of the page before.
    pub cursor: Option<JobId>,
    /// At most so many.
    pub limit: u32,
}

/// The page's own name for a request that is about to be sent. The worker answers the same
/// request with the same name with the same job, so a request that is sent twice runs once.
pub fn fresh_key() -> String {
    let now = js_sys::Date::now();
    // Not a secret: it only has to differ from those of other pages.
    let chance = js_sys::Math::random() * 2f64.powi(53);
    format!("page-{:x}-{:x}", now as u64, chance as u64)
}

/// Asks for a job; `key` is a [`fresh_key`], the same one for every try of one wish.
pub async fn submit(request: &JobRequest, key: &str) -> Result<JobView, ApiError> {
    let request = Request::post("v1/jobs")
        .header("idempotency-key", key)
        .json(request)
        .map_err(unreadable)?;
    read(request.send().await.map_err(unreachable)?).await
}

/// A job as it is now.
pub async fn job(id: JobId) -> Result<JobView, ApiError> {
    get(&format!("v1/jobs/{id}")).await
}

/// Jobs, newest first.
pub async fn list(filter: JobFilter) -> Result<JobList, ApiError> {
    let mut path = format!("v1/jobs?limit={}", filter.limit.max(1));
    if let Some(state) = filter.state {
        path += &format!("&status={state}");
    }
    if let Some(kind) = filter.kind {
        path += &format!("&kind={kind}");
    }
    if let Some(cursor) = filter.cursor {
        path += &format!("&cursor={cursor}");
    }
    get(&path).await
}

/// Asks a job to end; what comes back may still run for a moment.
pub async fn cancel(id: JobId) -> Result<JobView, ApiError> {
    let sent = Request::post(&format!("v1/jobs/{id}/cancel")).send().await;
    read(sent.map_err(unreachable)?).await
}

/// Forgets a job that has ended.
pub async fn delete(id: JobId) -> Result<(), ApiError> {
    let sent = Request::delete(&format!("v1/jobs/{id}")).send().await;
    checked(sent.map_err(unreachable)?).await.map(drop)
}
