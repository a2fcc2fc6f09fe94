//! Serves the API on a socket until it is told to stop.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{HttpConfig, router};
use crate::jobs::Jobs;

/// How long open answers may take to end once the worker stops.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Why the API is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The socket failed.
    #[error("cannot serve: {0}")]
    Socket(#[from] std::io::Error),
    /// A part of the program is broken.
    #[error("the description of the API is broken: {0}")]
    Description(#[from] serde_json::Error),
}

/// Answers requests until `closing` is cancelled; then streams end, waits are answered,
/// and what is being answered gets a few more seconds.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(
    listener: TcpListener,
    jobs: Jobs,
    config: HttpConfig,
    closing: CancellationToken,
) -> Result<(), ServeError> {
    let router = router(jobs, config, closing.clone())?;
    let stopping = closing.clone();
    let server = axum::serve(listener, router)
        .with_graceful_shutdown(async move { stopping.cancelled().await });
    let too_late = async {
        closing.cancelled().await;
        tokio::time::sleep(LAST_ANSWERS).await;
    };
    tokio::select! {
        served = server.into_future() => Ok(served?),
        () = too_late => {
            tracing::warn!("clients that did not take their answers are cut off");
            Ok(())
        }
    }
}
