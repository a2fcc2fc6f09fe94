//! What a plan was made for, and whether a run is the same.
//!
//! A plan's losses hold for one model, one noise schedule and one way of running it.
//! The [`Fingerprint`] holds what must match when the plan is *used*. How the plan came
//! to be (inputs, seed, tool) is [`Provenance`]: recorded for people, never compared.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::branch::ResidualHalf;
use crate::sampler::SamplerKind;
use crate::wire::content_hash::ContentHash;
use crate::wire::pixel_size::PixelSize;

/// The model and the settings that a plan is made for.
#[derive(Clone, Debug, PartialEq)]
pub struct Fingerprint {
    /// Hash over the bytes of all weight tensors.
    pub weights_sha256: ContentHash,
    /// Hash of the transformer's configuration.
    pub config_sha256: ContentHash,
    /// Hash of the scheduler's configuration: noise schedule and prediction type.
    pub scheduler_sha256: ContentHash,
    /// N, image tokens of one sample.
    pub n_tokens: usize,
    /// M, transformer blocks. In a plan file this is the width of `strategies`.
    pub n_blocks: usize,
    /// One timestep per denoising step, noisiest first, on the training scale.
    pub timesteps: Vec<f64>,
    /// The sampler.
    pub sampler: SamplerKind,
    /// Weight of classifier-free guidance; 1 or less means unguided.
    pub guidance_scale: f64,
    /// Number type of weights and activations, for example `f32`.
    pub dtype: String,
    /// Which half of the residual `wa_rs+asc` uses.
    pub residual_half: ResidualHalf,
}

/// How a plan came to be. Recorded, never compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// What people call the model.
    pub model_id: String,
    /// Seed of the start noise.
    pub seed: u64,
    /// What the model was asked to draw.
    pub inputs: CalibrationInputs,
    /// Text that guidance led away from, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negative_prompt: Option<String>,
    /// Hash of the embeddings that were given instead of texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_embeds_sha256: Option<ContentHash>,
    /// Size of the images or frames.
    #[serde(
        default,
        with = "crate::wire::as_text::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub size: Option<PixelSize>,
    /// F, frames of each video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_frames: Option<u32>,
    /// Frames per second that a video model was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fps: Option<f64>,
    /// Hash of the start noise where it came from a file instead of the seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latents_sha256: Option<ContentHash>,
    /// d, the model's width, by which the share of the whole layer is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// Name and version of the program that made the plan.
    pub tool_version: String,
}

/// The conditions of the calibration batch, one per image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalibrationInputs {
    /// Class indices, for class-conditional models.
    Labels(Vec<u32>),
    /// Text prompts.
    Prompts(Vec<String>),
}

impl CalibrationInputs {
    /// Images in the calibration batch.
    pub fn n_calibration_inputs(&self) -> usize {
        match self {
            Self::Labels(labels) => labels.len(),
            Self::Prompts(prompts) => prompts.len(),
        }
    }
}

/// One thing that must match when a plan is used; its string is the value of
/// `--allow-mismatch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FingerprintField {
    /// `weights_sha256`
    Weights,
    /// `config_sha256`
    Config,
    /// `scheduler_sha256`
    Scheduler,
    /// `n_tokens`
    Tokens,
    /// `n_blocks`; cannot be allowed to differ
    Blocks,
    /// `n_steps`; cannot be allowed to differ
    Steps,
    /// `timesteps`
    Timesteps,
    /// `sampler`
    Sampler,
    /// `guidance_scale`
    GuidanceScale,
    /// `dtype`
    Dtype,
    /// `residual_half`
    ResidualHalf,
}

impl FingerprintField {
    /// Every field, in the order in which mismatches are reported.
    pub const ALL: [Self; 11] = [
        Self::Weights,
        Self::Config,
        Self::Scheduler,
        Self::Tokens,
        Self::Blocks,
        Self::Steps,
        Self::Timesteps,
        Self::Sampler,
        Self::GuidanceScale,
        Self::Dtype,
        Self::ResidualHalf,
    ];

    /// The field's name in plan files and the value of `--allow-mismatch`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Weights => "weights_sha256",
            Self::Config => "config_sha256",
            Self::Scheduler => "scheduler_sha256",
            Self::Tokens => "n_tokens",
            Self::Blocks => "n_blocks",
            Self::Steps => "n_steps",
            Self::Timesteps => "timesteps",
            Self::Sampler => "sampler",
            Self::GuidanceScale => "guidance_scale",
            Self::Dtype => "dtype",
            Self::ResidualHalf => "residual_half",
        }
    }

    /// Whether a person may accept the difference. A plan with another number of steps or
    /// blocks says nothing about the missing cells, so those two can never be accepted.
    pub const fn can_be_allowed(self) -> bool {
        !matches!(self, Self::Blocks | Self::Steps)
    }
}

/// A field in which a run is not what the plan was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The field.
    pub field: FingerprintField,
    /// The plan's value, for people.
    pub expected: String,
    /// The run's value, for people.
    pub found: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field,
            expected,
            found,
        } = self;
        write!(
            f,
            "{field}: the plan was made for {expected} but this run has {found}; \
             calibrate again for this run"
        )?;
        if field.can_be_allowed() {
            write!(
                f,
                ", or accept the difference with --allow-mismatch {field}"
            )?;
        }
        Ok(())
    }
}

/// A plan and a run that do not belong together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the plan was not made for this run: {}", join_lines(.0))]
pub struct FingerprintError(pub Vec<Mismatch>);

fn join_lines(mismatches: &[Mismatch]) -> String {
    let mut text = String::new();
    for mismatch in mismatches {
        text.push_str("\n  ");
        text.push_str(&mismatch.to_string());
    }
    text
}

impl Fingerprint {
    /// Denoising steps, one per timestep.
    pub fn n_steps(&self) -> usize {
        self.timesteps.len()
    }

    /// Whether the run has two branches.
    pub fn is_guided(&self) -> bool {
        self.guidance_scale > 1.0
    }

    /// The fields in which `actual` (a run) differs from `self` (a plan's fingerprint),
    /// except those that are `allowed` to differ.
    pub fn mismatches(&self, actual: &Self, allowed: &[FingerprintField]) -> Vec<Mismatch> {
        FingerprintField::ALL
            .into_iter()
            .filter(|field| !(field.can_be_allowed() && allowed.contains(field)))
            .filter_map(|field| self.mismatch(actual, field))
            .collect()
    }

    /// [`mismatches`](Self::mismatches) as a result.
    ///
    /// # Errors
    /// [`FingerprintError`] lists every mismatch with both values and the remedy.
    pub fn check(
        &self,
        actual: &Self,
        allowed: &[FingerprintField],
    ) -> Result<(), FingerprintError> {
        let mismatches = self.mismatches(actual, allowed);
        if mismatches.is_empty() {
            Ok(())
        } else {
            Err(FingerprintError(mismatches))
        }
    }

    fn mismatch(&self, actual: &Self, field: FingerprintField) -> Option<Mismatch> {
        let [expected, found] = match field {
            FingerprintField::Timesteps => differing_timesteps(&self.timesteps, &actual.timesteps)?,
            _ => [self.describe(field), actual.describe(field)],
        };
        (expected != found).then_some(Mismatch {
            field,
            expected,
            found,
        })
    }

    /// The value of one field, for people and for comparison: two values are equal
    /// exactly if their descriptions are.
    fn describe(&self, field: FingerprintField) -> String {
        match field {
            FingerprintField::Weights => self.weights_sha256.to_string(),
            FingerprintField::Config => self.config_sha256.to_string(),
            FingerprintField::Scheduler => self.scheduler_sha256.to_string(),
            FingerprintField::Tokens => self.n_tokens.to_string(),
            FingerprintField::Blocks => self.n_blocks.to_string(),
            FingerprintField::Steps | FingerprintField::Timesteps => self.n_steps().to_string(),
            FingerprintField::Sampler => self.sampler.to_string(),
            FingerprintField::GuidanceScale => self.guidance_scale.to_string(),
            FingerprintField::Dtype => self.dtype.clone(),
            FingerprintField::ResidualHalf => self.residual_half.to_string(),
        }
    }
}

/// The first step at which two equally long lists of timesteps differ. Lists of
/// different lengths are a mismatch of `n_steps`, not of timesteps.
fn differing_timesteps(expected: &[f64], found: &[f64]) -> Option<[String; 2]> {
    if expected.len() != found.len() {
        return None;
    }
    let step = expected.iter().zip(found).position(|(a, b)| a != b)?;
    let describe =
        |timesteps: &[f64]| alloc::format!("timestep {} at step {step}", timesteps[step]);
    Some([describe(expected), describe(found)])
}

impl fmt::Display for FingerprintField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A string that names no field whose difference could be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown field {found:?}; expected one of weights_sha256, config_sha256, \
     scheduler_sha256, n_tokens, n_blocks, n_steps, timesteps, sampler, guidance_scale, \
     dtype, residual_half"
)]
pub struct UnknownField {
    /// What was found, shortened to 40 characters.
    pub found: String,
}

impl FromStr for FingerprintField {
    type Err = UnknownField;

    fn from_str(text: &str) -> Result<Self, UnknownField> {
        Self::ALL
            .into_iter()
            .find(|field| field.as_str() == text)
            .ok_or_else(|| UnknownField {
                found: text.chars().take(40).collect(),
            })
    }
}

#[cfg(test)]
mod tests;
