//! `/v1/plans`: the worker's library of plans.

use dfa_core::Window;
use dfa_core::wire::ContentHash;
use dfa_core::wire::job::PlanList;
use dfa_core::wire::plan_answer::PlanImport;
use gloo_net::http::Request;

use super::{ApiError, checked, get, read, unreachable, unreadable};

/// How a plan is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanForm {
    /// The plan file, with everything that is known.
    File,
    /// One line per cell.
    Csv,
    /// xDiT's JSON.
    Xdit,
}

/// Plans of the library, newest first; `cursor` is `next_cursor` of the page before.
pub async fn list(cursor: Option<&str>) -> Result<PlanList, ApiError> {
    match cursor {
        // A cursor is letters, digits and hyphens: the worker made it for addresses.
        Some(cursor) => get(&format!("v1/plans?cursor={cursor}")).await,
        None => get("v1/plans").await,
    }
}

/// The text of a plan file.
pub async fn text(id: ContentHash) -> Result<String, ApiError> {
    let sent = Request::get(&url(id, PlanForm::File)).send().await;
    let response = checked(sent.map_err(unreachable)?).await?;
    response.text().await.map_err(unreachable)
}

/// Where a plan can be fetched, in some form.
pub fn url(id: ContentHash, form: PlanForm) -> String {
    match form {
        PlanForm::File => format!("v1/plans/{id}"),
        PlanForm::Csv => format!("v1/plans/{id}.csv"),
        PlanForm::Xdit => format!("v1/plans/{id}.xdit.json"),
    }
}

/// Brings a plan into the library. Only a plan file says its window; for the other forms it
/// has to be given.
pub async fn import(
    text: &str,
    form: PlanForm,
    window: Option<Window>,
) -> Result<PlanImport, ApiError> {
    let (format, media_type) = match form {
        PlanForm::File => ("json", "application/json"),
        PlanForm::Csv => ("csv", "text/csv"),
        PlanForm::Xdit => ("xdit", "application/json"),
    };
    let mut path = format!("v1/plans?format={format}");
    if let Some(Window { left, right }) = window {
        path += &format!("&window={left},{right}");
    }
    let request = Request::post(&path)
        .header("content-type", media_type)
        .body(text)
        .map_err(unreadable)?;
    read(request.send().await.map_err(unreachable)?).await
}
