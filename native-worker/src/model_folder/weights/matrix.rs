//! A weight matrix: rows of a memory-mapped file in their stored type, or a tensor of its
//! own, on the CPU in f32, on another device in the run's type. Copies share what they show; the map lives as long as any of them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use candle_core::{Device, Result, Tensor, bail};
use memmap2::Mmap;

use super::header::StoredType;
use crate::device::Placement;
use crate::kernels::ops;
use crate::kernels::ops::memory::taking;
use crate::kernels::widen::Stored;

/// A matrix (rows, columns), row-major.
#[derive(Clone, Debug)]
pub struct WeightMatrix {
    n_rows: usize,
    n_columns: usize,
    source: Source,
}

#[derive(Clone)]
enum Source {
    Mapped(MappedValues),
    /// (rows, columns).
    Owned(Tensor),
}

#[derive(Clone)]
struct MappedValues {
    map: Arc<Mmap>,
    bytes: Range<usize>,
    stored_type: StoredType,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mapped(values) => write!(f, "mapped {:?}", values.stored_type),
            Self::Owned(tensor) => write!(f, "owned {:?}", tensor.dtype()),
        }
    }
}

impl MappedValues {
    /// `None` if the data does not lie at a multiple of its element's size.
    fn view(&self) -> Option<Stored<'_>> {
        let bytes = self.map.get(self.bytes.clone())?;
        match self.stored_type {
            StoredType::F32 => bytemuck::try_cast_slice(bytes).ok().map(Stored::F32),
            StoredType::F16 => bytemuck::try_cast_slice(bytes).ok().map(Stored::F16),
            StoredType::Bf16 => bytemuck::try_cast_slice(bytes).ok().map(Stored::Bf16),
        }
    }
}

impl WeightMatrix {
    /// Rows of a map. `None` if the data is not aligned for its type (the format does not
    /// promise it) or has another size.
    pub(super) fn mapped(
        map: &Arc<Mmap>,
        bytes: Range<usize>,
        stored_type: StoredType,
        (n_rows, n_columns): (usize, usize),
    ) -> Option<Self> {
        let values = MappedValues {
            map: Arc::clone(map),
            bytes,
            stored_type,
        };
        let fits = values.view()?.len() == n_rows * n_columns;
        fits.then_some(Self {
            n_rows,
            n_columns,
            source: Source::Mapped(values),
        })
    }

    /// A matrix that was made here, by joining or splitting others: (rows, columns); further dimensions count as columns.
    pub fn owned(tensor: Tensor) -> Self {
        let dims = tensor.dims();
        Self {
            n_rows: dims.first().copied().unwrap_or(1),
            n_columns: dims.iter().skip(1).product(),
            source: Source::Owned(tensor),
        }
    }

    /// The matrix where a run wants it: on the CPU as it is, on another device in memory of
    /// its own.
    ///
    /// # Errors
    /// If the device has not enough memory.
    pub fn placed(self, placement: &Placement) -> Result<Self> {
        if placement.is_cpu() {
            return Ok(self);
        }
        let dims = (self.n_rows, self.n_columns);
        let size_bytes = dims.0 * dims.1 * placement.number().dtype().size_in_bytes();
        let tensor = taking(size_bytes, placement.device(), || match &self.source {
            Source::Owned(tensor) => placement.place(tensor),
            Source::Mapped(values) => {
                // Sent as it is stored: widening is quicker over there.
                let bytes = &values.map[values.bytes.clone()];
                let dtype = values.stored_type.dtype();
                let sent =
                    Tensor::from_raw_buffer(bytes, dtype, &[dims.0, dims.1], placement.device());
                placement.place(&sent?)
            }
        });
        tensor.map(Self::owned)
    }

    /// Rows: outputs of a linear layer, entries of a table.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Columns: inputs of a linear layer, width of a table.
    pub fn n_columns(&self) -> usize {
        self.n_columns
    }

    /// Whether the values are those of a mapped file.
    pub fn is_mapped(&self) -> bool {
        matches!(self.source, Source::Mapped(_))
    }

    /// Some of the rows, without a copy.
    ///
    /// # Errors
    /// If the matrix has no such rows.
    pub fn rows(&self, rows: Range<usize>) -> Result<Self> {
        if rows.start > rows.end || rows.end > self.n_rows {
            bail!("rows {rows:?} of a matrix with {} rows", self.n_rows);
        }
        let n_rows = rows.len();
        let source = match &self.source {
            Source::Owned(tensor) => Source::Owned(tensor.narrow(0, rows.start, n_rows)?),
            Source::Mapped(values) => {
                let row_bytes = self.n_columns * values.stored_type.size();
                let start = values.bytes.start + rows.start * row_bytes;
                Source::Mapped(MappedValues {
                    bytes: start..start + n_rows * row_bytes,
                    ..values.clone()
                })
            }
        };
        Ok(Self {
            n_rows,
            n_columns: self.n_columns,
            source,
        })
    }

    /// The rows of these indices, widened: (indices, columns). What an embedding does.
    ///
    /// # Errors
    /// If an index is outside the table.
    pub fn gather(&self, indices: &[u32]) -> Result<Tensor> {
        if let Some(index) = indices.iter().find(|&&index| index as usize >= self.n_rows) {
            bail!("entry {index} of a table with {} entries", self.n_rows);
        }
        let values = match &self.source {
            Source::Owned(tensor) => {
                return tensor.index_select(&Tensor::new(indices, tensor.device())?, 0);
            }
            Source::Mapped(values) => self.view(values)?,
        };
        let n = self.n_columns;
        let mut out = vec![0f32; indices.len() * n];
        for (row, &index) in out.chunks_exact_mut(n.max(1)).zip(indices) {
            let start = index as usize * n;
            values.slice(start..start + n).widen_into(row);
        }
        Tensor::from_vec(out, (indices.len(), n), &Device::Cpu)
    }

    /// All values: (rows, columns), where they are; those of a file widened, which takes
    /// memory of its own.
    ///
    /// # Errors
    /// Never for a matrix that was loaded.
    pub fn to_tensor(&self) -> Result<Tensor> {
        match &self.source {
            Source::Owned(tensor) => Ok(tensor.clone()),
            Source::Mapped(values) => {
                let mut out = vec![0f32; self.n_rows * self.n_columns];
                self.view(values)?.widen_into(&mut out);
                Tensor::from_vec(out, (self.n_rows, self.n_columns), &Device::Cpu)
            }
        }
    }

    /// `x Wᵀ + b`: (…, columns) → (…, rows).
    ///
    /// The numbers do not depend on the stored type: they are those of the widened matrix,
    /// bit for bit.
    ///
    /// # Errors
    /// If the last dimension of `x` is not the number of columns.
    pub fn apply(&self, x: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        match &self.source {
            Source::Owned(tensor) => ops::linear_layer(x, tensor, bias),
            Source::Mapped(values) => {
                let dims = (self.n_rows, self.n_columns);
                ops::linear_stored(x, self.view(values)?, dims, bias)
            }
        }
    }

    fn view<'a>(&self, values: &'a MappedValues) -> Result<Stored<'a>> {
        match values.view() {
            Some(view) => Ok(view),
            None => bail!("a mapped matrix is not aligned"),
        }
    }

    /// Calls `f` with the values as they are stored.
    ///
    /// # Errors
    /// If the matrix is owned and not contiguous.
    pub fn with_values<T>(&self, f: impl FnOnce(Stored<'_>) -> T) -> Result<T> {
        match &self.source {
            Source::Mapped(values) => Ok(f(self.view(values)?)),
            Source::Owned(tensor) => {
                let values = tensor.flatten_all()?.to_vec1::<f32>()?;
                Ok(f(Stored::F32(&values)))
            }
        }
    }
}
