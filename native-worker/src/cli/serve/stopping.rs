//! What SIGTERM and Ctrl-C do: the first stops the worker in order, the second at once.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::jobs::Jobs;

/// How often the end of the running job is looked for.
const LOOK: Duration = Duration::from_millis(100);

/// Waits for a signal. Then no job is taken any more and the worker is not ready; the
/// running job may go on for `grace`, while clients are still answered; then `closing`.
pub(super) async fn on_signal(jobs: Jobs, closing: CancellationToken, grace: Duration) {
    if !signalled().await {
        return;
    }
    tracing::info!(
        grace_secs = grace.as_secs(),
        "stopping; a second signal stops at once"
    );
    jobs.drain();
    tokio::select! {
        () = last_run(&jobs, grace) => closing.cancel(),
        true = signalled() => exit_now(),
    }
    if signalled().await {
        exit_now();
    }
}

/// Until nothing runs, or `grace` is over.
async fn last_run(jobs: &Jobs, grace: Duration) {
    let end = Instant::now() + grace;
    while Instant::now() < end {
        match jobs.stats().await {
            Ok(stats) if stats.n_running > 0 => sleep(LOOK).await,
            _ => return,
        }
    }
}

fn exit_now() {
    tracing::warn!("stopped at once; what ran begins again at the next start");
    std::process::exit(130);
}

/// Waits for SIGTERM, SIGINT or Ctrl-C; `false` if they cannot be waited for.
#[cfg(unix)]
async fn signalled() -> bool {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        tracing::error!("signals cannot be caught; kill the process to stop it");
        return false;
    };
    tokio::select! {
        _ = term.recv() => true,
        _ = int.recv() => true,
    }
}

/// Waits for Ctrl-C; `false` if it cannot be waited for.
#[cfg(not(unix))]
async fn signalled() -> bool {
    tokio::signal::ctrl_c().await.is_ok()
}
