//! What a run needs, from what a person asked for: opens the model folder, checks every
//! value, makes the sampler and the start noise. Calibration, generation and comparison
//! all begin here.

use std::path::PathBuf;

use candle_core::{DType, Device, Tensor};
use dfa_core::cost::LayerShape;
use dfa_core::liveness::CacheShape;
use dfa_core::sampler::SamplerKind;
use dfa_core::wire::{CalibrationInputs, ContentHash, Fingerprint, Provenance};

use crate::diffusion::denoiser::Denoiser;
use crate::diffusion::guidance::{BadGuidance, Guidance};
use crate::diffusion::noise;
use crate::diffusion::sampler::{Sampler, SamplerError};
use crate::model::dit::Dit;
use crate::model::{Geometry, LatentSize, Transformer};
use crate::model_folder::class_names::LabelError;
use crate::model_folder::{FolderError, ModelFolder, ModelIdentity};
use dfa_core::branch::ResidualHalf;

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

/// Everything that is fixed during a run, loaded and checked.
pub struct RunSetup {
    /// The model folder.
    pub folder: ModelFolder,
    /// Hashes of the model.
    pub identity: ModelIdentity,
    /// The network.
    pub model: Dit,
    /// The sampler's name.
    pub sampler_kind: SamplerKind,
    /// The sampler.
    pub sampler: Sampler,
    /// Guidance.
    pub guidance: Guidance,
    /// One class per image.
    pub labels: Vec<u32>,
    /// Size of the latent.
    pub size: LatentSize,
    /// Start noise, (B, C, h, w).
    pub latent: Tensor,
    /// Hash of the start noise, if it came from a file.
    pub latents_sha256: Option<ContentHash>,
    /// Seed of noise and random labels.
    pub seed: u64,
    /// Which half of the residual `wa_rs+asc` uses.
    pub residual_half: ResidualHalf,
}

impl RunSetup {
    /// Opens, checks and loads everything.
    ///
    /// # Errors
    /// [`SetupError`] for the first thing that is wrong; cheap checks come first.
    pub fn prepare(spec: &RunSpec) -> Result<Self, SetupError> {
        within("--steps", spec.n_steps, 1, MAX_STEPS)?;
        let guidance = Guidance::new(spec.guidance_scale)?;
        let folder = ModelFolder::open(&spec.model)?;
        let sampler_kind = spec.sampler.unwrap_or(folder.sampler.kind());
        let sampler = Sampler::new(&folder.sampler.with_kind(sampler_kind), spec.n_steps)?;
        let from_file = spec
            .latents
            .as_ref()
            .map(|file| read_latents(file, &folder))
            .transpose()?;
        let labels = resolve_labels(
            spec,
            &folder,
            from_file.as_ref().map(|latent| latent.dims()[0]),
        )?;
        let size = match &from_file {
            Some(latent) => LatentSize {
                height: latent.dims()[2],
                width: latent.dims()[3],
            },
            None => requested_size(spec.size, &folder)?,
        };
        check_size(size, &folder)?;
        let latents_sha256 = from_file.as_ref().map(hash_of).transpose()?;
        let latent = match from_file {
            Some(latent) => latent,
            None => {
                let images = 0..labels.len() as u64;
                noise::start_noise(spec.seed, images, folder.transformer.in_channels, size)?
            }
        };
        Ok(Self {
            identity: folder.identity()?,
            model: Dit::load(&folder)?,
            folder,
            sampler_kind,
            sampler,
            guidance,
            labels,
            size,
            latent,
            latents_sha256,
            seed: spec.seed,
            residual_half: spec.residual_half,
        })
    }

    /// The run over some of the images.
    pub fn denoiser<'a>(&'a self, labels: &'a [u32]) -> Denoiser<'a> {
        Denoiser {
            model: &self.model,
            sampler: &self.sampler,
            guidance: self.guidance,
            labels,
            size: self.size,
        }
    }

    /// Sizes of the transformer.
    pub fn geometry(&self) -> &Geometry {
        self.model.geometry()
    }

    /// T.
    pub fn n_tokens(&self) -> usize {
        self.geometry().n_tokens(self.size)
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
            branches: self.guidance.n_branches(),
            n_tokens: self.n_tokens(),
            width: self.geometry().width(),
            bytes_per_element: DType::F32.size_in_bytes(),
        }
    }

    /// What a plan for this run must match.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint {
            weights_sha256: self.identity.weights_sha256,
            config_sha256: self.identity.config_sha256,
            scheduler_sha256: self.identity.scheduler_sha256,
            n_tokens: self.n_tokens(),
            n_blocks: self.geometry().n_blocks,
            timesteps: self
                .sampler
                .timesteps()
                .iter()
                .map(|&t| f64::from(t))
                .collect(),
            sampler: self.sampler_kind,
            guidance_scale: self.guidance.scale(),
            dtype: "f32".into(),
            residual_half: self.residual_half,
        }
    }

    /// Where a plan calibrated by this run comes from.
    pub fn provenance(&self) -> Provenance {
        Provenance {
            model_id: self.folder.model_id.clone(),
            seed: self.seed,
            inputs: CalibrationInputs::Labels(self.labels.clone()),
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

fn resolve_labels(
    spec: &RunSpec,
    folder: &ModelFolder,
    n_latents: Option<usize>,
) -> Result<Vec<u32>, SetupError> {
    let n_classes = folder.transformer.n_classes as u32;
    let n_images = n_latents
        .or(spec.n_images)
        .unwrap_or(match spec.labels.len() {
            0 => spec.n_default,
            n => n,
        });
    within("the number of images", n_images, 1, MAX_IMAGES)?;
    if spec.labels.is_empty() {
        return Ok(noise::random_labels(spec.seed, n_images, n_classes));
    }
    let labels = spec
        .labels
        .iter()
        .map(|label| folder.class_names.resolve(label, n_classes));
    let labels: Vec<u32> = labels.collect::<Result<_, _>>()?;
    if labels.len() > n_images {
        return Err(SetupError::OutOfRange {
            what: "the number of labels",
            found: labels.len().to_string(),
            expected: format!("at most the number of images, {n_images}"),
        });
    }
    Ok(labels.into_iter().cycle().take(n_images).collect())
}

fn requested_size(
    size: Option<(usize, usize)>,
    folder: &ModelFolder,
) -> Result<LatentSize, SetupError> {
    let factor = if folder.has_vae { VAE_FACTOR } else { 1 };
    let native = folder.transformer.sample_size;
    let Some((width, height)) = size else {
        return Ok(LatentSize {
            height: native,
            width: native,
        });
    };
    if !width.is_multiple_of(factor) || !height.is_multiple_of(factor) {
        return Err(SetupError::OutOfRange {
            what: "--size",
            found: format!("{width}x{height}"),
            expected: format!("a multiple of {factor} on both sides (the VAE's factor)"),
        });
    }
    Ok(LatentSize {
        height: height / factor,
        width: width / factor,
    })
}

fn check_size(size: LatentSize, folder: &ModelFolder) -> Result<(), SetupError> {
    let patch = folder.transformer.patch_size;
    let fits = |side: usize| side > 0 && side <= MAX_SIDE && side.is_multiple_of(patch);
    if fits(size.height) && fits(size.width) {
        return Ok(());
    }
    Err(SetupError::OutOfRange {
        what: "the latent's size",
        found: size.to_string(),
        expected: format!(
            "a positive multiple of the patch, {patch}, of at most {MAX_SIDE} on both sides"
        ),
    })
}

fn hash_of(latent: &Tensor) -> Result<ContentHash, candle_core::Error> {
    let values = latent.flatten_all()?.to_vec1::<f32>()?;
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    Ok(ContentHash::of(&bytes))
}

/// Start noise from a file: (B, C, h, w), finite, as f32.
fn read_latents(file: &LatentsFile, folder: &ModelFolder) -> Result<Tensor, SetupError> {
    let wrong = |reason: String| SetupError::Latents {
        path: file.path.clone(),
        reason,
    };
    let bytes = std::fs::read(&file.path)
        .map_err(|error| wrong(format!("cannot be read ({error}); check the path")))?;
    let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)
        .map_err(|error| wrong(format!("not a safetensors file ({error})")))?;
    let mut names: Vec<&String> = tensors.keys().collect();
    names.sort();
    let name = match (&file.tensor, names.as_slice()) {
        (Some(name), _) => name,
        (None, [only]) => only,
        (None, _) => {
            return Err(wrong(format!(
                "name the tensor as FILE:TENSOR; the file holds {names:?}"
            )));
        }
    };
    let latent = tensors
        .get(name)
        .ok_or_else(|| {
            wrong(format!(
                "there is no tensor {name:?}; the file holds {names:?}"
            ))
        })?
        .to_dtype(DType::F32)?;
    let n_channels = folder.transformer.in_channels;
    match latent.dims() {
        [n, c, _, _] if *n > 0 && *c == n_channels => {}
        dims => {
            return Err(wrong(format!(
                "the shape is {dims:?}, expected [images, {n_channels}, height, width]"
            )));
        }
    }
    let values = latent.flatten_all()?.to_vec1::<f32>()?;
    if values.iter().any(|value| !value.is_finite()) {
        return Err(wrong("it holds NaN or infinity".into()));
    }
    Ok(latent)
}
