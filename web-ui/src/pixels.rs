//! Two pictures held against each other: differences and SSIM maps, the same numbers on
//! the GPU and without one.
//!
//! In reading order:
//!
//! - [`picture`]: pictures and pairs of them, as bytes.
//! - [`view`]: what is shown of a pair: which mode, how near, which part.
//! - [`palette`]: the colours of a map.
//! - [`cpu`]: maps and numbers without a GPU; the numbers are always these.
//! - `pace`: time in a browser.
//! - `decode`: pictures out of files.
//! - `gpu`: maps and zoom by WGSL shaders, in browsers that have WebGPU.
//!
//! The shaders give the maps of [`cpu`] within [`TOLERANCE`]; they are used only after
//! they did so on a known pair, in the very browser that shows the page.

pub mod cpu;
pub mod palette;
pub mod picture;
pub mod view;

#[cfg(target_arch = "wasm32")]
pub mod decode;
#[cfg(target_arch = "wasm32")]
pub mod gpu;
#[cfg(target_arch = "wasm32")]
pub mod pace;

pub use picture::{PairError, Picture, PicturePair};

/// How far a value of a map may be from that of the other path.
pub const TOLERANCE: f32 = 1e-5;
