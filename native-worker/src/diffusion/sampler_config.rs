//! The scheduler's config of a model folder, read into typed and checked facts.
//!
//! `scheduler_config.json` is a foreign file (diffusers' name for a sampler is scheduler).
//! It may hold `-Infinity`, which is not JSON, and keys nobody knows; both are tolerated.
//! A setting that would change the result and that we do not have is refused by name.
//! Missing keys mean diffusers' defaults, which differ between its classes.

use dfa_core::sampler::SamplerKind;
use serde_json::{Map, Value};

use super::noise_schedule::{BetaCurve, Betas, TimestepSpacing};
use super::sampler::SamplerError;

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
        let map = serde_json::from_str(&quote_bare_numbers(text)).map_err(SamplerError::NotJson)?;
        let file = SchedulerFile { map };
        let kind = match file.word("_class_name", "")? {
            "DDIMScheduler" => SamplerKind::Ddim,
            "DPMSolverMultistepScheduler" => SamplerKind::DpmSolver,
            _ => return file.refuse("_class_name", "DDIMScheduler, DPMSolverMultistepScheduler"),
        };
        file.refuse_what_we_lack()?;
        Ok(Self {
            betas: file.betas()?,
            prediction: file.prediction()?,
            spacing: file.spacing(default_spacing(kind))?,
            steps_offset: file.count("steps_offset", 0, 0..=1_000_000)? as u32,
            clean_range: file.clean_range(kind)?,
            rule: match kind {
                SamplerKind::Ddim => SamplerRule::Ddim(file.ddim_rule()?),
                SamplerKind::DpmSolver => SamplerRule::DpmSolver(file.dpm_solver_rule()?),
            },
        })
    }

    /// Which sampler this configures.
    pub fn kind(&self) -> SamplerKind {
        match self.rule {
            SamplerRule::Ddim(_) => SamplerKind::Ddim,
            SamplerRule::DpmSolver(_) => SamplerKind::DpmSolver,
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
        Self {
            betas: self.betas,
            prediction: self.prediction,
            spacing: default_spacing(kind),
            steps_offset: 0,
            clean_range: CleanRange::Unlimited,
            rule: match kind {
                SamplerKind::Ddim => SamplerRule::Ddim(DdimRule::DEFAULT),
                SamplerKind::DpmSolver => SamplerRule::DpmSolver(DpmSolverRule::DEFAULT),
            },
        }
    }
}

fn default_spacing(kind: SamplerKind) -> TimestepSpacing {
    match kind {
        SamplerKind::Ddim => TimestepSpacing::Leading,
        SamplerKind::DpmSolver => TimestepSpacing::Linspace,
    }
}

/// The keys of the file, read with diffusers' meaning: null is as good as missing.
struct SchedulerFile {
    map: Map<String, Value>,
}

impl SchedulerFile {
    fn betas(&self) -> Result<Betas, SamplerError> {
        let betas = Betas {
            n_timesteps: self.count("num_train_timesteps", 1000, 2..=1_000_000)?,
            start: self.number("beta_start", 1e-4, f64::MIN_POSITIVE..=0.999)?,
            end: self.number("beta_end", 0.02, f64::MIN_POSITIVE..=0.999)?,
            curve: match self.word("beta_schedule", "linear")? {
                "linear" => BetaCurve::Linear,
                "scaled_linear" => BetaCurve::ScaledLinear,
                _ => return self.refuse("beta_schedule", "linear, scaled_linear"),
            },
        };
        Ok(betas)
    }

    fn prediction(&self) -> Result<Prediction, SamplerError> {
        match self.word("prediction_type", "epsilon")? {
            "epsilon" => Ok(Prediction::Noise),
            "sample" => Ok(Prediction::Clean),
            "v_prediction" => Ok(Prediction::Velocity),
            _ => self.refuse("prediction_type", "epsilon, sample, v_prediction"),
        }
    }

    fn spacing(&self, default: TimestepSpacing) -> Result<TimestepSpacing, SamplerError> {
        match self.word("timestep_spacing", "")? {
            "" => Ok(default),
            "linspace" => Ok(TimestepSpacing::Linspace),
            "leading" => Ok(TimestepSpacing::Leading),
            "trailing" => Ok(TimestepSpacing::Trailing),
            _ => self.refuse("timestep_spacing", "linspace, leading, trailing"),
        }
    }

    /// Thresholding goes before clipping; only DDIM clips, and does so unless told not to.
    fn clean_range(&self, kind: SamplerKind) -> Result<CleanRange, SamplerError> {
        if self.flag("thresholding", false)? {
            Ok(CleanRange::Thresholded {
                quantile: self.number("dynamic_thresholding_ratio", 0.995, 0.0..=1.0)?,
                max: self.number("sample_max_value", 1.0, f64::MIN_POSITIVE..=f64::MAX)?,
            })
        } else if kind == SamplerKind::Ddim && self.flag("clip_sample", true)? {
            let limit = self.number("clip_sample_range", 1.0, f64::MIN_POSITIVE..=f64::MAX)?;
            Ok(CleanRange::Clipped { limit })
        } else {
            Ok(CleanRange::Unlimited)
        }
    }

    fn ddim_rule(&self) -> Result<DdimRule, SamplerError> {
        let ends_clean = self.flag("set_alpha_to_one", true)?;
        Ok(DdimRule { ends_clean })
    }

    fn dpm_solver_rule(&self) -> Result<DpmSolverRule, SamplerError> {
        Ok(DpmSolverRule {
            order: self.count("solver_order", 2, 1..=2)?,
            solver: match self.word("solver_type", "midpoint")? {
                // The last three are other solvers' names, which diffusers reads as midpoint.
                "midpoint" | "logrho" | "bh1" | "bh2" => SecondOrder::Midpoint,
                "heun" => SecondOrder::Heun,
                _ => return self.refuse("solver_type", "midpoint, heun"),
            },
            lower_order_final: self.flag("lower_order_final", true)?,
            euler_at_final: self.flag("euler_at_final", false)?,
            ends_clean: match self.word("final_sigmas_type", "zero")? {
                "zero" => true,
                "sigma_min" => false,
                _ => return self.refuse("final_sigmas_type", "zero, sigma_min"),
            },
            lambda_min: self.number(
                "lambda_min_clipped",
                f64::NEG_INFINITY,
                f64::NEG_INFINITY..=f64::MAX,
            )?,
        })
    }

    fn refuse_what_we_lack(&self) -> Result<(), SamplerError> {
        for key in [
            "rescale_betas_zero_snr",
            "use_karras_sigmas",
            "use_exponential_sigmas",
            "use_beta_sigmas",
            "use_lu_lambdas",
            "use_flow_sigmas",
            "use_dynamic_shifting",
        ] {
            if self.flag(key, false)? {
                return self.refuse(key, "false");
            }
        }
        if self.get("trained_betas").is_some() {
            return self.refuse(
                "trained_betas",
                "null, with beta_start and beta_end instead",
            );
        }
        if self.word("algorithm_type", "dpmsolver++")? != "dpmsolver++" {
            return self.refuse("algorithm_type", "dpmsolver++");
        }
        Ok(())
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    fn word<'a>(&'a self, key: &'static str, default: &'a str) -> Result<&'a str, SamplerError> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::String(word)) => Ok(word),
            Some(_) => self.refuse(key, "a string"),
        }
    }

    fn flag(&self, key: &'static str, default: bool) -> Result<bool, SamplerError> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => self.refuse(key, "true, false"),
        }
    }

    fn number(
        &self,
        key: &'static str,
        default: f64,
        allowed: core::ops::RangeInclusive<f64>,
    ) -> Result<f64, SamplerError> {
        let found = match self.get(key) {
            None => return Ok(default),
            Some(Value::String(word)) => word.parse().unwrap_or(f64::NAN),
            Some(value) => value.as_f64().unwrap_or(f64::NAN),
        };
        if allowed.contains(&found) {
            Ok(found)
        } else {
            self.refuse(
                key,
                &format!("{:e} to {:e}", allowed.start(), allowed.end()),
            )
        }
    }

    fn count(
        &self,
        key: &'static str,
        default: usize,
        allowed: core::ops::RangeInclusive<usize>,
    ) -> Result<usize, SamplerError> {
        let Some(value) = self.get(key) else {
            return Ok(default);
        };
        match value.as_u64().and_then(|found| usize::try_from(found).ok()) {
            Some(found) if allowed.contains(&found) => Ok(found),
            _ => self.refuse(key, &format!("{} to {}", allowed.start(), allowed.end())),
        }
    }

    fn refuse<T>(&self, key: &'static str, supported: &str) -> Result<T, SamplerError> {
        let found = self.map.get(key).map_or("nothing".into(), Value::to_string);
        Err(SamplerError::NotSupported {
            key,
            found: found.chars().take(60).collect(),
            supported: supported.into(),
        })
    }
}

/// Puts quotes around `Infinity`, `-Infinity` and `NaN` outside strings: Python writes
/// them, and they are not JSON.
fn quote_bare_numbers(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 16);
    for (idx, piece) in pieces(text).enumerate() {
        if idx % 2 == 1 {
            quoted.push_str(piece);
            continue;
        }
        // The sign goes inside the quotes with its word.
        let piece = piece
            .replace("-Infinity", "\"-inf\"")
            .replace("NaN", "\"NaN\"");
        quoted.push_str(&piece.replace("Infinity", "\"inf\""));
    }
    quoted
}

/// Cuts JSON text into parts outside (even) and inside (odd) of string literals.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    let mut inside = false;
    core::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = if inside {
            string_end(rest)
        } else {
            rest.find('"')
        };
        let (piece, after) = rest.split_at(end.unwrap_or(rest.len()));
        inside = !inside;
        rest = after;
        Some(piece)
    })
}

/// Where the string literal that `text` begins with ends, its closing quote included.
fn string_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    let after_opening = text.char_indices().skip(1);
    for (idx, letter) in after_opening {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(idx + 1),
            _ => {}
        }
    }
    None
}
