//! Tensors of a component's safetensors files: f32, f16 or bf16, in one file or in shards
//! with an index. The files are mapped into memory; matrices are used where they lie, in
//! their stored type, small tensors are copied and widened to f32.
//!
//! Problems are collected, so that a person sees every missing or misshapen tensor at
//! once and nothing is half-loaded. Every header is checked as a whole before any tensor
//! is used.
//!
//! - [`files`]: which files hold a component's weights.
//! - [`header`]: what lies where in a file.
//! - [`matrix`]: a weight matrix in its stored type.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use memmap2::Mmap;

use crate::device::Placement;
use crate::kernels::widen::{bf16_to_f32, f16_to_f32};

mod files;
mod header;
mod matrix;

pub use files::{WeightStem, find_files};
pub use header::StoredType;
use header::TensorEntry;
pub use matrix::WeightMatrix;

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
    /// A tensor cannot be brought to the device.
    #[error("cannot put {tensor} onto the device: {reason}")]
    NotPlaced {
        /// Its name in the file.
        tensor: String,
        /// What the device says.
        reason: String,
    },
    /// Two shards hold a tensor of the same name.
    #[error(
        "{tensor:?} is in {first} and again in {second}, expected once; remove the file that the index does not mean, or fetch the folder again"
    )]
    Twice {
        /// Its name.
        tensor: String,
        /// Where it was found first.
        first: PathBuf,
        /// Where it was found again.
        second: PathBuf,
    },
    /// Tensors are missing or have the wrong shape or type.
    #[error(
        "the weights in {folder} do not fit its config.json:\n{}\nfetch the folder again, or correct its config.json",
        list(problems)
    )]
    DoNotFit {
        /// The component's folder.
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

/// Open weight files, and the problems met so far.
pub struct Weights {
    folder: PathBuf,
    files: Vec<(PathBuf, Arc<Mmap>)>,
    tensors: BTreeMap<String, FiledTensor>,
    problems: Vec<TensorProblem>,
    placement: Placement,
}

/// A tensor, and which of the files it is in.
struct FiledTensor {
    file: usize,
    entry: TensorEntry,
}

impl Weights {
    /// Maps the files and checks their headers.
    ///
    /// # Errors
    /// [`WeightsError::Unreadable`], [`WeightsError::NotSafetensors`], or
    /// [`WeightsError::Twice`] if two shards hold a tensor of one name.
    pub fn open(folder: &Path, paths: &[PathBuf]) -> Result<Self, WeightsError> {
        let mut weights = Self {
            folder: folder.to_path_buf(),
            files: Vec::new(),
            tensors: BTreeMap::new(),
            problems: Vec::new(),
            placement: Placement::cpu(),
        };
        for path in paths {
            weights.add_file(path)?;
        }
        Ok(weights)
    }

    /// The same, for weights that go elsewhere: tensors and matrices are brought there as
    /// they are asked for, in the placement's number type.
    #[must_use]
    pub fn on(mut self, placement: &Placement) -> Self {
        self.placement = placement.clone();
        self
    }

    fn add_file(&mut self, path: &Path) -> Result<(), WeightsError> {
        let map = map_file(path)?;
        let entries = header::read(&map).map_err(|reason| WeightsError::NotSafetensors {
            path: path.to_path_buf(),
            reason,
        })?;
        let file = self.files.len();
        self.files.push((path.to_path_buf(), Arc::new(map)));
        for (name, entry) in entries {
            if let Some(other) = self.tensors.get(&name) {
                return Err(WeightsError::Twice {
                    tensor: name,
                    first: self.files[other.file].0.clone(),
                    second: path.to_path_buf(),
                });
            }
            self.tensors.insert(name, FiledTensor { file, entry });
        }
        Ok(())
    }

    /// Names of all tensors in the files.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The shape of a tensor, if the files hold it: some names and shapes have changed
    /// over the years, and a loader asks which ones a folder has.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors
            .get(name)
            .map(|tensor| tensor.entry.shape.as_slice())
    }

    /// The tensor `name`, which must have `shape`, in memory of its own: on the CPU as f32,
    /// elsewhere as the placement says. Meant for small ones: biases, norms, tables that are
    /// added.
    ///
    /// A problem is remembered for [`finish`](Self::finish), and a stand-in is returned.
    ///
    /// # Errors
    /// If the file itself is broken, or the device has not enough memory.
    pub fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Tensor, WeightsError> {
        let tensor = match self.find(name, shape)? {
            Some(matrix) => matrix.to_tensor().and_then(|tensor| tensor.reshape(shape)),
            None => return self.placed_stand_in(name, shape),
        };
        let tensor = tensor.map_err(|error| self.broken(&error))?;
        let placed = self.placement.place(&tensor);
        placed.map_err(|error| not_placed(name, &error))
    }

    fn placed_stand_in(&self, name: &str, shape: &[usize]) -> Result<Tensor, WeightsError> {
        let placed = stand_in(&[]).and_then(|zero| self.placement.place(&zero));
        let seen = placed.and_then(|zero| zero.broadcast_as(shape));
        seen.map_err(|error| not_placed(name, &error))
    }

    /// A vector of `n` values as f32, on the CPU wherever the others go. After a problem,
    /// which is remembered, it is empty.
    ///
    /// # Errors
    /// Only if the file itself is broken.
    pub fn vector(&mut self, name: &str, n: usize) -> Result<Vec<f32>, WeightsError> {
        let Some(matrix) = self.find(name, &[n])? else {
            return Ok(Vec::new());
        };
        let values = matrix
            .to_tensor()
            .and_then(|tensor| tensor.flatten_all()?.to_vec1());
        values.map_err(|error| self.broken(&error))
    }

    /// The same as a matrix, the dimensions after the first taken together.
    ///
    /// # Errors
    /// Only if the file itself is broken.
    pub fn matrix(&mut self, name: &str, shape: &[usize]) -> Result<Tensor, WeightsError> {
        let matrix = self.mapped(name, shape)?;
        matrix.to_tensor().map_err(|error| self.broken(&error))
    }

    /// The tensor `name`, which must have `shape`, as a matrix: on the CPU in its stored type,
    /// used where it lies in the file, elsewhere brought to the device. The dimensions after
    /// the first are taken together.
    ///
    /// A problem is remembered for [`finish`](Self::finish), and a stand-in is returned.
    ///
    /// # Errors
    /// If the file itself is broken, or the device has not enough memory.
    pub fn mapped(&mut self, name: &str, shape: &[usize]) -> Result<WeightMatrix, WeightsError> {
        if let Some(matrix) = self.find(name, shape)? {
            let placed = matrix.placed(&self.placement);
            return placed.map_err(|error| not_placed(name, &error));
        }
        let (rows, columns) = matrix_dims(shape);
        let zero = stand_in(&[rows, columns]).map_err(|error| self.broken(&error))?;
        Ok(WeightMatrix::owned(zero))
    }

    /// `None` after a problem, which is remembered.
    fn find(&mut self, name: &str, shape: &[usize]) -> Result<Option<WeightMatrix>, WeightsError> {
        let found = match self.tensors.get(name) {
            None => None,
            Some(tensor) => match fitting(&tensor.entry, shape) {
                Ok(stored_type) => return self.place(tensor, stored_type).map(Some),
                Err(found) => Some(found),
            },
        };
        self.problems.push(TensorProblem {
            tensor: name.to_owned(),
            expected: shape.to_vec(),
            found,
        });
        Ok(None)
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

    fn place(
        &self,
        tensor: &FiledTensor,
        stored_type: StoredType,
    ) -> Result<WeightMatrix, WeightsError> {
        let map = &self.files[tensor.file].1;
        let TensorEntry { shape, bytes, .. } = &tensor.entry;
        let dims = matrix_dims(shape);
        if let Some(matrix) = WeightMatrix::mapped(map, bytes.clone(), stored_type, dims) {
            return Ok(matrix);
        }
        // The format does not promise that data lies at a multiple of its element's size.
        let values = copy_unaligned(&map[bytes.clone()], stored_type);
        let copy = Tensor::from_vec(values, dims, &Device::Cpu);
        copy.map(WeightMatrix::owned)
            .map_err(|error| self.broken(&error))
    }

    /// A tensor operation on what the files hold failed.
    pub(crate) fn broken(&self, error: &candle_core::Error) -> WeightsError {
        WeightsError::NotSafetensors {
            path: self.folder.clone(),
            reason: error.to_string(),
        }
    }
}

fn not_placed(name: &str, error: &candle_core::Error) -> WeightsError {
    WeightsError::NotPlaced {
        tensor: name.to_owned(),
        reason: error.to_string(),
    }
}

/// The error is what was found instead.
fn fitting(entry: &TensorEntry, shape: &[usize]) -> Result<StoredType, String> {
    if entry.shape != shape {
        return Err(format!("{:?}", entry.shape));
    }
    entry
        .stored_type()
        .ok_or_else(|| format!("type {} (f32, f16 and bf16 are read)", entry.dtype))
}

/// One zero, seen from everywhere: an absurd configuration must not take the memory that
/// it asks for before it is refused.
fn stand_in(shape: &[usize]) -> candle_core::Result<Tensor> {
    Tensor::zeros((), DType::F32, &Device::Cpu)?.broadcast_as(shape)
}

/// Rows, and everything else as columns. An absurd shape saturates: it is only compared.
fn matrix_dims(shape: &[usize]) -> (usize, usize) {
    let rows = shape.first().copied().unwrap_or(1);
    let columns = shape.iter().skip(1);
    (
        rows,
        columns.fold(1, |product: usize, &side| product.saturating_mul(side)),
    )
}

fn copy_unaligned(bytes: &[u8], stored_type: StoredType) -> Vec<f32> {
    let halves = || {
        bytes
            .chunks_exact(2)
            .map(|two| u16::from_le_bytes([two[0], two[1]]))
    };
    match stored_type {
        StoredType::F32 => {
            let words = bytes.chunks_exact(4);
            words
                .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
                .collect()
        }
        StoredType::F16 => halves().map(f16_to_f32).collect(),
        StoredType::Bf16 => halves().map(bf16_to_f32).collect(),
    }
}

fn map_file(path: &Path) -> Result<Mmap, WeightsError> {
    let unreadable = |source| WeightsError::Unreadable {
        path: path.to_path_buf(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    if size == 0 {
        // An empty file cannot be mapped on every system.
        return Err(WeightsError::NotSafetensors {
            path: path.to_path_buf(),
            reason: "it is empty".into(),
        });
    }
    // SAFETY: the map is only read. If another process truncates the file meanwhile, the
    // system ends this process; a model folder in use is not to be changed.
    unsafe { Mmap::map(&file) }.map_err(unreadable)
}
