//! Errors of the HTTP API, in the envelope that OpenAI's clients read:
//! `{"error": {"message", "type", "param", "code"}}`, on every route.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// What an answer that is no success holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorEnvelope {
    /// The error.
    pub error: ErrorBody,
}

/// What went wrong, for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What, where, and what to do.
    pub message: String,
    /// The family of the error: whose fault it is.
    #[serde(rename = "type")]
    pub kind: ErrorKind,
    /// The field, parameter or header that is at fault.
    pub param: Option<String>,
    /// The error itself, for programs; stable.
    pub code: String,
    /// Every single problem, where there can be several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// Families of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request cannot be done as it is.
    InvalidRequestError,
    /// No key, or a wrong one.
    AuthenticationError,
    /// The request comes from where it must not come from.
    PermissionError,
    /// There is no such thing, or it is gone.
    NotFoundError,
    /// It does not go with what is there.
    ConflictError,
    /// Too much is asked for at the moment.
    RateLimitError,
    /// The worker cannot do it at the moment.
    UnavailableError,
    /// The worker failed.
    ServerError,
}
