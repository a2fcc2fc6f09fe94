//! Serves the API on a socket until it is told to stop.

use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{HttpConfig, router};
use crate::jobs::Jobs;

/// How long open answers may take to end once the worker stops.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Answers requests until `closing` is cancelled; then streams end, waits are answered,
/// and what is being answered gets a few more seconds.
///
/// # Errors
/// Only if the description of the API, which is a part of the program, is broken.
pub async fn serve(
    listener: TcpListener,
    jobs: Jobs,
    config: HttpConfig,
    closing: CancellationToken,
) -> serde_json::Result<()> {
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(config.head_timeout);
    let router = router(jobs, config, closing.clone())?;
    let connections = GracefulShutdown::new();
    tokio::select! {
        () = closing.cancelled() => {}
        () = accept(listener, &protocol, &router, &connections) => {}
    }
    if tokio::time::timeout(LAST_ANSWERS, connections.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("clients that did not take their answers are cut off");
    }
    Ok(())
}

/// Takes connections for ever. `axum::serve` does the same without the limit on a head.
async fn accept(
    mut listener: TcpListener,
    protocol: &http1::Builder,
    router: &Router,
    connections: &GracefulShutdown,
) {
    loop {
        // axum's way to accept: it waits a little when no more files can be open.
        let (stream, _) = Listener::accept(&mut listener).await;
        let service = TowerToHyperService::new(router.clone());
        let connection = protocol.serve_connection(TokioIo::new(stream), service);
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke");
            }
        });
    }
}
