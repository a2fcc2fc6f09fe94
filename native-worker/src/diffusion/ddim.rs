//! DDIM without added noise (Song et al. 2021, η = 0): first order, remembers nothing.
//!
//! A step goes a fixed stride down from its timestep, whatever the next step's timestep
//! is. With the linspace spacing the two are not the same; diffusers does so, and images
//! made with its DDIM have it inside.

use candle_core::Tensor;

use super::noise_schedule::{NoiseLevel, NoiseSchedule, TimestepGrid};
use super::sampler::StepLevels;
use super::sampler_config::{DdimRule, SamplerConfig};

/// Timesteps of a run, noisiest first; not yet checked.
pub(super) fn timesteps(config: &SamplerConfig, n_steps: usize) -> Vec<i64> {
    config.spacing.timesteps(TimestepGrid {
        n_train: config.betas.n_timesteps,
        end: config.betas.n_timesteps,
        n_steps,
        without_lowest: false,
        offset: config.steps_offset,
    })
}

/// From where to where each step goes.
pub(super) fn levels(
    rule: &DdimRule,
    schedule: &NoiseSchedule,
    timesteps: &[u32],
) -> Vec<StepLevels> {
    let stride = (schedule.n_timesteps() / timesteps.len()) as u32;
    let last = if rule.ends_clean {
        NoiseLevel::CLEAN
    } else {
        schedule.level(0)
    };
    let levels = timesteps.iter().map(|&timestep| StepLevels {
        from: schedule.level(timestep),
        to: match timestep.checked_sub(stride) {
            Some(target) => schedule.level(target),
            None => last,
        },
    });
    levels.collect()
}

/// Equation 12 with σ = 0: the clean prediction with as much of the same noise as the
/// next level has. All of the latent's shape.
pub(super) fn next(to: NoiseLevel, clean: &Tensor, noise: &Tensor) -> candle_core::Result<Tensor> {
    (clean * to.alpha)? + (noise * to.sigma)?
}
