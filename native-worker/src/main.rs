//! The binary `dfa`: parse, run, exit code; nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    dfa_native_worker::cli::run()
}
