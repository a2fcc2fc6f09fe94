//! The worker's routes, and no other place knows them. Answers are [`dfa_core::wire`]
//! types; what goes wrong is an [`ApiError`] with the worker's own words.
//!
//! Paths have no slash in front, so that a worker behind a proxy may live in a folder.
//!
//! - [`jobs`]: submit, look, list, cancel, delete.
//! - [`events`]: what happens in a job, while it happens.
//! - [`plans`]: the worker's library of plans.
//! - [`sample`]: files that are served beside the page.

use dfa_core::wire::ContentHash;
use dfa_core::wire::api_error::ErrorEnvelope;
use dfa_core::wire::service::Capabilities;
use gloo_net::http::{Request, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub mod events;
pub mod jobs;
pub mod plans;
pub mod sample;

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ApiError {
    /// The worker was not reached.
    #[error("the worker does not answer ({0}); is it running?")]
    Unreachable(String),
    /// The worker refused, in its own words.
    #[error("{message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// For programs.
        code: String,
        /// For people.
        message: String,
        /// The field of the request that is at fault.
        param: Option<String>,
        /// Every single problem, where there can be several.
        problems: Vec<String>,
    },
    /// The answer is not what was expected: page and worker are of different versions.
    #[error("the worker's answer cannot be read ({0}); reload the page")]
    Unreadable(String),
}

impl ApiError {
    /// Whether a key would help.
    pub fn needs_key(&self) -> bool {
        matches!(self, Self::Refused { status: 401, .. })
    }

    /// Whether the thing asked for is not there, or not any more.
    pub fn is_gone(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                status: 404 | 410,
                ..
            }
        )
    }

    /// The field of the request that is at fault, if the worker names one.
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::Refused { param, .. } => param.as_deref(),
            _ => None,
        }
    }
}

/// What a worker can do.
pub async fn capabilities() -> Result<Capabilities, ApiError> {
    get("v1/capabilities").await
}

/// Whether the worker answers at all; needs no key.
pub async fn ping() -> Result<(), ApiError> {
    let sent = Request::get("ping").send().await;
    checked(sent.map_err(unreachable)?).await.map(drop)
}

/// Where a file that a job made can be fetched.
pub fn artifact_url(hash: ContentHash) -> String {
    format!("v1/artifacts/{hash}")
}

/// The bytes of a file of the worker, or of one that came with the page.
pub async fn bytes(url: &str) -> Result<Vec<u8>, ApiError> {
    let sent = Request::get(url).send().await;
    let response = checked(sent.map_err(unreachable)?).await?;
    response.binary().await.map_err(unreachable)
}

/// Exchanges a key for a cookie that the browser keeps.
pub async fn login(key: &str) -> Result<(), ApiError> {
    let body = serde_json::json!({ "api_key": key });
    let request = Request::post("login").json(&body).map_err(unreadable)?;
    checked(request.send().await.map_err(unreachable)?)
        .await
        .map(drop)
}

/// Forgets the cookie.
pub async fn logout() -> Result<(), ApiError> {
    let sent = Request::post("logout").send().await;
    checked(sent.map_err(unreachable)?).await.map(drop)
}

/// `GET` of a JSON answer.
pub async fn get<T: DeserializeOwned>(path: &str) -> Result<T, ApiError> {
    let sent = Request::get(path).send().await;
    read(sent.map_err(unreachable)?).await
}

/// `POST` of JSON with a JSON answer.
pub async fn post<B: Serialize, T: DeserializeOwned>(path: &str, body: &B) -> Result<T, ApiError> {
    let request = Request::post(path).json(body).map_err(unreadable)?;
    read(request.send().await.map_err(unreachable)?).await
}

async fn read<T: DeserializeOwned>(response: Response) -> Result<T, ApiError> {
    let response = checked(response).await?;
    let text = response.text().await.map_err(unreachable)?;
    serde_json::from_str(&text).map_err(unreadable)
}

/// The response, if it is not a refusal.
async fn checked(response: Response) -> Result<Response, ApiError> {
    if response.ok() {
        return Ok(response);
    }
    let status = response.status();
    let text = response.text().await.unwrap_or_default();
    Err(refusal(status, &text))
}

fn refusal(status: u16, text: &str) -> ApiError {
    match serde_json::from_str::<ErrorEnvelope>(text) {
        Ok(ErrorEnvelope { error }) => ApiError::Refused {
            status,
            code: error.code,
            message: error.message,
            param: error.param,
            problems: error.problems,
        },
        // Not the worker's words: something between it and the page answered.
        Err(_) => ApiError::Refused {
            status,
            code: String::new(),
            message: format!("the worker answered with status {status}"),
            param: None,
            problems: Vec::new(),
        },
    }
}

fn unreachable(error: gloo_net::Error) -> ApiError {
    ApiError::Unreachable(error.to_string())
}

fn unreadable(error: impl std::fmt::Display) -> ApiError {
    ApiError::Unreadable(error.to_string())
}
