//! The binary `dfa`: parse, run, exit code; nothing else.

use std::process::ExitCode;

/// The system's allocator gives large tensors back at once and faults their pages in
/// again at every operation: a third of a run's wall time on two cores (`docs/results.md`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    dfa_native_worker::cli::run()
}
