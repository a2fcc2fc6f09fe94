//! Numbers that compare two results, and when to use which.
//!
//! - [`relative`]: the losses of Algorithm 1, over raw transformer outputs. They decide
//!   a plan and mean nothing to a viewer.
//! - [`psnr`](mod@psnr): mean squared error, peak signal-to-noise ratio and relative
//!   error. Are they the same pixels, more or less?
//! - [`ssim`](mod@ssim): structural similarity. Is it the same picture, more or less?
//! - [`difference`]: how far apart two pictures are at each pixel.
//! - [`image`]: the view of pixels that the image metrics take.
//!
//! A *loss* steers the search; a *metric* is reported to people.

pub mod difference;
pub mod image;
pub mod psnr;
pub mod relative;
pub mod ssim;

pub use difference::difference_map;
pub use image::{Image, ImageError, ImageShape, Layout};
pub use psnr::{mse, psnr, relative_error};
pub use relative::{LossError, LossKind, loss};
pub use ssim::{Border, SsimRows, ssim, ssim_map};
