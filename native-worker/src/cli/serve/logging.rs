//! The worker's log: one line per event on standard error, for people or as JSON.

use std::io::IsTerminal;
use std::str::FromStr as _;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

/// Says what is logged, in the usual form, for example `info,dfa_native_worker=debug`.
const VARIABLE: &str = "DFA_LOG";
const USUAL: &str = "info,sqlx=warn,apalis=warn";

/// Starts the log; a second start in one process does nothing.
pub(super) fn start(as_json: bool) {
    let asked = std::env::var(VARIABLE);
    let filter = Targets::from_str(asked.as_deref().unwrap_or(USUAL));
    let filter = filter.unwrap_or_else(|_| Targets::new().with_default(tracing::Level::INFO));
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines = match as_json {
        true => lines.json().flatten_event(true).boxed(),
        false => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
    };
    let log = tracing_subscriber::registry().with(lines.with_filter(filter));
    // There is a log already where a test started one.
    let _ = log.try_init();
}
