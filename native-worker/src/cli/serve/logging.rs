//! The worker's log: one line per event on standard error, for people or as JSON; and, where
//! it is asked for and built in, its spans to an OpenTelemetry collector.

use std::io::IsTerminal;
use std::str::FromStr as _;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use super::tracing_export::{Export, ExportError};

/// Says what is logged, in the usual form, for example `info,dfa_native_worker=debug`.
const VARIABLE: &str = "DFA_LOG";
const USUAL: &str = "info,sqlx=warn,apalis=warn";

/// Starts the log; a second start in one process does nothing. What it gives must live as
/// long as the worker: dropped, it sends the last spans.
///
/// # Errors
/// If spans cannot be sent to `otlp_endpoint`.
pub(super) fn start(as_json: bool, otlp_endpoint: Option<&str>) -> Result<Export, ExportError> {
    let export = Export::to(otlp_endpoint)?;
    let asked = std::env::var(VARIABLE);
    let filter = Targets::from_str(asked.as_deref().unwrap_or(USUAL));
    let filter = filter.unwrap_or_else(|_| Targets::new().with_default(tracing::Level::INFO));
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines = match as_json {
        true => lines.json().flatten_event(true).boxed(),
        false => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
    };
    let log = tracing_subscriber::registry()
        .with(export.layer().with_filter(filter.clone()))
        .with(lines.with_filter(filter));
    // There is a log already where a test started one.
    let _ = log.try_init();
    Ok(export)
}
