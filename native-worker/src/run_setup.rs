//! What a run needs, from what a person asked for: opens the model folder, checks every
//! value, makes the sampler and the start noise. Calibration, generation and comparison
//! all begin here.

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
use crate::model::dit::Dit;
use crate::model::{Geometry, LatentSize, Transformer};
use crate::model_folder::class_names::LabelError;
use crate::model_folder::{FolderError, ModelFolder, ModelIdentity};

mod checked_run;
mod start_latents;

pub use checked_run::CheckedRun;
use checked_run::GivenLatents;
use start_latents::{hash_of, read_latents};

/// Denoising steps where nothing says it: the paper's.
pub const DEFAULT_STEPS: usize = 50;
/// Guidance scale where nothing says it: the paper's for DiT.
pub const DEFAULT_GUIDANCE: f64 = 4.0;
/// Images of a calibration batch: the paper's number of class labels for DiT.
pub const N_CALIBRATION_INPUTS: usize = 8;
/// Images of a generation where neither labels nor a number are given.
pub const N_GENERATED_IMAGES: usize = 4;
/// Images of a comparison where neither labels nor a number are given.
pub const N_COMPARED_IMAGES: usize = 8;
/// Most denoising steps of a run.
pub const MAX_STEPS: usize = 1000;
/// Most images of a run.
pub const MAX_IMAGES: usize = 4096;
/// Longest side of a latent.
pub const MAX_SIDE: usize = 4096;
/// Image pixels per latent pixel where there is a VAE (that of the SD and SDXL families).
const VAE_FACTOR: usize = 8;

/// What a person asked for; nothing is checked yet.
#[derive(Clone, Debug)]
pub struct RunSpec {
    /// Model folder.
    pub model: PathBuf,
    /// Class indices or names; empty for random classes from the seed.
    pub labels: Vec<String>,
    /// Number of images; the labels are repeated in order. `None`: one per label, or
    /// `n_default` without labels.
    pub n_images: Option<usize>,
    /// Number of images where nothing else says it.
    pub n_default: usize,
    /// Start noise from a file; sets batch and size.
    pub latents: Option<LatentsFile>,
    /// Image size in pixels, `(width, height)`.
    pub size: Option<(usize, usize)>,
    /// Denoising steps.
    pub n_steps: usize,
    /// The sampler; `None` for the one of the model folder.
    pub sampler: Option<SamplerKind>,
    /// Guidance scale.
    pub guidance_scale: f64,
    /// Seed of noise and random labels.
    pub seed: u64,
    /// Which half of the residual `wa_rs+asc` uses.
    pub residual_half: ResidualHalf,
}

/// A tensor in a safetensors file: `FILE` or `FILE:TENSOR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatentsFile {
    /// The file.
    pub path: PathBuf,
    /// The tensor's name; may be left out if the file holds just one.
    pub tensor: Option<String>,
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
    /// The start noise is not usable.
    #[error("start latents {path}: {reason}")]
    Latents {
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
            Self::Label(_) | Self::Guidance(_) | Self::OutOfRange { .. } | Self::Sampler(_)
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
    pub model: Arc<Dit>,
}

impl LoadedModel {
    /// Loads the weights of a folder whose files were hashed before.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn load(folder: ModelFolder, identity: ModelIdentity) -> Result<Self, SetupError> {
        Ok(Self {
            identity,
            model: Arc::new(Dit::load(&folder)?),
            folder,
        })
    }
}

/// Everything that is fixed during a run, loaded and checked.
pub struct RunSetup {
    /// The model.
    pub loaded: LoadedModel,
    /// The values of the run.
    pub run: CheckedRun,
    /// Start noise, (B, C, h, w).
    pub latent: Tensor,
    /// Hash of the start noise, if it came from a file.
    pub latents_sha256: Option<ContentHash>,
}

impl RunSetup {
    /// Opens, checks and loads everything.
    ///
    /// # Errors
    /// [`SetupError`] for the first thing that is wrong; cheap checks come first.
    pub fn prepare(spec: &RunSpec) -> Result<Self, SetupError> {
        let folder = ModelFolder::open(&spec.model)?;
        let (run, latent, latents_sha256) = checked_start(spec, &folder)?;
        let identity = folder.identity()?;
        Ok(Self {
            loaded: LoadedModel::load(folder, identity)?,
            run,
            latent,
            latents_sha256,
        })
    }

    /// The same for a model that is in memory; `spec.model` is not looked at.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn with_model(spec: &RunSpec, loaded: LoadedModel) -> Result<Self, SetupError> {
        let (run, latent, latents_sha256) = checked_start(spec, &loaded.folder)?;
        Ok(Self {
            loaded,
            run,
            latent,
            latents_sha256,
        })
    }

    /// The run over some of the images.
    pub fn denoiser<'a>(&'a self, labels: &'a [u32]) -> Denoiser<'a> {
        Denoiser {
            model: self.loaded.model.as_ref(),
            sampler: &self.run.sampler,
            guidance: self.run.guidance,
            labels,
            size: self.run.size,
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
            batch: n_images,
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
            inputs: CalibrationInputs::Labels(self.run.labels.clone()),
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

/// The values of the run and its start noise.
fn checked_start(
    spec: &RunSpec,
    folder: &ModelFolder,
) -> Result<(CheckedRun, Tensor, Option<ContentHash>), SetupError> {
    let Some(file) = &spec.latents else {
        let run = CheckedRun::new(spec, folder)?;
        let images = 0..run.labels.len() as u64;
        let n_channels = folder.transformer.in_channels;
        let latent = noise::start_noise(spec.seed, images, n_channels, run.size)?;
        return Ok((run, latent, None));
    };
    let latent = read_latents(file, folder)?;
    let (n_images, _, height, width) = latent.dims4()?;
    let size = LatentSize { height, width };
    let given = GivenLatents { n_images, size };
    let run = CheckedRun::with_latents(spec, folder, Some(given))?;
    let hash = hash_of(&latent)?;
    Ok((run, latent, Some(hash)))
}
