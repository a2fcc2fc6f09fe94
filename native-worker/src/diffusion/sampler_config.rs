//! The scheduler's config of a model folder, read into typed and checked facts.
//!
//! These are the facts; how they are read from the file is in [`scheduler_file`].

use dfa_core::sampler::SamplerKind;

use super::noise_schedule::{BetaCurve, Betas, TimestepSpacing};
use super::sampler::SamplerError;

mod scheduler_file;

use scheduler_file::SchedulerFile;

/// What a sampler needs to know besides the number of steps.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplerConfig {
    /// The noise schedule of the training.
    pub betas: Betas,
    /// What the model was trained to predict.
    pub prediction: Prediction,
    /// How timesteps are chosen.
    pub spacing: TimestepSpacing,
    /// Added to each timestep by the leading spacing.
    pub steps_offset: u32,
    /// How the prediction of the clean latent is kept in range.
    pub clean_range: CleanRange,
    /// The rule that makes the next latent.
    pub rule: SamplerRule,
}

/// What the model output stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prediction {
    /// The noise ε (`epsilon`).
    Noise,
    /// The clean latent x₀ (`sample`).
    Clean,
    /// v = α·ε − σ·x₀ (`v_prediction`; Salimans and Ho 2022).
    Velocity,
}

/// How the prediction of the clean latent is kept in range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CleanRange {
    /// Not at all.
    Unlimited,
    /// Each value clipped to [−limit, limit].
    Clipped {
        /// The largest magnitude that stays as it is.
        limit: f64,
    },
    /// Dynamic thresholding (Imagen, Saharia et al. 2022, section 2.3).
    Thresholded {
        /// Share of the magnitudes of an image that lie below its threshold.
        quantile: f64,
        /// The largest threshold.
        max: f64,
    },
}

/// The rule that makes the next latent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SamplerRule {
    /// DDIM with η = 0 (Song et al. 2021, equation 12).
    Ddim(DdimRule),
    /// DPM-Solver++ multistep (Lu et al. 2022).
    DpmSolver(DpmSolverRule),
    /// Ancestral sampling with a learned variance (Nichol and Dhariwal 2021).
    Iddpm,
}

/// Settings of DDIM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DdimRule {
    /// Whether the last step goes to ᾱ = 1 (else to that of timestep 0).
    pub ends_clean: bool,
}

/// Settings of DPM-Solver++.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DpmSolverRule {
    /// 1 or 2.
    pub order: usize,
    /// Which second-order update.
    pub solver: SecondOrder,
    /// First order at the last step of a run of fewer than 15.
    pub lower_order_final: bool,
    /// First order at the last step, always.
    pub euler_at_final: bool,
    /// Whether the last step goes to σ = 0 (else to that of timestep 0).
    pub ends_clean: bool,
    /// Timesteps with a smaller λ are not visited; −∞ visits all.
    pub lambda_min: f64,
}

/// The two second-order updates of DPM-Solver++.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondOrder {
    /// The exponential integral at the middle of the step.
    Midpoint,
    /// Taylor expansion of the integral.
    Heun,
}

impl DdimRule {
    /// diffusers' defaults.
    pub const DEFAULT: Self = Self { ends_clean: true };
}

impl DpmSolverRule {
    /// diffusers' defaults.
    pub const DEFAULT: Self = Self {
        order: 2,
        solver: SecondOrder::Midpoint,
        lower_order_final: true,
        euler_at_final: false,
        ends_clean: true,
        lambda_min: f64::NEG_INFINITY,
    };
}

impl SamplerConfig {
    /// Reads the text of a `scheduler_config.json`.
    ///
    /// # Errors
    /// If it is not JSON, or says something that we do not have.
    pub fn from_json(text: &str) -> Result<Self, SamplerError> {
        SchedulerFile::parse(text)?.config()
    }

    /// What Open-Sora 1.1 samples with; its folder has no scheduler file.
    pub const fn open_sora() -> Self {
        Self {
            betas: Betas {
                n_timesteps: 1000,
                start: 1e-4,
                end: 0.02,
                curve: BetaCurve::Linear,
            },
            prediction: Prediction::Noise,
            spacing: TimestepSpacing::Respaced,
            steps_offset: 0,
            clean_range: CleanRange::Unlimited,
            rule: SamplerRule::Iddpm,
        }
    }

    /// Which sampler this configures.
    pub fn kind(&self) -> SamplerKind {
        match self.rule {
            SamplerRule::Ddim(_) => SamplerKind::Ddim,
            SamplerRule::DpmSolver(_) => SamplerKind::DpmSolver,
            SamplerRule::Iddpm => SamplerKind::Iddpm,
        }
    }

    /// The same training (betas, prediction) under another sampler with its default
    /// settings; unchanged if it is that sampler already.
    ///
    /// The clean prediction is then not limited, although diffusers' DDIM clips by
    /// default: no latent-diffusion model can bear it.
    #[must_use]
    pub fn with_kind(&self, kind: SamplerKind) -> Self {
        if kind == self.kind() {
            return self.clone();
        }
        let (spacing, rule) = match kind {
            SamplerKind::Ddim => (
                TimestepSpacing::Leading,
                SamplerRule::Ddim(DdimRule::DEFAULT),
            ),
            SamplerKind::DpmSolver => (
                TimestepSpacing::Linspace,
                SamplerRule::DpmSolver(DpmSolverRule::DEFAULT),
            ),
            SamplerKind::Iddpm => (TimestepSpacing::Respaced, SamplerRule::Iddpm),
        };
        Self {
            betas: self.betas,
            prediction: self.prediction,
            spacing,
            steps_offset: 0,
            clean_range: CleanRange::Unlimited,
            rule,
        }
    }
}
