//! DPM-Solver++ multistep of first and second order (Lu et al. 2022, arXiv 2211.01095).
//!
//! Every update is a weighted sum of the latent and of the clean predictions of this step
//! and of the one before; [`Update`] holds the three weights. They are written without
//! the exponentials of the paper, so that a last step to σ = 0 needs no special case:
//! e^(−h) = (σ_to · α_from) / (α_to · σ_from).

use candle_core::Tensor;
use dfa_core::Step;

use super::noise_schedule::{NoiseLevel, NoiseSchedule, TimestepGrid};
use super::sampler::{SamplerError, StepLevels};
use super::sampler_config::{DpmSolverRule, SamplerConfig, SecondOrder};

/// Runs shorter than this go down in order at the end (`lower_order_final`).
const SHORT_RUN: usize = 15;

/// Timesteps of a run, noisiest first; not yet checked.
pub(super) fn timesteps(
    config: &SamplerConfig,
    rule: &DpmSolverRule,
    schedule: &NoiseSchedule,
    n_steps: usize,
) -> Vec<i64> {
    config.spacing.timesteps(TimestepGrid {
        n_train: schedule.n_timesteps(),
        end: schedule.n_timesteps_above(rule.lambda_min),
        n_steps,
        without_lowest: true,
        offset: config.steps_offset,
    })
}

/// From where to where each step goes: the next step's level, and at last the final one.
pub(super) fn levels(
    rule: &DpmSolverRule,
    schedule: &NoiseSchedule,
    timesteps: &[u32],
) -> Vec<StepLevels> {
    let last = if rule.ends_clean {
        NoiseLevel::CLEAN
    } else {
        schedule.level(0)
    };
    let targets = timesteps
        .iter()
        .skip(1)
        .map(|&timestep| schedule.level(timestep));
    let sources = timesteps.iter().map(|&timestep| schedule.level(timestep));
    sources
        .zip(targets.chain([last]))
        .map(|(from, to)| StepLevels { from, to })
        .collect()
}

/// The weights of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Update {
    latent: f64,
    clean: f64,
    /// Weight of the clean prediction of the step before, if the update is of second order.
    previous_clean: Option<f64>,
}

impl Update {
    /// The update of a step that exists.
    pub(super) fn new(rule: &DpmSolverRule, levels: &[StepLevels], step: Step) -> Self {
        let here = levels[step.0];
        if rule.is_first_order(step, levels.len()) {
            Self::first_order(here)
        } else {
            Self::second_order(rule.solver, levels[step.0 - 1], here)
        }
    }

    /// The same as DDIM.
    fn first_order(here: StepLevels) -> Self {
        Self {
            latent: here.to.sigma / here.from.sigma,
            clean: clean_weight(here),
            previous_clean: None,
        }
    }

    /// Algorithm 2 of the paper (midpoint), or its Taylor form (heun): the clean
    /// prediction is taken to change as it did over the step before.
    fn second_order(solver: SecondOrder, before: StepLevels, here: StepLevels) -> Self {
        let first = Self::first_order(here);
        let h = here.to.lambda() - here.from.lambda();
        let h_before = here.from.lambda() - before.from.lambda();
        let of_slope = match solver {
            SecondOrder::Midpoint => 0.5 * first.clean,
            SecondOrder::Heun => here.to.alpha - first.clean / h,
        };
        let of_change = of_slope * h / h_before;
        Self {
            latent: first.latent,
            clean: first.clean + of_change,
            previous_clean: Some(-of_change),
        }
    }

    /// The next latent; all tensors are of the latent's shape.
    pub(super) fn apply(
        &self,
        step: Step,
        latent: &Tensor,
        clean: &Tensor,
        history: &[Tensor],
    ) -> Result<Tensor, SamplerError> {
        let next = ((latent * self.latent)? + (clean * self.clean)?)?;
        let Some(weight) = self.previous_clean else {
            return Ok(next);
        };
        let previous = history
            .last()
            .ok_or(SamplerError::MissingHistory { step })?;
        Ok((next + (previous * weight)?)?)
    }
}

/// α_to · (1 − e^(−h)).
fn clean_weight(here: StepLevels) -> f64 {
    here.to.alpha - here.to.sigma * here.from.alpha / here.from.sigma
}

impl DpmSolverRule {
    /// The first step has nothing before it; the last one is of first order when it goes
    /// to σ = 0, where λ is infinite, and when the config asks for it.
    fn is_first_order(&self, step: Step, n_steps: usize) -> bool {
        let is_last = step.0 + 1 == n_steps;
        let short = self.lower_order_final && n_steps < SHORT_RUN;
        self.order == 1
            || step.0 == 0
            || (is_last && (self.ends_clean || self.euler_at_final || short))
    }
}
