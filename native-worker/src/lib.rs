//! The engine of DiTFastAttn: opens a model folder, finds a compression plan by
//! calibration, generates with it, and compares.
//!
//! ```text
//! model folder ──► calibrate ──► plan ──► generate ──► compare ──► report
//! ```
//!
//! Read in this order:
//! 1. [`model_folder`]: what a folder holds, checked; [`run_setup`]: a run made ready.
//! 2. [`calibrate`]: Algorithm 1 with real forward passes.
//! 3. [`generate`]: the denoising loop, raw or by a plan; [`image_batch`]: many images.
//!    [`decoding`]: from latents to images and videos.
//! 4. [`compare`]: raw beside compressed, with [`picture`] and [`report_html`];
//!    [`made_files`]: what runs leave, as bytes.
//!    [`plan_import`]: plans from files of any known format.
//! 5. [`attention`]: executes one strategy for one layer.
//! 6. [`device`]: where all this computes.
//!    [`model`], [`kernels`]: the networks, and the CPU kernels below them.
//!    [`text`]: prompts, made ready for those that take text.
//! 7. [`diffusion`]: samplers, guidance, noise.
//! 8. [`jobs`]: requests that are kept, run one after the other, watched and cancelled.
//! 9. [`http`]: the jobs over HTTP.
//! 10. [`observer`]: progress and cancellation; [`whole_file`]: files are whole or absent;
//!     [`tensor_file`]: a tensor that somebody brings.
//! 11. [`convert`]: model folders from the pickles that some models come in, which
//!     [`torch_file`] reads as data.
//!
//! [`cli`] is the command line `dfa` over these.

pub mod attention;
mod base64;
pub mod calibrate;
pub mod cli;
pub mod compare;
pub mod convert;
pub mod decoding;
pub mod device;
pub mod diffusion;
pub mod generate;
pub mod http;
pub mod image_batch;
pub mod jobs;
pub mod made_files;
pub mod model;
pub mod model_folder;
pub mod observer;
pub mod picture;
pub mod plan_import;
pub mod report_html;
pub mod run_setup;
pub mod tensor_file;
pub mod text;
pub mod torch_file;
pub mod whole_file;

pub use dfa_kernels as kernels;
