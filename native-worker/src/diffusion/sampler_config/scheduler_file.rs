//! Reads a `scheduler_config.json`.
//!
//! It is a foreign file (diffusers' name for a sampler is scheduler). It may hold
//! `-Infinity`, which is not JSON, and keys nobody knows; both are tolerated. A setting
//! that would change the result and that we do not have is refused by name. Missing keys
//! mean the defaults of the class, which differ from class to class.

use serde_json::{Map, Value};

use super::{
    CleanRange, DdimRule, DpmSolverRule, Prediction, SamplerConfig, SamplerRule, SecondOrder,
};
use crate::diffusion::noise_schedule::{BetaCurve, Betas, TimestepSpacing};
use crate::diffusion::sampler::SamplerError;

/// The keys of the file, read with diffusers' meaning: null is as good as missing.
pub(super) struct SchedulerFile {
    map: Map<String, Value>,
    class: SchedulerClass,
}

/// Whose defaults the missing keys mean.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SchedulerClass {
    Ddim,
    DpmSolver,
    /// diffusers' ancestral sampler.
    Ddpm,
    /// The sampler of improved diffusion, DiT and Open-Sora, which have no such file: the
    /// keys are diffusers', the defaults are theirs.
    Iddpm,
}

impl SchedulerClass {
    const NAMES: &str =
        "DDIMScheduler, DPMSolverMultistepScheduler, DDPMScheduler (learned_range), IDDPM";

    fn from_name(name: &str) -> Option<Self> {
        match name {
            "DDIMScheduler" => Some(Self::Ddim),
            "DPMSolverMultistepScheduler" => Some(Self::DpmSolver),
            "DDPMScheduler" => Some(Self::Ddpm),
            "IDDPM" => Some(Self::Iddpm),
            _ => None,
        }
    }

    fn is_ancestral(self) -> bool {
        matches!(self, Self::Ddpm | Self::Iddpm)
    }

    fn default_spacing(self) -> TimestepSpacing {
        match self {
            Self::Ddim | Self::Ddpm => TimestepSpacing::Leading,
            Self::DpmSolver => TimestepSpacing::Linspace,
            Self::Iddpm => TimestepSpacing::Respaced,
        }
    }

    /// `None` for the class that never clips.
    fn clips_by_default(self) -> Option<bool> {
        match self {
            Self::Ddim | Self::Ddpm => Some(true),
            Self::DpmSolver => None,
            Self::Iddpm => Some(false),
        }
    }
}

impl SchedulerFile {
    pub(super) fn parse(text: &str) -> Result<Self, SamplerError> {
        let map: Map<String, Value> =
            serde_json::from_str(&quote_bare_numbers(text)).map_err(SamplerError::NotJson)?;
        let name = map.get("_class_name").and_then(Value::as_str);
        match name.and_then(SchedulerClass::from_name) {
            Some(class) => Ok(Self { map, class }),
            None => refuse(&map, "_class_name", SchedulerClass::NAMES),
        }
    }

    pub(super) fn config(&self) -> Result<SamplerConfig, SamplerError> {
        self.refuse_what_we_lack()?;
        let config = SamplerConfig {
            betas: self.betas()?,
            prediction: self.prediction()?,
            spacing: self.spacing()?,
            steps_offset: self.count("steps_offset", 0, 0..=1_000_000)? as u32,
            clean_range: self.clean_range()?,
            rule: match self.class {
                SchedulerClass::Ddim => SamplerRule::Ddim(self.ddim_rule()?),
                SchedulerClass::DpmSolver => SamplerRule::DpmSolver(self.dpm_solver_rule()?),
                SchedulerClass::Ddpm | SchedulerClass::Iddpm => SamplerRule::Iddpm,
            },
        };
        if self.class.is_ancestral() {
            self.ensure_ancestral(&config)?;
        }
        Ok(config)
    }

    /// diffusers' ancestral sampler adds noise at every timestep but 0, so a run that does
    /// not end there ends with noise in it, of a variance that means nothing.
    fn ensure_ancestral(&self, config: &SamplerConfig) -> Result<(), SamplerError> {
        let variance = self.word(
            "variance_type",
            match self.class {
                SchedulerClass::Iddpm => "learned_range",
                _ => "fixed_small",
            },
        )?;
        if variance != "learned_range" {
            return self.refuse("variance_type", "learned_range");
        }
        if config.spacing == TimestepSpacing::Trailing {
            return self.refuse("timestep_spacing", "leading, linspace, respaced");
        }
        if config.steps_offset > 0 {
            return self.refuse("steps_offset", "0");
        }
        Ok(())
    }

    fn betas(&self) -> Result<Betas, SamplerError> {
        let n_timesteps = self.count("num_train_timesteps", 1000, 2..=1_000_000)?;
        // Improved diffusion keeps the end of training as noisy for any number of timesteps.
        let scale = match self.class {
            SchedulerClass::Iddpm => 1000.0 / n_timesteps as f64,
            _ => 1.0,
        };
        let betas = Betas {
            n_timesteps,
            start: self.number("beta_start", scale * 1e-4, f64::MIN_POSITIVE..=0.999)?,
            end: self.number("beta_end", scale * 0.02, f64::MIN_POSITIVE..=0.999)?,
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

    fn spacing(&self) -> Result<TimestepSpacing, SamplerError> {
        match self.word("timestep_spacing", "")? {
            "" => Ok(self.class.default_spacing()),
            "respaced" if self.class == SchedulerClass::Iddpm => Ok(TimestepSpacing::Respaced),
            "linspace" => Ok(TimestepSpacing::Linspace),
            "leading" => Ok(TimestepSpacing::Leading),
            "trailing" => Ok(TimestepSpacing::Trailing),
            _ => self.refuse("timestep_spacing", "linspace, leading, trailing"),
        }
    }

    /// Thresholding goes before clipping.
    fn clean_range(&self) -> Result<CleanRange, SamplerError> {
        let clips = match self.class.clips_by_default() {
            Some(default) => self.flag("clip_sample", default)?,
            None => false,
        };
        if self.flag("thresholding", false)? {
            Ok(CleanRange::Thresholded {
                quantile: self.number("dynamic_thresholding_ratio", 0.995, 0.0..=1.0)?,
                max: self.number("sample_max_value", 1.0, f64::MIN_POSITIVE..=f64::MAX)?,
            })
        } else if clips {
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
        refuse(&self.map, key, supported)
    }
}

fn refuse<T>(
    map: &Map<String, Value>,
    key: &'static str,
    supported: &str,
) -> Result<T, SamplerError> {
    let found = map.get(key).map_or("nothing".into(), Value::to_string);
    Err(SamplerError::NotSupported {
        key,
        found: found.chars().take(60).collect(),
        supported: supported.into(),
    })
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
