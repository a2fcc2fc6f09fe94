//! What a run needs, from what a person asked for: opens the model folder, checks every
//! value, makes the sampler and the start noise. Calibration, generation and comparison
//! all begin here.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use candle_core::{DType, Tensor};
use dfa_core::branch::ResidualHalf;
use dfa_core::cost::LayerShape;
use dfa_core::liveness::CacheShape;
use dfa_core::sampler::SamplerKind;
use dfa_core::wire::{CalibrationInputs, ContentHash, Fingerprint, Provenance};

use crate::diffusion::denoiser::Denoiser;
use crate::diffusion::guidance::BadGuidance;
use crate::diffusion::noise;
use crate::diffusion::sampler::SamplerError;
use crate::diffusion::step_noise::{GivenNoise, StepNoise};
use crate::model::dit::Dit;
use crate::model::open_sora::OpenSora;
use crate::model::pixart::PixArt;
use crate::model::{Condition, Geometry, LatentSize, Transformer};
use crate::model_folder::class_names::LabelError;
use crate::model_folder::{FolderError, ModelFolder, ModelIdentity, TransformerConfig};
pub use crate::tensor_file::TensorFile;
use crate::text::{EmbedsError, TextError};

mod aspect_ratio_bins;
mod checked_run;
pub mod sizes;
mod start_latents;
pub mod subjects;
mod text_condition;

pub use checked_run::CheckedRun;
use checked_run::GivenLatents;
use start_latents::{hash_of, read_latents};
pub use subjects::{Purpose, Subjects};
use text_condition::encode;

/// Most denoising steps of a run.
pub const MAX_STEPS: usize = 1000;
/// Most images of a run.
pub const MAX_IMAGES: usize = 4096;
/// Longest side of a latent.
pub const MAX_SIDE: usize = 4096;
/// Most frames of a video.
pub const MAX_FRAMES: usize = 512;

/// What a person asked for; nothing is checked yet.
#[derive(Clone, Debug)]
pub struct RunSpec {
    /// Model folder.
    pub model: PathBuf,
    /// Class indices or names; empty for random classes from the seed.
    pub labels: Vec<String>,
    /// Texts to draw, for a model that takes text.
    pub prompts: Vec<String>,
    /// What guidance leads away from; empty text if none.
    pub negative_prompt: Option<String>,
    /// Texts that somebody else encoded, instead of prompts.
    pub prompt_embeds: Option<TensorFile>,
    /// Number of images; labels and prompts are repeated in order. `None`: one per label or
    /// prompt, or as many as the purpose says.
    pub n_images: Option<usize>,
    /// What the run is for.
    pub purpose: Purpose,
    /// Start noise from a file; sets batch and size.
    pub latents: Option<TensorFile>,
    /// Noise of every step of an ancestral sampler, (steps, images, channels, …), instead of
    /// that of the seed.
    pub step_noise: Option<TensorFile>,
    /// Size in pixels, `(width, height)`.
    pub size: Option<(usize, usize)>,
    /// Draw at the nearest size that PixArt-Sigma was trained at, and cut to `size`.
    pub resolution_binning: bool,
    /// Frames of a video.
    pub n_frames: Option<usize>,
    /// Frames per second that a video model is told.
    pub fps: Option<f64>,
    /// Denoising steps; `None` for the family's.
    pub n_steps: Option<usize>,
    /// The sampler; `None` for the one of the model folder.
    pub sampler: Option<SamplerKind>,
    /// Guidance scale; `None` for the family's.
    pub guidance_scale: Option<f64>,
    /// Seed of noise and random labels.
    pub seed: u64,
    /// Which half of the residual `wa_rs+asc` uses.
    pub residual_half: ResidualHalf,
}

/// Why a run cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The model folder is not usable.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A label names no class.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// The guidance scale is not usable.
    #[error(transparent)]
    Guidance(#[from] BadGuidance),
    /// The sampler cannot be made for so many steps.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
    /// A number is out of range.
    #[error("{what} is {found}, but it must be {expected}")]
    OutOfRange {
        /// What it is.
        what: &'static str,
        /// Its value.
        found: String,
        /// What is accepted.
        expected: String,
    },
    /// A model that takes text is given none.
    #[error("there is nothing to draw: give --prompt TEXT (repeatable)")]
    NoPrompt,
    /// Something that this family does not have.
    #[error("{what} is not for {family} models: {remedy}")]
    NotForThisFamily {
        /// What was given.
        what: &'static str,
        /// The model's family.
        family: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// Texts cannot be encoded.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Texts that somebody else encoded are not usable.
    #[error(transparent)]
    Embeds(#[from] EmbedsError),
    /// The text encoder is that of another model.
    #[error(
        "text_encoder/ makes vectors of {found}, but the transformer takes {expected}: put the text encoder of this model there"
    )]
    OtherTextEncoder {
        /// The encoder's width.
        found: usize,
        /// E of the transformer.
        expected: usize,
    },
    /// Guidance needs the negative prompt's embeddings too.
    #[error(
        "the file of prompt embeddings has no negative_prompt_embeds, which guidance needs: add them, or give --guidance 1"
    )]
    NoNegativeEmbeds,
    /// The start noise is not usable.
    #[error("start latents {path}: {reason}")]
    Latents {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The noise of the steps is not usable.
    #[error("step noise {path}: {reason}")]
    StepNoise {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl SetupError {
    /// Whether the request is at fault, not a file on disk.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Label(_)
                | Self::Guidance(_)
                | Self::OutOfRange { .. }
                | Self::Sampler(_)
                | Self::NoPrompt
                | Self::NoNegativeEmbeds
                | Self::NotForThisFamily { .. }
        )
    }
}

/// A model in memory. A clone is the same model: it never changes, so runs share it.
#[derive(Clone)]
pub struct LoadedModel {
    /// The model folder.
    pub folder: ModelFolder,
    /// Hashes of the model.
    pub identity: ModelIdentity,
    /// The network.
    pub model: Arc<dyn Transformer>,
}

impl LoadedModel {
    /// Loads the weights of a folder whose files were hashed before.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn load(folder: ModelFolder, identity: ModelIdentity) -> Result<Self, SetupError> {
        Ok(Self {
            identity,
            model: load_transformer(&folder)?,
            folder,
        })
    }
}

/// The network of a folder, of whatever family.
///
/// # Errors
/// [`FolderError`] lists every tensor that is missing or misshapen.
pub fn load_transformer(folder: &ModelFolder) -> Result<Arc<dyn Transformer>, FolderError> {
    match &folder.transformer {
        TransformerConfig::Dit(config) => Ok(Arc::new(Dit::load(folder, config)?)),
        TransformerConfig::PixArt(config) => Ok(Arc::new(PixArt::load(folder, config)?)),
        TransformerConfig::OpenSora(config) => Ok(Arc::new(OpenSora::load(folder, config)?)),
    }
}

/// Everything that is fixed during a run, loaded and checked.
pub struct RunSetup {
    /// The model.
    pub loaded: LoadedModel,
    /// The values of the run.
    pub run: CheckedRun,
    /// What the images show, as the model takes it.
    pub condition: Condition,
    /// Start noise, (B, C, …).
    pub latent: Tensor,
    /// What an ancestral sampler adds at each step.
    pub step_noise: StepNoise,
    /// Hash of the start noise, if it came from a file.
    pub latents_sha256: Option<ContentHash>,
    /// Hash of the texts, if somebody else encoded them.
    pub embeds_sha256: Option<ContentHash>,
    /// What a person should know before the run.
    pub warnings: Vec<String>,
    /// Hash of the noise of the steps, if it came from a file.
    pub step_noise_sha256: Option<ContentHash>,
}

impl RunSetup {
    /// Opens, checks and loads everything. Texts are encoded before the transformer is
    /// loaded; `stop` is asked meanwhile.
    ///
    /// # Errors
    /// [`SetupError`] for the first thing that is wrong; cheap checks come first.
    pub fn prepare(spec: &RunSpec, stop: &dyn Fn() -> bool) -> Result<Self, SetupError> {
        let folder = ModelFolder::open(&spec.model)?;
        let (run, latent, latents_sha256) = checked_start(spec, &folder)?;
        let (step_noise, step_noise_sha256) = step_noise_of(spec, &run, &latent)?;
        let encoded = encode(&folder, spec, (&run.subjects, run.guidance.is_on()), stop)?;
        let identity = folder.identity()?;
        Ok(Self {
            loaded: LoadedModel::load(folder, identity)?,
            step_noise,
            step_noise_sha256,
            run,
            condition: encoded.condition,
            embeds_sha256: encoded.embeds_sha256,
            warnings: encoded.warnings,
            latent,
            latents_sha256,
        })
    }

    /// The same for a model that is in memory; `spec.model` is not looked at.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn with_model(
        spec: &RunSpec,
        loaded: LoadedModel,
        stop: &dyn Fn() -> bool,
    ) -> Result<Self, SetupError> {
        let (run, latent, latents_sha256) = checked_start(spec, &loaded.folder)?;
        let (step_noise, step_noise_sha256) = step_noise_of(spec, &run, &latent)?;
        let of_run = (&run.subjects, run.guidance.is_on());
        let encoded = encode(&loaded.folder, spec, of_run, stop)?;
        Ok(Self {
            loaded,
            step_noise,
            step_noise_sha256,
            run,
            condition: encoded.condition,
            embeds_sha256: encoded.embeds_sha256,
            warnings: encoded.warnings,
            latent,
            latents_sha256,
        })
    }

    /// Images of the run.
    pub fn n_images(&self) -> usize {
        self.run.subjects.n_images()
    }

    /// The run over some of the images.
    pub fn denoiser(&self, images: Range<usize>) -> Denoiser<'_> {
        Denoiser {
            model: self.loaded.model.as_ref(),
            sampler: &self.run.sampler,
            guidance: self.run.guidance,
            condition: self.condition.of_images(images.clone()),
            images,
            step_noise: &self.step_noise,
            size: self.run.size,
            video: self.run.video,
        }
    }

    /// The run over all images.
    pub fn whole_denoiser(&self) -> Denoiser<'_> {
        self.denoiser(0..self.n_images())
    }

    /// What image `index` shows, for people: its class's name or its prompt.
    pub fn subject_name(&self, index: usize) -> String {
        match &self.run.subjects {
            Subjects::Classes(classes) => self.loaded.folder.class_names.name(classes[index]),
            Subjects::Prompts { prompts, .. } => prompts[index].clone(),
            Subjects::Embeds { .. } => format!("text {index}"),
        }
    }

    /// Sizes of the transformer.
    pub fn geometry(&self) -> &Geometry {
        self.loaded.model.geometry()
    }

    /// T.
    pub fn n_tokens(&self) -> usize {
        self.geometry().n_tokens(self.run.size)
    }

    /// Sizes of one self-attention layer, for counting.
    pub fn layer_shape(&self) -> LayerShape {
        LayerShape {
            n_tokens: self.n_tokens(),
            width: self.geometry().width(),
        }
    }

    /// Sizes of the layer caches of a batch of `n_images`.
    pub fn cache_shape(&self, n_images: usize) -> CacheShape {
        CacheShape {
            batch: n_images * self.run.size.n_sequences(),
            branches: self.run.guidance.n_branches(),
            n_tokens: self.n_tokens(),
            width: self.geometry().width(),
            bytes_per_element: DType::F32.size_in_bytes(),
        }
    }

    /// What a plan for this run must match.
    pub fn fingerprint(&self) -> Fingerprint {
        self.run
            .fingerprint(&self.loaded.folder, &self.loaded.identity)
    }

    /// Where a plan calibrated by this run comes from.
    pub fn provenance(&self) -> Provenance {
        Provenance {
            model_id: self.loaded.folder.model_id.clone(),
            seed: self.run.seed,
            inputs: match &self.run.subjects {
                Subjects::Classes(classes) => CalibrationInputs::Labels(classes.clone()),
                Subjects::Prompts { prompts, .. } => CalibrationInputs::Prompts(prompts.clone()),
                Subjects::Embeds { n_images } => {
                    CalibrationInputs::Prompts(vec![String::new(); *n_images])
                }
            },
            latents_sha256: self.latents_sha256,
            width: Some(self.geometry().width()),
            tool_version: tool_version(),
        }
    }
}

/// Name and version of this program.
pub fn tool_version() -> String {
    format!("dfa {}", env!("CARGO_PKG_VERSION"))
}

/// What an ancestral sampler adds, checked against the run.
fn step_noise_of(
    spec: &RunSpec,
    run: &CheckedRun,
    latent: &Tensor,
) -> Result<(StepNoise, Option<ContentHash>), SetupError> {
    let Some(file) = &spec.step_noise else {
        return Ok((StepNoise::Seeded { seed: run.seed }, None));
    };
    if !run.sampler.needs_noise() {
        return Err(SetupError::OutOfRange {
            what: "--step-noise",
            found: format!("given for {}", run.sampler_kind),
            expected: "left out: only iddpm adds noise at its steps".into(),
        });
    }
    let wrong = |reason: String| SetupError::StepNoise {
        path: file.path.clone(),
        reason,
    };
    let noise = file.read().map_err(|error| wrong(error.to_string()))?;
    let given = GivenNoise::new(&noise, run.sampler.n_steps(), latent.dims());
    let given = given.map_err(|error| wrong(error.to_string()))?;
    Ok((StepNoise::Given(given), Some(hash_of(&noise)?)))
}

/// The values of the run and its start noise.
fn checked_start(
    spec: &RunSpec,
    folder: &ModelFolder,
) -> Result<(CheckedRun, Tensor, Option<ContentHash>), SetupError> {
    let n_channels = folder.transformer.geometry().in_channels;
    let Some(file) = &spec.latents else {
        let run = CheckedRun::new(spec, folder)?;
        let images = 0..run.subjects.n_images() as u64;
        let latent = noise::start_noise(spec.seed, images, n_channels, run.size)?;
        return Ok((run, latent, None));
    };
    let latent = read_latents(file, folder)?;
    let (n_images, size) = match *latent.dims() {
        [n, _, height, width] => (n, LatentSize::image(height, width)),
        [n, _, frames, height, width] => (
            n,
            LatentSize {
                frames: Some(frames),
                height,
                width,
            },
        ),
        _ => (0, LatentSize::image(0, 0)),
    };
    let given = GivenLatents { n_images, size };
    let run = CheckedRun::with_latents(spec, folder, Some(given))?;
    let hash = hash_of(&latent)?;
    Ok((run, latent, Some(hash)))
}

fn within(what: &'static str, found: usize, least: usize, most: usize) -> Result<(), SetupError> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    Err(SetupError::OutOfRange {
        what,
        found: found.to_string(),
        expected: format!("from {least} to {most}"),
    })
}
