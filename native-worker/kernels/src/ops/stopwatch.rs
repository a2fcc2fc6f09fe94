//! The time that operations take where they run. A GPU works off what it was given while
//! the program goes on; there, marks are set among the operations and read at the end.

use std::time::Instant;

use candle_core::{Device, Result};

/// A span of time, of which the end is known or will be.
pub enum Span {
    /// Seconds on the CPU.
    Secs(f64),
    /// Between two marks on a GPU.
    #[cfg(feature = "cuda")]
    Marks(super::cuda::Mark, super::cuda::Mark),
}

impl Span {
    /// Seconds; waits until the operations before the end have been done.
    ///
    /// # Errors
    /// If one of them failed.
    pub fn secs(&self) -> Result<f64> {
        match self {
            Self::Secs(secs) => Ok(*secs),
            #[cfg(feature = "cuda")]
            Self::Marks(start, end) => start.secs_until(end),
        }
    }
}

/// A running stopwatch.
pub enum Stopwatch {
    /// Of the CPU.
    Cpu(Instant),
    /// Of a GPU.
    #[cfg(feature = "cuda")]
    Gpu(candle_core::CudaDevice, super::cuda::Mark),
}

impl Stopwatch {
    /// Starts, for operations on `device`.
    ///
    /// # Errors
    /// If the device fails.
    pub fn start(device: &Device) -> Result<Self> {
        match device {
            #[cfg(feature = "cuda")]
            Device::Cuda(device) => Ok(Self::Gpu(device.clone(), super::cuda::Mark::set(device)?)),
            _ => Ok(Self::Cpu(Instant::now())),
        }
    }

    /// The time since the start.
    ///
    /// # Errors
    /// If the device fails.
    pub fn stop(self) -> Result<Span> {
        match self {
            Self::Cpu(start) => Ok(Span::Secs(start.elapsed().as_secs_f64())),
            #[cfg(feature = "cuda")]
            Self::Gpu(device, start) => Ok(Span::Marks(start, super::cuda::Mark::set(&device)?)),
        }
    }
}
