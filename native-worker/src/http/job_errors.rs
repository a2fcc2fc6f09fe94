//! What the jobs refuse, in the API's codes.

use axum::http::{HeaderValue, header};

use super::error::{ApiError, ErrorCode};
use crate::jobs::{
    ArtifactError, CancelError, DeleteError, DeviceUnwell, LookupError, PlanLibraryError,
    StoreError, SubmitError,
};

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}

impl From<LookupError> for ApiError {
    fn from(error: LookupError) -> Self {
        let code = match error {
            LookupError::NeverExisted(_) => ErrorCode::JobNotFound,
            LookupError::Gone(_) => ErrorCode::JobGone,
            LookupError::Store(error) => return error.into(),
        };
        Self::new(code, error.to_string()).about("id")
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        let message = error.to_string();
        match error {
            SubmitError::Invalid(invalid) => Self::invalid(invalid.field, message),
            SubmitError::QueueFull { retry_after, .. } => {
                Self::new(ErrorCode::QueueFull, message).retry_after(retry_after)
            }
            SubmitError::Draining { retry_after } => {
                Self::new(ErrorCode::Draining, message).retry_after(retry_after)
            }
            SubmitError::DiskFull(_) => Self::new(ErrorCode::DiskFull, message),
            SubmitError::IdempotencyConflict { .. } => {
                Self::new(ErrorCode::IdempotencyConflict, message).about("idempotency-key")
            }
            SubmitError::Store(error) => error.into(),
        }
    }
}

impl From<CancelError> for ApiError {
    fn from(error: CancelError) -> Self {
        match error {
            CancelError::Lookup(error) => error.into(),
            CancelError::AlreadyEnded(_) => Self::new(ErrorCode::JobEnded, error.to_string()),
        }
    }
}

impl From<DeleteError> for ApiError {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::Lookup(error) => error.into(),
            DeleteError::NotEnded(_) => Self::new(ErrorCode::JobNotEnded, error.to_string()),
        }
    }
}

impl From<ArtifactError> for ApiError {
    fn from(error: ArtifactError) -> Self {
        let message = error.to_string();
        match error {
            ArtifactError::Unknown(_) => {
                Self::new(ErrorCode::ArtifactNotFound, message).about("hash")
            }
            ArtifactError::BadRange { size_bytes } => beyond(size_bytes),
            ArtifactError::Store(error) => error.into(),
            ArtifactError::Object(error) => Self::internal(&error),
        }
    }
}

/// A range that an artifact of so many bytes does not have.
pub(super) fn beyond(size_bytes: u64) -> ApiError {
    let error = ApiError::new(
        ErrorCode::RangeNotSatisfiable,
        format!("the artifact has {size_bytes} bytes; ask for a range within them"),
    );
    let range = HeaderValue::from_str(&format!("bytes */{size_bytes}"));
    match range {
        Ok(range) => error
            .about("range")
            .with_header(header::CONTENT_RANGE, range),
        Err(_) => error,
    }
}

impl From<PlanLibraryError> for ApiError {
    fn from(error: PlanLibraryError) -> Self {
        let message = error.to_string();
        match error {
            PlanLibraryError::Unknown(_) => Self::new(ErrorCode::PlanNotFound, message).about("id"),
            PlanLibraryError::Unreadable { problems } => {
                Self::new(ErrorCode::InvalidPlan, message).listing(problems)
            }
            PlanLibraryError::Store(error) => error.into(),
        }
    }
}

impl From<DeviceUnwell> for ApiError {
    fn from(error: DeviceUnwell) -> Self {
        Self::new(ErrorCode::DeviceUnwell, error.to_string())
    }
}
