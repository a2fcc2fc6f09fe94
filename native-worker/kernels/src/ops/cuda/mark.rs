//! A mark among the operations that a GPU was given, and the time between two of them.

use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::{CudaEvent, sys::CUevent_flags};
use candle_core::{CudaDevice, Result};

/// A place in the order of operations.
pub struct Mark(CudaEvent);

impl Mark {
    /// After everything that was asked for so far.
    pub(in crate::ops) fn set(device: &CudaDevice) -> Result<Self> {
        let flags = Some(CUevent_flags::CU_EVENT_DEFAULT);
        device.cuda_stream().record_event(flags).w().map(Self)
    }

    /// Waits for `end`; seconds between the two.
    pub(in crate::ops) fn secs_until(&self, end: &Self) -> Result<f64> {
        let millis = self.0.elapsed_ms(&end.0).w()?;
        Ok(f64::from(millis) / 1000.0)
    }
}
