//! The noise schedule: how much signal and noise a latent holds at each timestep, and
//! which training timesteps the steps of a run visit.
//!
//! Nothing here knows a sampler's rule or a latent. Coefficients are f64: they are made
//! once a run, and a product over a thousand timesteps loses digits in f32.

/// How the variance of the added noise grows over training: β of DDPM (Ho et al. 2020).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Betas {
    /// Number of training timesteps, 1000 for every known checkpoint.
    pub n_timesteps: usize,
    /// β of timestep 0.
    pub start: f64,
    /// β of the last timestep.
    pub end: f64,
    /// What is evenly spaced between the two.
    pub curve: BetaCurve,
}

/// What is evenly spaced between the first and the last β.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BetaCurve {
    /// β itself (`linear`).
    Linear,
    /// √β (`scaled_linear`, latent diffusion).
    ScaledLinear,
}

impl Betas {
    fn at(&self, timestep: usize) -> f64 {
        let last = self.n_timesteps.saturating_sub(1).max(1);
        let share = timestep as f64 / last as f64;
        let between = |start: f64, end: f64| start + (end - start) * share;
        match self.curve {
            BetaCurve::Linear => between(self.start, self.end),
            BetaCurve::ScaledLinear => between(self.start.sqrt(), self.end.sqrt()).powi(2),
        }
    }
}

/// A latent at this level is `alpha` · clean + `sigma` · noise, with α² + σ² = 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseLevel {
    /// Share of the clean latent.
    pub alpha: f64,
    /// Share of the noise.
    pub sigma: f64,
}

impl NoiseLevel {
    /// No noise at all: where a run ends.
    pub const CLEAN: Self = Self {
        alpha: 1.0,
        sigma: 0.0,
    };

    fn from_alpha_bar(alpha_bar: f64) -> Self {
        Self {
            alpha: alpha_bar.sqrt(),
            sigma: (1.0 - alpha_bar).sqrt(),
        }
    }

    /// λ = ln(α/σ), half the logarithm of the signal-to-noise ratio; infinite when clean.
    pub fn lambda(self) -> f64 {
        (self.alpha / self.sigma).ln()
    }
}

/// The noise level of every training timestep.
#[derive(Clone, Debug)]
pub struct NoiseSchedule {
    levels: Vec<NoiseLevel>,
}

impl NoiseSchedule {
    /// ᾱₜ = ∏ (1 − βₛ) over s ≤ t, as levels.
    pub fn new(betas: &Betas) -> Self {
        let mut alpha_bar = 1.0;
        let levels = (0..betas.n_timesteps).map(|timestep| {
            alpha_bar *= 1.0 - betas.at(timestep);
            NoiseLevel::from_alpha_bar(alpha_bar)
        });
        Self {
            levels: levels.collect(),
        }
    }

    /// Number of training timesteps.
    pub fn n_timesteps(&self) -> usize {
        self.levels.len()
    }

    /// Level of a timestep, which must be below [`n_timesteps`](Self::n_timesteps).
    pub fn level(&self, timestep: u32) -> NoiseLevel {
        self.levels[timestep as usize]
    }

    /// Number of timesteps with λ at or above `lambda_min`; they are the first ones.
    pub fn n_timesteps_above(&self, lambda_min: f64) -> usize {
        let is_above = |level: &NoiseLevel| level.lambda() >= lambda_min;
        self.levels.partition_point(is_above)
    }
}

/// How the timesteps of a run are spread over training (Lin et al. 2023, table 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestepSpacing {
    /// Evenly between the first and the last.
    Linspace,
    /// Multiples of a whole stride, from the clean end.
    Leading,
    /// Strides of equal length back from the noisy end.
    Trailing,
    /// As linspace, but the strides are added up one after the other, as improved diffusion
    /// does: where a point lies halfway between two timesteps, another one is visited.
    Respaced,
}

/// What a spacing is asked to spread.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimestepGrid {
    /// Number of training timesteps.
    pub(super) n_train: usize,
    /// Timesteps from here on are not visited; at most `n_train`.
    pub(super) end: usize,
    /// Number of timesteps wanted.
    pub(super) n_steps: usize,
    /// Whether one more point is laid out and the lowest left out, as DPM-Solver does.
    pub(super) without_lowest: bool,
    /// Added by the leading spacing (`steps_offset`).
    pub(super) offset: u32,
}

impl TimestepSpacing {
    /// `n_steps` timesteps, noisiest first. They may repeat or leave the range when there
    /// are too many: the caller checks.
    ///
    /// The arithmetic is numpy's, operation for operation: a product that lands within
    /// rounding of a half would otherwise give another timestep than diffusers'.
    pub(super) fn timesteps(self, grid: TimestepGrid) -> Vec<i64> {
        let first = usize::from(grid.without_lowest);
        let points = first..first + grid.n_steps;
        match self {
            Self::Linspace => {
                let n_intervals = (points.end - 1).max(1);
                let stride = (grid.end as f64 - 1.0) / n_intervals as f64;
                let at = |point: usize| (point as f64 * stride).round_ties_even() as i64;
                points.rev().map(at).collect()
            }
            Self::Leading => {
                let length = if grid.without_lowest {
                    grid.end
                } else {
                    grid.n_train
                };
                let stride = length / points.end;
                let at = |point: usize| (point * stride) as i64 + i64::from(grid.offset);
                points.rev().map(at).collect()
            }
            Self::Trailing => {
                let end = grid.end as f64;
                let stride = (end - grid.n_train as f64 / grid.n_steps as f64) - end;
                let at = |step: usize| (end + step as f64 * stride).round_ties_even() as i64 - 1;
                (0..grid.n_steps).map(at).collect()
            }
            Self::Respaced => {
                let n_intervals = (grid.n_steps - 1).max(1);
                let stride = (grid.n_train as f64 - 1.0) / n_intervals as f64;
                let mut place = 0.0_f64;
                let mut timesteps = Vec::with_capacity(grid.n_steps);
                for _ in 0..grid.n_steps {
                    timesteps.push(place.round_ties_even() as i64);
                    place += stride;
                }
                timesteps.reverse();
                timesteps
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DEVIATION(trailing-steps): diffusers gives 62 timesteps for 61, and so on.
    #[test]
    fn trailing_spacing_gives_as_many_steps_as_asked_for() {
        for n_steps in [1, 50, 61, 103, 121, 999] {
            let timesteps = TimestepSpacing::Trailing.timesteps(TimestepGrid {
                n_train: 1000,
                end: 1000,
                n_steps,
                without_lowest: false,
                offset: 0,
            });
            assert_eq!(timesteps.len(), n_steps);
            assert_eq!(timesteps[0], 999, "{n_steps} steps");
            assert!(
                timesteps.is_sorted_by(|a, b| a > b) && timesteps.iter().all(|&t| t >= 0),
                "{n_steps} steps: {timesteps:?}"
            );
        }
    }
}
