//! The flags that describe a run, shared by `calibrate`, `generate` and `compare`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use dfa_core::branch::ResidualHalf;
use dfa_core::sampler::SamplerKind;
use dfa_core::wire::{CheckedPlan, FingerprintField};

use super::Failure;
use super::device_flags::DeviceFlags;
use crate::run_setup::{Purpose, RunSetup, RunSpec, SetupError, TensorFile};

/// Which model, which images, which sampler.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunFlags {
    /// Model folder in the diffusers layout.
    #[arg(long, env = "DFA_MODEL", value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// Classes to draw, as indices or names, separated by commas [default: random].
    #[arg(long, env = "DFA_LABELS", value_name = "LABELS", value_delimiter = ',')]
    labels: Vec<String>,
    /// Text to draw, for a model that takes text; repeatable, one per image.
    #[arg(
        long = "prompt",
        env = "DFA_PROMPT",
        value_name = "TEXT",
        conflicts_with = "prompt_embeds"
    )]
    prompts: Vec<String>,
    /// Text that guidance leads away from [default: empty].
    #[arg(
        long,
        env = "DFA_NEGATIVE_PROMPT",
        value_name = "TEXT",
        conflicts_with = "prompt_embeds"
    )]
    negative_prompt: Option<String>,
    /// Texts encoded elsewhere, in a safetensors file: prompt_embeds (images, tokens,
    /// width), prompt_attention_mask, and both with the prefix negative_.
    #[arg(long, env = "DFA_PROMPT_EMBEDS", value_name = "FILE")]
    prompt_embeds: Option<TensorFile>,
    /// Number of images; labels and prompts are repeated in order [default: one each].
    #[arg(short = 'n', long, env = "DFA_N_IMAGES", value_name = "N")]
    n_images: Option<usize>,
    /// Start noise, a safetensors tensor (images, channels, height, width).
    #[arg(
        long,
        env = "DFA_LATENTS",
        value_name = "FILE[:TENSOR]",
        conflicts_with = "n_images"
    )]
    latents: Option<TensorFile>,
    /// Noise of every step of the iddpm sampler, a safetensors tensor (steps, images,
    /// channels, …) [default: from the seed].
    #[arg(
        long,
        env = "DFA_STEP_NOISE",
        value_name = "FILE[:TENSOR]",
        requires = "latents"
    )]
    step_noise: Option<TensorFile>,
    /// Size in pixels [default: the model's].
    #[arg(long, env = "DFA_SIZE", value_name = "WxH", value_parser = parse_size)]
    size: Option<(usize, usize)>,
    /// Draw at the nearest size that PixArt-Sigma was trained at, and cut to --size.
    #[arg(long, env = "DFA_RESOLUTION_BINNING", requires = "size", value_parser = super::switch())]
    resolution_binning: bool,
    /// Frames of a video [default: 16].
    #[arg(
        long,
        env = "DFA_NUM_FRAMES",
        value_name = "N",
        conflicts_with = "latents"
    )]
    num_frames: Option<usize>,
    /// Frames per second of the footage that a video model imitates [default: 24].
    #[arg(long, env = "DFA_FPS", value_name = "FPS")]
    fps: Option<f64>,
    /// Denoising steps [default: the plan's, or 50; 200 for Open-Sora].
    #[arg(long, env = "DFA_STEPS", value_name = "N")]
    steps: Option<usize>,
    /// Sampler: ddim or dpm-solver++ [default: the plan's, or the model folder's].
    #[arg(long, env = "DFA_SAMPLER", value_name = "NAME")]
    sampler: Option<SamplerKind>,
    /// Guidance scale; 1 or less turns guidance off [default: the plan's, or
    /// 4; 4.5 for PixArt-Sigma, 7 for Open-Sora].
    #[arg(
        long,
        env = "DFA_GUIDANCE",
        value_name = "SCALE",
        allow_negative_numbers = true
    )]
    guidance: Option<f64>,
    /// Seed of the start noise and of random labels.
    #[arg(long, env = "DFA_SEED", value_name = "SEED", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Half of the residual that wa_rs+asc uses: conditional, or first (as the reference
    /// does; the same for DiT) [default: the plan's, or conditional].
    #[arg(long, env = "DFA_RESIDUAL_HALF", value_name = "HALF")]
    residual_half: Option<ResidualHalf>,
    #[command(flatten)]
    device: DeviceFlags,
}

impl RunFlags {
    /// The same run over `n_images` of random classes, or the same prompts, from another
    /// seed.
    pub(crate) fn of_new_images(&self, seed: u64, n_images: usize) -> Self {
        Self {
            labels: Vec::new(),
            // There are no random texts: the noise is new, the prompts are the same.
            prompts: self.prompts.iter().take(n_images).cloned().collect(),
            n_images: Some(n_images),
            latents: None,
            step_noise: None,
            seed,
            ..self.clone()
        }
    }

    /// The flags of size, frames, given files and device as typed, for a command that makes the same
    /// run again.
    pub(crate) fn typed_again(&self) -> Vec<(&'static str, String)> {
        let file = |file: &TensorFile| match &file.tensor {
            Some(tensor) => format!("{}:{tensor}", file.path.display()),
            None => file.path.display().to_string(),
        };
        let size = self.size.map(|(width, height)| format!("{width}x{height}"));
        // Classes and prompts are repeated one by one; encoded texts only by their number.
        let encoded = self.prompt_embeds.as_ref().and(self.n_images);
        let flags = [
            ("--latents", self.latents.as_ref().map(file)),
            ("--step-noise", self.step_noise.as_ref().map(file)),
            ("--prompt-embeds", self.prompt_embeds.as_ref().map(file)),
            ("-n", encoded.map(|n| n.to_string())),
            ("--size", size),
            ("--num-frames", self.num_frames.map(|n| n.to_string())),
            ("--fps", self.fps.map(|fps| fps.to_string())),
        ];
        let given = flags.into_iter().chain(self.device.typed_again());
        given
            .filter_map(|(flag, value)| Some((flag, value?)))
            .collect()
    }

    /// Whether sizes are drawn at the nearest trained one.
    pub(crate) fn bins_resolution(&self) -> bool {
        self.resolution_binning
    }

    /// Loads the run; what the flags leave open comes from `plan`.
    pub(crate) fn prepare(
        &self,
        purpose: Purpose,
        plan: Option<&CheckedPlan>,
    ) -> Result<RunSetup, Failure> {
        let fingerprint = plan.and_then(|plan| plan.fingerprint.as_ref());
        let n_steps = self.steps.or(plan.map(|plan| plan.plan.shape().n_steps));
        let guidance = self
            .guidance
            .or(fingerprint.map(|fingerprint| fingerprint.guidance_scale));
        let residual_half = self
            .residual_half
            .or(fingerprint.map(|fingerprint| fingerprint.residual_half));
        let spec = RunSpec {
            model: self.model.clone(),
            labels: self.labels.clone(),
            prompts: self.prompts.clone(),
            negative_prompt: self.negative_prompt.clone(),
            prompt_embeds: self.prompt_embeds.clone(),
            n_images: self.n_images,
            purpose,
            latents: self.latents.clone(),
            step_noise: self.step_noise.clone(),
            size: self.size,
            resolution_binning: self.resolution_binning,
            n_frames: self.num_frames,
            fps: self.fps,
            n_steps,
            sampler: self
                .sampler
                .or(fingerprint.map(|fingerprint| fingerprint.sampler)),
            guidance_scale: guidance,
            seed: self.seed,
            residual_half: residual_half.unwrap_or_default(),
            placement: self.device.open()?,
        };
        let setup = RunSetup::prepare(&spec, &|| false).map_err(|error: SetupError| {
            if error.is_usage() {
                Failure::usage(error)
            } else {
                Failure::failed(error)
            }
        })?;
        for warning in &setup.warnings {
            super::terminal::warn(warning);
        }
        Ok(setup)
    }
}

/// The flags that name a plan.
#[derive(Clone, Debug, Args)]
pub(crate) struct PlanFlags {
    /// Accept that this field of the plan's fingerprint differs from the run; repeatable.
    #[arg(
        long,
        env = "DFA_ALLOW_MISMATCH",
        value_name = "FIELD",
        value_delimiter = ','
    )]
    allow_mismatch: Vec<FingerprintField>,
}

impl PlanFlags {
    /// Refuses a plan that was not made for this run.
    pub(crate) fn check(
        &self,
        path: &Path,
        plan: &CheckedPlan,
        setup: &RunSetup,
    ) -> Result<(), Failure> {
        match &plan.fingerprint {
            Some(fingerprint) => fingerprint
                .check(&setup.fingerprint(), &self.allow_mismatch)
                .map_err(|error| {
                    Failure::usage(anyhow::Error::new(error).context(path.display().to_string()))
                }),
            None => {
                super::terminal::warn(&format!(
                    "{} says nothing about the model it was made for (edited by hand or imported); using it unchecked",
                    path.display()
                ));
                Ok(())
            }
        }
    }
}

/// Reads a plan file.
pub(crate) fn read_plan(path: &Path) -> Result<CheckedPlan, Failure> {
    let context = || format!("plan {}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| {
        let what = format!("cannot read the plan {}; check the path", path.display());
        Failure::failed(anyhow::Error::new(error).context(what))
    })?;
    CheckedPlan::parse(&text)
        .map_err(|error| Failure::failed(anyhow::Error::new(error).context(context())))
}

impl FromStr for TensorFile {
    type Err = std::convert::Infallible;

    /// `FILE` or `FILE:TENSOR`; a file that exists under the whole name wins.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.rsplit_once(':') {
            Some((path, tensor)) if !Path::new(text).exists() => Self {
                path: path.into(),
                tensor: Some(tensor.to_owned()),
            },
            _ => Self {
                path: text.into(),
                tensor: None,
            },
        })
    }
}

/// `WxH`, for example `64x64`.
fn parse_size(text: &str) -> Result<(usize, usize), String> {
    let sides = text.split_once(['x', 'X', '×']);
    let parsed = sides.and_then(|(width, height)| {
        Some((width.trim().parse().ok()?, height.trim().parse().ok()?))
    });
    parsed.ok_or_else(|| "a size is written WIDTHxHEIGHT, for example 256x256".into())
}

/// Makes the folder that a file will be written to.
pub(crate) fn ensure_parent(path: &Path) -> Result<(), Failure> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => ensure_folder(folder),
        _ => Ok(()),
    }
}

/// Makes a folder.
pub(crate) fn ensure_folder(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|error| {
        Failure::failed(
            anyhow::Error::new(error)
                .context(format!("cannot make the folder {}", folder.display())),
        )
    })
}
