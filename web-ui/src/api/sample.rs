//! `sample/`: files that are served beside the page, with or without a worker.

use gloo_net::http::Request;

use super::{ApiError, checked, unreachable};

/// The text of a file of the sample.
pub async fn text(name: &str) -> Result<String, ApiError> {
    let sent = Request::get(&url(name)).send().await;
    let response = checked(sent.map_err(unreachable)?).await?;
    response.text().await.map_err(unreachable)
}

/// Where a file of the sample can be fetched.
pub fn url(name: &str) -> String {
    format!("sample/{name}")
}
