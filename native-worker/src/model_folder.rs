//! 1 · Opens and checks a model folder in the diffusers layout, and says what is in it.
//!
//! Reads the small JSON files only; the weights stay on disk until
//! [`weights`] loads them. Every complaint names the file, what was found, what was
//! expected and what to do.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use dfa_core::wire::ContentHash;
use sha2::{Digest, Sha256};

pub mod class_names;
pub mod dit_config;
mod layout;
pub mod open_sora_config;
pub mod pixart_config;
pub mod transformer_config;
pub mod vae_config;
pub mod weights;

use crate::diffusion::sampler_config::SamplerConfig;
pub use class_names::ClassNames;
pub use dit_config::DitConfig;
use layout::Layout;
pub use open_sora_config::OpenSoraConfig;
pub use pixart_config::PixArtConfig;
pub use transformer_config::{Family, FamilyDefaults, TextFacts, TransformerConfig};
pub use vae_config::VaeConfig;

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
    /// Where the transformer's `config.json` and weights are.
    pub transformer_folder: PathBuf,
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
    /// SHA-256 of the transformer's `config.json`.
    pub config_sha256: ContentHash,
    /// SHA-256 of `scheduler/scheduler_config.json`; of nothing if the folder has none.
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

impl ModelFolder {
    /// Whether a folder is one at a glance: it has a pipeline's index, or is Open-Sora's.
    pub fn is_at(path: &Path) -> bool {
        path.join("model_index.json").is_file() || layout::is_open_sora(path)
    }

    /// Opens a folder and checks everything but the weights' contents.
    ///
    /// # Errors
    /// [`FolderError`] for the first thing that is missing, broken or not supported.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        if !path.is_dir() {
            let path = path.to_path_buf();
            return Err(FolderError::NotAFolder { path });
        }
        let layout = Layout::read(path)?;
        let sampler = sampler_config(path, layout.transformer.family())?;
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
            class_names: ClassNames::from_id2label(&layout.index.id2label),
            sampler,
            has_vae: layout.index.vae.1.is_some() || vae.is_some(),
            vae,
            weight_files: layout.weight_files()?,
            transformer: layout.transformer,
            transformer_folder: layout.transformer_folder,
            path: path.to_path_buf(),
        })
    }

    /// Image pixels per latent value along each side; 1 without a VAE.
    pub fn vae_factor(&self) -> usize {
        match &self.vae {
            Some(vae) => vae.factor(),
            // The VAE of every family that has one; videos are always decoded, perhaps by a
            // VAE that is not in this folder.
            None if self.has_vae || self.transformer.family().makes_videos() => 8,
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
            config_sha256: sha256_of_files(&[self.transformer_folder.join("config.json")])?,
            scheduler_sha256: sha256_of_files(&scheduler_files(&self.path))?,
        })
    }
}

/// The scheduler's configuration; Open-Sora's folder on the hub has none, nor has a copy of
/// it to have one.
fn sampler_config(path: &Path, family: Family) -> Result<SamplerConfig, FolderError> {
    if family == Family::OpenSora && scheduler_files(path).is_empty() {
        return Ok(SamplerConfig::open_sora());
    }
    let path = path.join(SCHEDULER_CONFIG);
    let hint = "the scheduler's betas and prediction type are needed";
    let text = read_text(&path, hint)?;
    SamplerConfig::from_json(&text).map_err(|source| FolderError::Sampler { path, source })
}

/// The scheduler's configuration, if the folder has one.
fn scheduler_files(path: &Path) -> Vec<PathBuf> {
    let file = path.join(SCHEDULER_CONFIG);
    file.exists().then_some(file).into_iter().collect()
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

pub(crate) fn parse_json<T: serde::de::DeserializeOwned>(
    path: &Path,
    text: &str,
) -> Result<T, FolderError> {
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
