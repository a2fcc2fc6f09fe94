//! The memory that a CUDA device keeps between its uses.
//!
//! cudarc allocates every tensor from the device's default pool, which by the driver's
//! default gives what is unused back whenever somebody waits for the device: each pass then
//! begins with mapping its memory again. Here it is kept, as PyTorch keeps its own, and given
//! back when somebody asks how much is free.

use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::{DriverError, result, sys};
use candle_core::{CudaDevice, Device, Result};

/// Makes a device keep what it once took.
///
/// # Errors
/// If the driver refuses.
pub fn keep_memory(device: &Device) -> Result<()> {
    let device = device.as_cuda_device()?;
    // SAFETY: tensors are used on the stream of the thread that computes; a model that was
    // loaded by another thread is waited for by whoever loads it.
    unsafe { device.disable_event_tracking() };
    let pool = pool_of(device).w()?;
    let mut all = u64::MAX;
    let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    // SAFETY: the pool is the device's own; this attribute is a u64.
    unsafe { result::mem_pool::set_attribute(pool, attribute, (&raw mut all).cast()) }.w()
}

/// Gives back what no tensor holds.
pub(in crate::ops) fn give_back(device: &CudaDevice) -> Result<()> {
    device.cuda_stream().synchronize().w()?;
    let pool = pool_of(device).w()?;
    // SAFETY: the pool is the device's own.
    unsafe { result::mem_pool::trim_to(pool, 0) }.w()
}

fn pool_of(device: &CudaDevice) -> std::result::Result<sys::CUmemoryPool, DriverError> {
    let number = device.cuda_stream().context().cu_device();
    // SAFETY: it is the number of an open device.
    unsafe { result::device::get_default_mem_pool(number) }
}
