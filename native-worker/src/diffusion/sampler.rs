//! The sampler: makes the next latent of a run from a model output.
//!
//! A sampler is fixed once made and can be shared: what a run remembers is a
//! [`SamplerState`] that the run owns. Coefficients are f64, latents are f32 tensors of
//! shape (B, C, h, w), or (B, C, F, h, w) of a video. The model output is the guided one;
//! the channels of a learned variance belong to it for the one sampler that uses them, see
//! [`Sampler::n_output_channels`].

use candle_core::{DType, Tensor};
use dfa_core::Step;

use super::iddpm::Randomness;
use super::noise_schedule::{NoiseLevel, NoiseSchedule};
use super::sampler_config::{CleanRange, Prediction, SamplerConfig, SamplerRule};
use super::{ddim, dpm_solver, iddpm};

/// Why a sampler cannot be made or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SamplerError {
    /// The scheduler's config is not JSON.
    #[error("the scheduler config is not JSON: {0}")]
    NotJson(#[source] serde_json::Error),
    /// The scheduler's config asks for something that we do not have.
    #[error("the scheduler config has {key} = {found}; supported: {supported}")]
    NotSupported {
        /// The key of the file.
        key: &'static str,
        /// Its value as JSON, shortened.
        found: String,
        /// What would be accepted.
        supported: String,
    },
    /// The timesteps of so many steps are not distinct timesteps of the training.
    #[error(
        "{n_steps} steps do not fit the {n_timesteps} timesteps of the training with this sampler; choose another number of steps, or another sampler"
    )]
    StepsDoNotFit {
        /// What was asked for.
        n_steps: usize,
        /// Timesteps of the training.
        n_timesteps: usize,
    },
    /// The run has no such step.
    #[error("{step} does not exist in a run of {n_steps} steps")]
    NoSuchStep {
        /// What was asked for.
        step: Step,
        /// Length of the run.
        n_steps: usize,
    },
    /// The state is not that of the step before.
    #[error(
        "{step} needs the clean prediction of the step before, but the sampler state holds none; start at step 0 or restore the state"
    )]
    MissingHistory {
        /// The step that cannot be done.
        step: Step,
    },
    /// Latents are f32 here.
    #[error("latent and model output must be f32, found {found:?}")]
    WrongType {
        /// Type of the offending tensor.
        found: DType,
    },
    /// The model output has other channels than the sampler uses.
    #[error(
        "the sampler needs {expected} channels of model output for a latent of {latent}, found {found}; the model's output does not fit this sampler (iddpm needs a learned variance): choose another one"
    )]
    WrongChannels {
        /// Channels of the latent.
        latent: usize,
        /// Channels that the sampler uses.
        expected: usize,
        /// Channels of the model output.
        found: usize,
    },
    /// An ancestral step was given no noise.
    #[error("{step} adds noise and was given none; give the noise of every step but the last")]
    MissingNoise {
        /// The step.
        step: Step,
    },
    /// The noise of a step has another shape than the latent.
    #[error("the noise of {step} has shape {found:?}, expected the latent's, {expected:?}")]
    WrongNoise {
        /// The step.
        step: Step,
        /// Shape of the latent.
        expected: Vec<usize>,
        /// Shape of the noise.
        found: Vec<usize>,
    },
    /// Noise was given to a sampler that adds none.
    #[error(
        "noise was given for {step}, but this sampler adds none; leave it out, or choose iddpm"
    )]
    UnwantedNoise {
        /// The step.
        step: Step,
    },
    /// A tensor operation failed, most likely on shapes that do not fit.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// Where a step comes from and goes to.
#[derive(Clone, Copy, Debug)]
pub(super) struct StepLevels {
    pub(super) from: NoiseLevel,
    pub(super) to: NoiseLevel,
}

/// A sampling rule for a fixed number of steps.
#[derive(Clone, Debug)]
pub struct Sampler {
    timesteps: Vec<u32>,
    levels: Vec<StepLevels>,
    prediction: Prediction,
    clean_range: CleanRange,
    rule: SamplerRule,
}

/// What a run remembers between its steps. Plain tensors, so that it can be kept on disk
/// and restored: a restored run goes on bit for bit.
#[derive(Clone, Debug, Default)]
pub struct SamplerState {
    /// Clean predictions (B, C, …) of earlier steps, the newest last: none for rules
    /// of first order, else at most the one of the step before.
    pub clean_history: Vec<Tensor>,
}

impl Sampler {
    /// The sampler for runs of `n_steps`.
    ///
    /// # Errors
    /// If so many steps do not fit the timesteps of the training, or there are none.
    pub fn new(config: &SamplerConfig, n_steps: usize) -> Result<Self, SamplerError> {
        let schedule = NoiseSchedule::new(&config.betas);
        let misfit = SamplerError::StepsDoNotFit {
            n_steps,
            n_timesteps: schedule.n_timesteps(),
        };
        if n_steps == 0 || n_steps > schedule.n_timesteps() {
            return Err(misfit);
        }
        let spread = match &config.rule {
            SamplerRule::Ddim(_) => ddim::timesteps(config, n_steps),
            SamplerRule::DpmSolver(rule) => dpm_solver::timesteps(config, rule, &schedule, n_steps),
            SamplerRule::Iddpm => iddpm::timesteps(config, n_steps),
        };
        let timesteps = checked_timesteps(&spread, schedule.n_timesteps()).ok_or(misfit)?;
        let levels = match &config.rule {
            SamplerRule::Ddim(rule) => ddim::levels(rule, &schedule, &timesteps),
            SamplerRule::DpmSolver(rule) => dpm_solver::levels(rule, &schedule, &timesteps),
            SamplerRule::Iddpm => iddpm::levels(&schedule, &timesteps),
        };
        Ok(Self {
            timesteps,
            levels,
            prediction: config.prediction,
            clean_range: config.clean_range,
            rule: config.rule,
        })
    }

    /// The timestep of each step, on the training's scale; noisiest first.
    pub fn timesteps(&self) -> &[u32] {
        &self.timesteps
    }

    /// Number of steps of a run.
    pub fn n_steps(&self) -> usize {
        self.timesteps.len()
    }

    /// What a run remembers before its first step: nothing.
    pub fn start(&self) -> SamplerState {
        SamplerState::default()
    }

    /// Channels of the guided model output that [`next`](Self::next) takes for a latent of
    /// `n_channels`: twice as many if the sampler uses a learned variance.
    pub fn n_output_channels(&self, n_channels: usize) -> usize {
        if self.needs_noise() {
            2 * n_channels
        } else {
            n_channels
        }
    }

    /// Whether the steps of a run, all but the last, add noise.
    pub fn needs_noise(&self) -> bool {
        matches!(self.rule, SamplerRule::Iddpm)
    }

    /// The latent after `step`, from the latent before it, the guided model output there
    /// ([`n_output_channels`](Self::n_output_channels)) and the noise that the step adds:
    /// standard normal values of the latent's shape, if the sampler
    /// [needs it](Self::needs_noise). The last step adds none; what is given for it is not
    /// used. Steps must be done in order: the state is brought up to date.
    ///
    /// # Errors
    /// If the step does not exist, the state is not that of the step before, noise is
    /// missing or not wanted, or the tensors do not fit. The state is then unchanged.
    pub fn next(
        &self,
        state: &mut SamplerState,
        step: Step,
        latent: &Tensor,
        model_output: &Tensor,
        noise: Option<&Tensor>,
    ) -> Result<Tensor, SamplerError> {
        let levels = self.levels_of(step)?;
        if noise.is_some() && !self.needs_noise() {
            return Err(SamplerError::UnwantedNoise { step });
        }
        let clean = self.predict_clean(step, latent, model_output)?;
        match &self.rule {
            SamplerRule::Ddim(_) => {
                let noise = self.prediction.noise(levels.from, latent, model_output)?;
                Ok(ddim::next(levels.to, &clean, &noise)?)
            }
            SamplerRule::DpmSolver(rule) => {
                let update = dpm_solver::Update::new(rule, &self.levels, step);
                let next = update.apply(step, latent, &clean, &state.clean_history)?;
                if rule.order > 1 {
                    state.clean_history = vec![clean];
                }
                Ok(next)
            }
            SamplerRule::Iddpm if step.0 + 1 == self.n_steps() => {
                Ok(iddpm::next(levels, latent, &clean, None)?)
            }
            SamplerRule::Iddpm => {
                let n_channels = latent.dim(1)?;
                let randomness = Randomness {
                    variance: &model_output.narrow(1, n_channels, n_channels)?,
                    noise: iddpm::required(noise, step, latent)?,
                };
                Ok(iddpm::next(levels, latent, &clean, Some(&randomness))?)
            }
        }
    }

    /// The model's idea of the final latent, kept in range as the config says.
    ///
    /// # Errors
    /// If the step does not exist or the tensors do not fit.
    pub fn predict_clean(
        &self,
        step: Step,
        latent: &Tensor,
        model_output: &Tensor,
    ) -> Result<Tensor, SamplerError> {
        let from = self.levels_of(step)?.from;
        for tensor in [latent, model_output] {
            if tensor.dtype() != DType::F32 {
                return Err(SamplerError::WrongType {
                    found: tensor.dtype(),
                });
            }
        }
        let (n_channels, found) = (latent.dim(1)?, model_output.dim(1)?);
        let expected = self.n_output_channels(n_channels);
        if found != expected {
            let latent = n_channels;
            return Err(SamplerError::WrongChannels {
                latent,
                expected,
                found,
            });
        }
        let output = model_output.narrow(1, 0, n_channels)?;
        let clean = self.prediction.clean(from, latent, &output)?;
        Ok(self.clean_range.apply(clean)?)
    }

    fn levels_of(&self, step: Step) -> Result<StepLevels, SamplerError> {
        self.levels
            .get(step.0)
            .copied()
            .ok_or(SamplerError::NoSuchStep {
                step,
                n_steps: self.n_steps(),
            })
    }
}

/// The timesteps as unsigned numbers, if they fall from step to step and exist.
fn checked_timesteps(spread: &[i64], n_timesteps: usize) -> Option<Vec<u32>> {
    let fall = spread.windows(2).all(|pair| pair[0] > pair[1]);
    let exist = |&timestep: &i64| (0..n_timesteps as i64).contains(&timestep);
    (fall && spread.iter().all(exist)).then(|| spread.iter().map(|&t| t as u32).collect())
}
