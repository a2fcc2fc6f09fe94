//! Ancestral sampling with a learned variance: "Improved Denoising Diffusion Probabilistic
//! Models" (Nichol and Dhariwal 2021, arXiv 2102.09672), as DiT and Open-Sora sample.
//!
//! A step draws the next latent from a normal distribution. Its mean is that of the
//! posterior of the forward process, given the clean prediction (equation 11). The model
//! chooses the variance, value by value, between the posterior's, β̃, and that of the
//! forward process, β (equation 15). Where a run visits only some timesteps, β is what the
//! noise grows by between two that it visits (section 4).

use candle_core::Tensor;
use dfa_core::Step;

use super::noise_schedule::{NoiseLevel, NoiseSchedule, TimestepGrid};
use super::sampler::{SamplerError, StepLevels};
use super::sampler_config::SamplerConfig;

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

/// From where to where each step goes: the next step's level, and at last no noise.
pub(super) fn levels(schedule: &NoiseSchedule, timesteps: &[u32]) -> Vec<StepLevels> {
    let level = |&timestep: &u32| schedule.level(timestep);
    let targets = timesteps.iter().skip(1).map(level);
    timesteps
        .iter()
        .map(level)
        .zip(targets.chain([NoiseLevel::CLEAN]))
        .map(|(from, to)| StepLevels { from, to })
        .collect()
}

/// What the model says besides its prediction, and the noise that the step adds.
pub(super) struct Randomness<'a> {
    /// v of equation 15, of the latent's shape; −1 stands for β̃ and 1 for β.
    pub(super) variance: &'a Tensor,
    /// Standard normal values of the latent's shape.
    pub(super) noise: &'a Tensor,
}

/// The next latent; all tensors are of the latent's shape. Without noise, at the last step,
/// it is the mean.
pub(super) fn next(
    levels: StepLevels,
    latent: &Tensor,
    clean: &Tensor,
    randomness: Option<&Randomness<'_>>,
) -> candle_core::Result<Tensor> {
    let posterior = Posterior::new(levels);
    let mean = ((clean * posterior.clean)? + (latent * posterior.latent)?)?;
    let Some(Randomness { variance, noise }) = randomness else {
        return Ok(mean);
    };
    // The logarithm of the variance runs from ln β̃ to ln β while v runs from −1 to 1; half
    // of it is the logarithm of the standard deviation.
    let (low, high) = (posterior.variance.ln(), posterior.beta.ln());
    let log_deviation = variance.affine((high - low) / 4.0, (high + low) / 4.0)?;
    mean + (log_deviation.exp()? * *noise)?
}

/// Coefficients of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Posterior {
    /// β of the step.
    beta: f64,
    /// β̃ of the step, equation 10; 0 at the last step, which adds no noise.
    variance: f64,
    /// Weight of the clean prediction in the mean, equation 11.
    clean: f64,
    /// Weight of the latent in the mean.
    latent: f64,
}

impl Posterior {
    fn new(StepLevels { from, to }: StepLevels) -> Self {
        let kept = from.alpha / to.alpha; // √(1 − β)
        let beta = 1.0 - kept * kept;
        let (noise_from, noise_to) = (from.sigma * from.sigma, to.sigma * to.sigma);
        Self {
            beta,
            variance: beta * noise_to / noise_from,
            clean: beta * to.alpha / noise_from,
            latent: kept * noise_to / noise_from,
        }
    }
}

/// The noise of a step that needs it.
pub(super) fn required<'a>(
    noise: Option<&'a Tensor>,
    step: Step,
    latent: &Tensor,
) -> Result<&'a Tensor, SamplerError> {
    let noise = noise.ok_or(SamplerError::MissingNoise { step })?;
    if noise.dims() != latent.dims() {
        return Err(SamplerError::WrongNoise {
            step,
            expected: latent.dims().to_vec(),
            found: noise.dims().to_vec(),
        });
    }
    Ok(noise)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_keeps_a_latent_on_its_level() {
        // With the true clean latent x₀ and noise ε, the mean is α·x₀ plus less noise than
        // the level has; the variance is what is missing.
        let schedule = NoiseSchedule::new(&SamplerConfig::open_sora().betas);
        for (from, to) in [(999, 900), (500, 499), (7, 0)] {
            let (from, to) = (schedule.level(from), schedule.level(to));
            let posterior = Posterior::new(StepLevels { from, to });
            let signal = posterior.clean + posterior.latent * from.alpha;
            assert!((signal - to.alpha).abs() < 1e-12, "{signal}");
            let noise = (posterior.latent * from.sigma).powi(2) + posterior.variance;
            assert!((noise - to.sigma * to.sigma).abs() < 1e-12, "{noise}");
        }
    }

    #[test]
    fn the_last_step_gives_the_clean_prediction() {
        let from = NoiseSchedule::new(&SamplerConfig::open_sora().betas).level(0);
        let to = NoiseLevel::CLEAN;
        let posterior = Posterior::new(StepLevels { from, to });
        assert_eq!(posterior.latent, 0.0);
        assert!((posterior.clean - 1.0).abs() < 1e-12);
    }
}
