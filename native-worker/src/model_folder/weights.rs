//! Loads tensors from the transformer's safetensors files: f32, f16 or bf16, in one file
//! or in shards with an index, memory-mapped, widened to f32.
//!
//! Problems are collected, so that a person sees every missing or misshapen tensor at
//! once and nothing is half-loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use super::{FolderError, parse_json, read_text};

const SINGLE: &str = "diffusion_pytorch_model.safetensors";
const INDEX: &str = "diffusion_pytorch_model.safetensors.index.json";
const HALF: &str = "diffusion_pytorch_model.fp16.safetensors";
const PICKLE: &str = "diffusion_pytorch_model.bin";

/// Why weights cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// A weight file cannot be opened or mapped.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A weight file is not a valid safetensors file (truncated, or its header lies).
    #[error("{path} is not a valid safetensors file: {reason}; fetch or convert it again")]
    NotSafetensors {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        reason: String,
    },
    /// Tensors are missing or have the wrong shape or type.
    #[error(
        "the weights in {folder} do not fit its config.json:\n{}\nfetch the folder again, or correct its config.json",
        list(problems)
    )]
    DoNotFit {
        /// The transformer's folder.
        folder: PathBuf,
        /// Each of them.
        problems: Vec<TensorProblem>,
    },
}

/// One tensor that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorProblem {
    /// Name in the file.
    pub tensor: String,
    /// Shape that the configuration asks for.
    pub expected: Vec<usize>,
    /// What was found instead; `None` if the tensor is missing.
    pub found: Option<String>,
}

impl fmt::Display for TensorProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tensor,
            expected,
            found,
        } = self;
        match found {
            None => write!(f, "{tensor}: missing, expected {expected:?}"),
            Some(found) => write!(f, "{tensor}: expected {expected:?}, found {found}"),
        }
    }
}

/// At most twelve lines: a wrong config makes every tensor wrong.
fn list(problems: &[TensorProblem]) -> String {
    let shown = problems.iter().take(12);
    let mut text = shown
        .map(|problem| format!("  {problem}"))
        .collect::<Vec<_>>()
        .join("\n");
    if problems.len() > 12 {
        text += &format!("\n  … and {} more", problems.len() - 12);
    }
    text
}

#[derive(Deserialize)]
struct ShardIndex {
    weight_map: BTreeMap<String, String>,
}

/// The weight files of a component folder, in the order of their names.
pub(crate) fn find_files(folder: &Path) -> Result<Vec<PathBuf>, FolderError> {
    if folder.join(SINGLE).is_file() {
        return Ok(vec![folder.join(SINGLE)]);
    }
    let index = folder.join(INDEX);
    if index.is_file() {
        let text = read_text(&index, "")?;
        let index: ShardIndex = parse_json(&folder.join(INDEX), &text)?;
        let names: BTreeSet<String> = index.weight_map.into_values().collect();
        if names.is_empty() {
            return Err(FolderError::Unsupported {
                path: folder.join(INDEX),
                key: "weight_map",
                found: "empty".into(),
                expected: "it names no shard; fetch the index again".into(),
            });
        }
        return names.iter().map(|name| shard(folder, name)).collect();
    }
    if folder.join(HALF).is_file() {
        return Ok(vec![folder.join(HALF)]);
    }
    let hint = if folder.join(PICKLE).is_file() {
        "only a pickle (diffusion_pytorch_model.bin) is here, which is never executed; make a folder of safetensors \
         files from it with dfa convert"
    } else {
        "the transformer's weights are needed (one file, or shards with an index)"
    };
    Err(FolderError::Missing {
        path: folder.join(SINGLE),
        hint,
    })
}

/// One shard named by an index: it must lie in the folder itself.
fn shard(folder: &Path, name: &str) -> Result<PathBuf, FolderError> {
    let is_plain = Path::new(name).file_name().is_some_and(|file| file == name);
    if !is_plain {
        return Err(FolderError::Unsupported {
            path: folder.join(INDEX),
            key: "weight_map",
            found: format!("{name:?}"),
            expected: "a shard must be a file in the same folder".into(),
        });
    }
    let path = folder.join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(FolderError::Missing {
        path,
        hint: "the index names this shard; fetch it too",
    })
}

/// Open weight files, and the problems met so far.
pub struct Weights {
    folder: PathBuf,
    files: Vec<(PathBuf, Mmap)>,
    /// Tensor name → index into `files`.
    file_of: BTreeMap<String, usize>,
    problems: Vec<TensorProblem>,
}

impl Weights {
    /// Maps the files and checks their headers.
    ///
    /// # Errors
    /// [`WeightsError::Unreadable`] or [`WeightsError::NotSafetensors`].
    pub fn open(folder: &Path, paths: &[PathBuf]) -> Result<Self, WeightsError> {
        let mut weights = Self {
            folder: folder.to_path_buf(),
            files: Vec::new(),
            file_of: BTreeMap::new(),
            problems: Vec::new(),
        };
        for path in paths {
            let map = map_file(path)?;
            let idx = weights.files.len();
            let names = parse(path, &map)?
                .names()
                .into_iter()
                .map(|name| (name.to_owned(), idx))
                .collect::<Vec<_>>();
            weights.file_of.extend(names);
            weights.files.push((path.clone(), map));
        }
        Ok(weights)
    }

    /// Names of all tensors in the files.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.file_of.keys().map(String::as_str)
    }

    /// The tensor `name`, which must have `shape`, as f32.
    ///
    /// A problem is remembered for [`finish`](Self::finish), and a stand-in is returned.
    ///
    /// # Errors
    /// Only if the file itself is broken.
    pub fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Tensor, WeightsError> {
        match self.load(name, shape)? {
            Some(tensor) => Ok(tensor),
            None => self.stand_in(shape),
        }
    }

    /// The same as a matrix, the dimensions after the first taken together.
    ///
    /// # Errors
    /// Only if the file itself is broken.
    pub fn matrix(&mut self, name: &str, shape: &[usize]) -> Result<Tensor, WeightsError> {
        let rows = shape.first().copied().unwrap_or(1);
        let columns = shape.iter().skip(1).product();
        match self.load(name, shape)? {
            Some(tensor) => tensor
                .reshape((rows, columns))
                .map_err(|error| self.broken(&error)),
            None => self.stand_in(&[rows, columns]),
        }
    }

    /// `None` after a problem, which is remembered.
    fn load(&mut self, name: &str, shape: &[usize]) -> Result<Option<Tensor>, WeightsError> {
        let found = match self.file_of.get(name) {
            None => None,
            Some(&idx) => {
                let (path, map) = &self.files[idx];
                match read_tensor(path, map, name, shape)? {
                    Ok(tensor) => return Ok(Some(tensor)),
                    Err(found) => Some(found),
                }
            }
        };
        self.problems.push(TensorProblem {
            tensor: name.to_owned(),
            expected: shape.to_vec(),
            found,
        });
        Ok(None)
    }

    /// One zero, seen from everywhere: an absurd configuration must not take the memory
    /// that it asks for before it is refused.
    fn stand_in(&self, shape: &[usize]) -> Result<Tensor, WeightsError> {
        let zero = Tensor::zeros((), DType::F32, &Device::Cpu);
        zero.and_then(|zero| zero.broadcast_as(shape))
            .map_err(|error| self.broken(&error))
    }

    /// Fails if any tensor was missing or misshapen.
    ///
    /// # Errors
    /// [`WeightsError::DoNotFit`] lists them all.
    pub fn finish(self) -> Result<(), WeightsError> {
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(WeightsError::DoNotFit {
            folder: self.folder,
            problems: self.problems,
        })
    }

    fn broken(&self, error: &candle_core::Error) -> WeightsError {
        WeightsError::NotSafetensors {
            path: self.folder.clone(),
            reason: error.to_string(),
        }
    }
}

fn map_file(path: &Path) -> Result<Mmap, WeightsError> {
    let unreadable = |source| WeightsError::Unreadable {
        path: path.to_path_buf(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let size = fs::metadata(path).map_err(unreadable)?.len();
    if size < 8 {
        return Err(WeightsError::NotSafetensors {
            path: path.to_path_buf(),
            reason: format!("it has {size} bytes"),
        });
    }
    // SAFETY: the map is only read. If another process truncates the file meanwhile, the
    // system ends this process; a model folder in use is not to be changed.
    unsafe { Mmap::map(&file) }.map_err(unreadable)
}

fn parse<'a>(path: &Path, map: &'a Mmap) -> Result<SafeTensors<'a>, WeightsError> {
    SafeTensors::deserialize(map).map_err(|error| WeightsError::NotSafetensors {
        path: path.to_path_buf(),
        reason: error.to_string(),
    })
}

/// The inner error is what was found instead.
fn read_tensor(
    path: &Path,
    map: &Mmap,
    name: &str,
    shape: &[usize],
) -> Result<Result<Tensor, String>, WeightsError> {
    let broken = |reason: String| WeightsError::NotSafetensors {
        path: path.to_path_buf(),
        reason,
    };
    let view = parse(path, map)?
        .tensor(name)
        .map_err(|error| broken(error.to_string()))?;
    if view.shape() != shape {
        return Ok(Err(format!("{:?}", view.shape())));
    }
    let dtype = match view.dtype() {
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        other => return Ok(Err(format!("type {other:?} (f32, f16 and bf16 are read)"))),
    };
    let tensor = Tensor::from_raw_buffer(view.data(), dtype, shape, &Device::Cpu);
    let tensor = tensor.and_then(|tensor| tensor.to_dtype(DType::F32));
    tensor.map(Ok).map_err(|error| broken(error.to_string()))
}
