//! 1 · Opens and checks a model folder in the diffusers layout, and says what is in it.
//!
//! Reads the small JSON files only; the weights stay on disk until
//! [`weights`] loads them. Every complaint names the file, what was found, what was
//! expected and what to do.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use dfa_core::wire::ContentHash;
use serde::Deserialize;
use sha2::{Digest, Sha256};

pub mod class_names;
pub mod dit_config;
pub mod transformer_config;
pub mod vae_config;
pub mod weights;

use crate::diffusion::sampler_config::SamplerConfig;
pub use class_names::ClassNames;
pub use dit_config::DitConfig;
pub use transformer_config::{Family, FamilyDefaults, TextFacts, TransformerConfig};
pub use vae_config::VaeConfig;

const TRANSFORMER_CONFIG: &str = "transformer/config.json";
const VAE_CONFIG: &str = "vae/config.json";
const SCHEDULER_CONFIG: &str = "scheduler/scheduler_config.json";

/// A checked model folder: what its configuration says, as typed facts.
#[derive(Clone, Debug)]
pub struct ModelFolder {
    /// Where it is.
    pub path: PathBuf,
    /// The folder's name; identifies a model to people, not to checks.
    pub model_id: String,
    /// Names of the classes, by index; empty if the folder names none.
    pub class_names: ClassNames,
    /// Shape of the transformer.
    pub transformer: TransformerConfig,
    /// What `scheduler/scheduler_config.json` says.
    pub sampler: SamplerConfig,
    /// Whether a VAE stands between latents and pixels; without one the latent is the image.
    pub has_vae: bool,
    /// What `vae/config.json` says, if it is there.
    pub vae: Option<VaeConfig>,
    /// The safetensors files of the transformer, in the order of their names.
    pub weight_files: Vec<PathBuf>,
}

/// What identifies a model for a plan: the bytes of its weights and configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelIdentity {
    /// SHA-256 of the weight files' bytes, one after the other.
    pub weights_sha256: ContentHash,
    /// SHA-256 of `transformer/config.json`.
    pub config_sha256: ContentHash,
    /// SHA-256 of `scheduler/scheduler_config.json`.
    pub scheduler_sha256: ContentHash,
}

/// Why a model folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The path is no folder.
    #[error(
        "{path} is not a folder: give a model folder in the diffusers layout (with model_index.json and transformer/)"
    )]
    NotAFolder {
        /// What was given.
        path: PathBuf,
    },
    /// A file that must be there is not.
    #[error("{path} is missing: {hint}")]
    Missing {
        /// The file.
        path: PathBuf,
        /// What to do.
        hint: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot read {path}: {source}; fetch it again, or check who may read it")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A JSON file is broken.
    #[error("{path} is not the JSON it should be: {reason}; correct it or fetch it again")]
    BadJson {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        reason: String,
    },
    /// A value this program cannot work with.
    #[error("{path}: {key} is {found}, but {expected}")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The key in it.
        key: &'static str,
        /// Its value.
        found: String,
        /// What would be accepted.
        expected: String,
    },
    /// The scheduler configuration is not usable.
    #[error("{path}: {source}")]
    Sampler {
        /// The file.
        path: PathBuf,
        /// Why.
        source: crate::diffusion::sampler::SamplerError,
    },
    /// The weights are not what the configuration promises.
    #[error(transparent)]
    Weights(#[from] weights::WeightsError),
}

/// The part of `model_index.json` that we read.
#[derive(Deserialize)]
struct ModelIndex {
    #[serde(rename = "_class_name")]
    class_name: Option<String>,
    #[serde(default)]
    id2label: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    vae: (Option<String>, Option<String>),
}

impl ModelFolder {
    /// Opens a folder and checks everything but the weights' contents.
    ///
    /// # Errors
    /// [`FolderError`] for the first thing that is missing, broken or not supported.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        if !path.is_dir() {
            let path = path.to_path_buf();
            return Err(FolderError::NotAFolder { path });
        }
        let index = read_model_index(&path.join("model_index.json"))?;
        let transformer = TransformerConfig::Dit(DitConfig::read(&path.join(TRANSFORMER_CONFIG))?);
        let sampler_path = path.join(SCHEDULER_CONFIG);
        let text = read_text(
            &sampler_path,
            "the scheduler's betas and prediction type are needed",
        )?;
        let sampler = SamplerConfig::from_json(&text).map_err(|source| FolderError::Sampler {
            path: sampler_path,
            source,
        })?;
        let vae_path = path.join(VAE_CONFIG);
        let vae = match vae_path.exists() {
            true => Some(VaeConfig::read(&vae_path)?),
            false => None,
        };
        let name = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let model_id = name
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Ok(Self {
            model_id,
            class_names: ClassNames::from_id2label(&index.id2label),
            transformer,
            sampler,
            has_vae: index.vae.1.is_some() || vae.is_some(),
            vae,
            weight_files: weights::find_files(
                &path.join("transformer"),
                weights::WeightStem::Diffusers,
            )?,
            path: path.to_path_buf(),
        })
    }

    /// Image pixels per latent value along each side; 1 without a VAE.
    pub fn vae_factor(&self) -> usize {
        match &self.vae {
            Some(vae) => vae.factor(),
            // The VAE of every family that has one.
            None if self.has_vae => 8,
            None => 1,
        }
    }

    /// Hashes the weights and the configuration. Reads every byte of the weights.
    ///
    /// # Errors
    /// [`FolderError::Unreadable`].
    pub fn identity(&self) -> Result<ModelIdentity, FolderError> {
        Ok(ModelIdentity {
            weights_sha256: sha256_of_files(&self.weight_files)?,
            config_sha256: sha256_of_files(&[self.path.join(TRANSFORMER_CONFIG)])?,
            scheduler_sha256: sha256_of_files(&[self.path.join(SCHEDULER_CONFIG)])?,
        })
    }
}

fn read_model_index(path: &Path) -> Result<ModelIndex, FolderError> {
    let hint = "a diffusers pipeline folder has one; is this the folder above transformer/?";
    let index: ModelIndex = parse_json(path, &read_text(path, hint)?)?;
    match index.class_name.as_deref() {
        Some("DiTPipeline") | None => Ok(index),
        Some(other) => Err(FolderError::Unsupported {
            path: path.to_path_buf(),
            key: "_class_name",
            found: format!("{other:?}"),
            expected: "only DiTPipeline is built so far (PixArt-Sigma and Open-Sora are to follow)"
                .into(),
        }),
    }
}

/// Reads a small text file.
pub(crate) fn read_text(path: &Path, hint: &'static str) -> Result<String, FolderError> {
    fs::read_to_string(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => FolderError::Missing {
            path: path.to_path_buf(),
            hint,
        },
        _ => FolderError::Unreadable {
            path: path.to_path_buf(),
            source,
        },
    })
}

pub(crate) fn parse_json<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Result<T, FolderError> {
    serde_json::from_str(text).map_err(|error| FolderError::BadJson {
        path: path.to_path_buf(),
        reason: error.to_string(),
    })
}

fn sha256_of_files(paths: &[PathBuf]) -> Result<ContentHash, FolderError> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    for path in paths {
        let unreadable = |source| FolderError::Unreadable {
            path: path.clone(),
            source,
        };
        let mut file = fs::File::open(path).map_err(unreadable)?;
        loop {
            let n = file.read(&mut buffer).map_err(unreadable)?;
            if n == 0 {
                break;
            }
            hasher.update(&buffer[..n]);
        }
    }
    Ok(ContentHash::from_bytes(hasher.finalize().into()))
}
