//! The proof that `dfa-core`, wire types included, links no `std`.
//!
//! This crate brings a panic handler of its own. `std` brings one too, and a program
//! cannot have two: `cargo check` here fails with a duplicate lang item `panic_impl` the
//! moment anything below pulls `std` in. The feature `dirty` does just that, so that the
//! proof is itself tested. (A build for wasm32 proves nothing: that target has a `std`.)
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "dirty")]
extern crate std;

use core::panic::PanicInfo;

pub use dfa_core::CompressionPlan;
pub use dfa_core::wire;

#[panic_handler]
fn panic(_info: &PanicInfo<'_>) -> ! {
    loop {}
}
