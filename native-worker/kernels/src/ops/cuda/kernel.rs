//! Loading and launching the kernels of `elementwise.cu`, which all go row by row.

use std::sync::Arc;

use candle_core::cuda_backend::CudaDType;
use candle_core::cuda_backend::cudarc::driver::{
    CudaFunction, CudaSlice, CudaStream, CudaView, DeviceRepr, LaunchArgs, LaunchConfig,
};
use candle_core::{CudaDevice, CudaStorage, Device, Layout, Result, bail};

use crate::ops::memory::taking;

const PTX: &str = include_str!(concat!(env!("OUT_DIR"), "/elementwise.ptx"));
/// Most threads of a block.
const MAX_THREADS: u32 = 512;
/// Threads that run in step; a block's number of them is a multiple.
const WARP: u32 = 32;

/// A number that the kernels compute with.
pub(super) trait Number: CudaDType + DeviceRepr {
    /// Part of a kernel's name.
    const NAME: &'static str;
}

impl Number for f32 {
    const NAME: &'static str = "f32";
}

impl Number for half::f16 {
    const NAME: &'static str = "f16";
}

impl Number for half::bf16 {
    const NAME: &'static str = "bf16";
}

/// Runs a body for the number that a `DType` names.
macro_rules! by_number {
    ($dtype:expr, $number:ident => $body:block) => {
        match $dtype {
            candle_core::DType::F32 => {
                type $number = f32;
                $body
            }
            candle_core::DType::F16 => {
                type $number = half::f16;
                $body
            }
            candle_core::DType::BF16 => {
                type $number = half::bf16;
                $body
            }
            other => bail!("the CUDA kernels compute with f32, f16 and bf16, got {other:?}"),
        }
    };
}
pub(super) use by_number;

/// A contiguous tensor's elements.
pub(super) fn view<'a, T: Number>(
    name: &str,
    storage: &'a CudaStorage,
    layout: &Layout,
) -> Result<CudaView<'a, T>> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(storage.as_cuda_slice::<T>()?.slice(start..end)),
        None => bail!("{name}: the CUDA kernels need a contiguous tensor"),
    }
}

/// Rows that a kernel goes over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    n: u32,
    /// Values of a row.
    pub(super) width: u32,
}

impl Rows {
    /// The rows of a tensor (…, width).
    pub(super) fn of(layout: &Layout) -> Result<Self> {
        let width = layout.dims().last().copied().unwrap_or(1);
        Self::new(layout.shape().elem_count(), width)
    }

    pub(super) fn new(n_elements: usize, width: usize) -> Result<Self> {
        let n = n_elements.checked_div(width).unwrap_or(0);
        match (u32::try_from(n), u32::try_from(width)) {
            (Ok(n), Ok(width)) if n > 0 && n <= i32::MAX as u32 => Ok(Self { n, width }),
            _ => bail!("{n} rows of {width} values are none or too many for a GPU"),
        }
    }

    pub(super) fn n_elements(self) -> usize {
        self.n as usize * self.width as usize
    }

    /// Whether rows of all of these begin at a multiple of four values.
    pub(super) fn packs(self, layouts: &[&Layout]) -> bool {
        let offsets = layouts.iter().map(|layout| layout.start_offset());
        self.width.is_multiple_of(4) && offsets.into_iter().all(|offset| offset.is_multiple_of(4))
    }

    /// One block a row.
    pub(super) fn grid(self, pack: u32, shared_mem_bytes: u32) -> LaunchConfig {
        let threads = self.width.div_ceil(pack).clamp(1, MAX_THREADS);
        LaunchConfig {
            grid_dim: (self.n, 1, 1),
            block_dim: (threads.next_multiple_of(WARP), 1, 1),
            shared_mem_bytes,
        }
    }
}

/// A kernel, ready to be called.
pub(super) struct RowKernel {
    function: CudaFunction,
    stream: Arc<CudaStream>,
    device: CudaDevice,
    /// Values that a thread handles at once.
    pub(super) pack: u32,
}

impl RowKernel {
    pub(super) fn load<T: Number>(device: &CudaDevice, name: &str, packs: bool) -> Result<Self> {
        let pack = if packs { 4 } else { 1 };
        let name = format!("{name}_{}_{pack}", T::NAME);
        let function = device.get_or_load_custom_func(&name, "dfa_elementwise", PTX)?;
        Ok(Self {
            function: function.into_cuda_function(),
            stream: device.cuda_stream(),
            device: device.clone(),
            pack,
        })
    }

    pub(super) fn call(&self) -> LaunchArgs<'_> {
        self.stream.launch_builder(&self.function)
    }

    /// Memory that the kernel writes whole.
    pub(super) fn output<T: Number>(&self, n_elements: usize) -> Result<CudaSlice<T>> {
        let device = Device::Cuda(self.device.clone());
        taking(n_elements * size_of::<T>(), &device, || {
            // SAFETY: every kernel writes all of its output before anything reads it; they
            // run in the order in which they are launched.
            unsafe { self.device.alloc::<T>(n_elements) }
        })
    }

    pub(super) fn wrap<T: Number>(&self, values: CudaSlice<T>) -> CudaStorage {
        CudaStorage::wrap_cuda_slice(values, self.device.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_whole_warps_and_a_row() {
        let check = |n_elements, width, pack, threads| {
            let grid = Rows::new(n_elements, width).unwrap().grid(pack, 0);
            assert_eq!(grid.block_dim, (threads, 1, 1), "{width} by {pack}");
        };
        check(1152, 1152, 4, 288);
        check(72, 72, 4, 32);
        check(4608, 4608, 4, 512);
        check(7, 7, 1, 32);
        assert!(Rows::new(0, 8).is_err());
    }
}
