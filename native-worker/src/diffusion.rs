//! What a denoising step does around the transformer.
//!
//! - [`noise_schedule`], [`sampler_config`]: coefficients per timestep, and the model
//!   folder's scheduler file they come from.
//! - [`sampler`] with [`ddim`] and [`dpm_solver`]: the rule that makes the next latent.
//! - [`guidance`]: two branches in one batch, and how their outputs are combined.
//! - [`noise`]: start noise per image from `(seed, index)`.
//! - [`denoiser`]: what is fixed during one run, joined: model input and latent update.

pub mod ddim;
pub mod denoiser;
pub mod dpm_solver;
pub mod guidance;
pub mod noise;
pub mod noise_schedule;
pub mod sampler;
pub mod sampler_config;
