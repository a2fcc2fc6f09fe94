//! What a denoising step does around the transformer.
//!
//! - [`noise_schedule`], [`sampler_config`]: coefficients per timestep, and the model
//!   folder's scheduler file they come from.
//! - [`sampler`] with [`ddim`], [`dpm_solver`] and [`iddpm`]: the rule that makes the next
//!   latent; [`prediction`]: what it takes a model output for.
//! - [`guidance`]: two branches in one batch, and how their outputs are combined.
//! - [`noise`]: start noise per image from `(seed, index)`; [`step_noise`]: what ancestral
//!   steps add.
//! - [`denoiser`]: what is fixed during one run, joined: model input and latent update.

pub mod ddim;
pub mod denoiser;
pub mod dpm_solver;
pub mod guidance;
pub mod iddpm;
pub mod noise;
pub mod noise_schedule;
mod pass_memory;
pub mod prediction;
pub mod sampler;
pub mod sampler_config;
pub mod step_noise;
