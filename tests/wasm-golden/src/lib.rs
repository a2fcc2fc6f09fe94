//! core's numbers in one text: losses, plans, costs, files and metrics of a made-up run,
//! each result hashed by the bits of its floating-point numbers.
//!
//! The same code runs natively (the program beside this file) and as a WebAssembly module
//! under Node (`run.mjs`), and both must print `tests/golden/core-digest.txt`: the page
//! decides as the program does. A module has no printing and no strings, so it exports
//! where the text lies in its memory. What is computed is in
//! [`scenario`] and [`recorded`].

use std::sync::OnceLock;

mod bits;
mod recorded;
mod scenario;

pub use scenario::core_digest;

static DIGEST: OnceLock<String> = OnceLock::new();

fn digest() -> &'static str {
    DIGEST.get_or_init(core_digest)
}

/// Where the digest's UTF-8 bytes lie in the module's memory.
#[unsafe(no_mangle)]
pub extern "C" fn digest_start() -> *const u8 {
    digest().as_ptr()
}

/// How many bytes the digest has.
#[unsafe(no_mangle)]
pub extern "C" fn digest_len() -> usize {
    digest().len()
}
