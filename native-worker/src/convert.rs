//! Makes a model folder of safetensors files from the pickles that some models come in.
//!
//! Three kinds of input: a folder in the diffusers layout (or one component of it) with
//! `.bin` pickles ([`pipeline`]); the authors' checkpoint of DiT ([`dit`]); a checkpoint of
//! Open-Sora's STDiT2 ([`stdit`]). Pickles are read as data ([`torch_file`](crate::torch_file)).
//!
//! Everything is checked before anything is written; the folder is then made under another
//! name and renamed, so that it is whole or absent.

use std::io;
use std::path::{Path, PathBuf};

mod component;
mod dit;
mod pipeline;
mod staging;
mod stdit;
mod weights_file;

use staging::Staging;
use weights_file::WeightsFile;

use crate::torch_file::{TorchFile, TorchFileError};

/// What to convert, and to what.
#[derive(Clone, Debug)]
pub struct ConvertRequest {
    /// A folder or a checkpoint.
    pub from: PathBuf,
    /// The folder to make.
    pub to: PathBuf,
    /// A VAE to put into a folder made from DiT's checkpoint.
    pub vae: Option<PathBuf>,
    /// Attention heads, where the checkpoint's width does not say.
    pub n_heads: Option<u64>,
    /// Whether a model folder that is there already is replaced.
    pub force: bool,
}

/// What was made.
#[derive(Debug)]
pub struct Converted {
    /// What the input was, in words.
    pub kind: &'static str,
    /// The files, by their path in the folder.
    pub files: Vec<WrittenFile>,
    /// What a person should know: what was left out, what is still missing.
    pub notes: Vec<String>,
}

/// A file of the new folder.
#[derive(Debug)]
pub struct WrittenFile {
    /// Path in the folder, with `/`.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
    /// Tensors in it, if it holds weights that were converted.
    pub n_tensors: Option<usize>,
}

/// Who watches a conversion.
pub trait ConvertObserver {
    /// How many bytes of weights there will be.
    fn begin(&mut self, total_bytes: u64);
    /// Some more were written.
    fn wrote(&mut self, n_bytes: u64);
    /// Whether to stop.
    fn is_cancelled(&self) -> bool;
}

/// Why nothing was converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The request cannot be meant so.
    #[error("{0}")]
    Request(String),
    /// The input is not what can be converted.
    #[error("{path}: {reason}")]
    Input {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// A pickle is refused.
    #[error("{path}: {source}")]
    Pickle {
        /// The file.
        path: PathBuf,
        /// Why.
        source: TorchFileError,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no room.
    #[error(
        "{path} has {free} bytes free, but {needed} are needed; make room or choose another disk"
    )]
    NoRoom {
        /// The folder.
        path: PathBuf,
        /// Free bytes.
        free: u64,
        /// Bytes of the new folder.
        needed: u64,
    },
    /// Somebody asked for it.
    #[error("stopped; nothing was written")]
    Stopped,
}

impl ConvertError {
    /// Whether the request is at fault, not a file on disk.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Request(_))
    }

    fn input(path: &Path, reason: impl Into<String>) -> Self {
        Self::Input {
            path: path.to_path_buf(),
            reason: reason.into(),
        }
    }

    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { path, source }
    }

    fn pickle(path: &Path) -> impl FnOnce(TorchFileError) -> Self {
        let path = path.to_path_buf();
        move |source| match source {
            TorchFileError::Stopped => Self::Stopped,
            source => Self::Pickle { path, source },
        }
    }
}

/// A folder that is ready to be written: every input is open and checked.
struct Draft {
    kind: &'static str,
    /// Files that are taken as they are: where they are, and their path in the folder.
    copies: Vec<(PathBuf, String)>,
    /// Small files that are written anew: path in the folder, text.
    texts: Vec<(String, String)>,
    weights: Vec<WeightsFile>,
    notes: Vec<String>,
}

impl Draft {
    fn new(kind: &'static str) -> Self {
        Self {
            kind,
            copies: Vec::new(),
            texts: Vec::new(),
            weights: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn json(&mut self, name: &str, value: &serde_json::Value) {
        self.texts.push((name.into(), format!("{value:#}\n")));
    }

    fn total_bytes(&self) -> Result<u64, ConvertError> {
        let mut total = 0u64;
        for (path, _) in &self.copies {
            let found = std::fs::metadata(path).map_err(ConvertError::file(path))?;
            total = total.saturating_add(found.len());
        }
        let weights = self.weights.iter().map(WeightsFile::size_bytes);
        let texts = self.texts.iter().map(|(_, text)| text.len() as u64);
        Ok(weights.chain(texts).fold(total, u64::saturating_add))
    }
}

/// Converts.
///
/// # Errors
/// [`ConvertError`]; nothing is then left behind, and what was there is untouched.
pub fn convert(
    request: &ConvertRequest,
    observer: &mut dyn ConvertObserver,
) -> Result<Converted, ConvertError> {
    staging::ensure_target(request)?;
    let draft = draft(request)?;
    let needed = draft.total_bytes()?;
    let staging = Staging::begin(&request.to, needed)?;
    observer.begin(needed);
    let converted = write(draft, &staging, observer)?;
    staging.finish(request.force)?;
    Ok(converted)
}

fn draft(request: &ConvertRequest) -> Result<Draft, ConvertError> {
    let from = &request.from;
    if !from.exists() {
        return Err(ConvertError::input(
            from,
            "there is nothing here; give a model folder, or a checkpoint of torch.save",
        ));
    }
    if from.is_dir() {
        if request.vae.is_some() || request.n_heads.is_some() {
            return Err(ConvertError::Request(
                "--vae and --heads are for a single checkpoint; a folder brings its own".into(),
            ));
        }
        return pipeline::draft(from);
    }
    let file = TorchFile::open(from).map_err(ConvertError::pickle(from))?;
    if dit::is_it(&file.tensors) {
        dit::draft(request, file)
    } else if stdit::is_it(&file.tensors) {
        stdit::draft(request, file)
    } else {
        let names: Vec<&String> = file.tensors.keys().take(5).collect();
        Err(ConvertError::input(
            from,
            format!(
                "its tensors are neither those of the authors' DiT nor of Open-Sora's STDiT2 (the first are {names:?}); give the whole folder if it is a component of one"
            ),
        ))
    }
}

fn write(
    draft: Draft,
    staging: &Staging,
    observer: &mut dyn ConvertObserver,
) -> Result<Converted, ConvertError> {
    let mut files = Vec::new();
    for (name, text) in draft.texts {
        staging.write(&name, text.as_bytes())?;
        let size_bytes = text.len() as u64;
        observer.wrote(size_bytes);
        files.push(WrittenFile {
            name,
            size_bytes,
            n_tensors: None,
        });
    }
    for (path, name) in draft.copies {
        if observer.is_cancelled() {
            return Err(ConvertError::Stopped);
        }
        let size_bytes = staging.copy(&path, &name)?;
        observer.wrote(size_bytes);
        files.push(WrittenFile {
            name,
            size_bytes,
            n_tensors: None,
        });
    }
    for mut weights in draft.weights {
        files.push(weights.write(staging, observer)?);
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Converted {
        kind: draft.kind,
        files,
        notes: draft.notes,
    })
}
