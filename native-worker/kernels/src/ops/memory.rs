//! What is said when a device has not enough memory: how much was asked for and how much
//! there is. An error like any other; the run ends, the program goes on.

use std::fmt;

use candle_core::{Device, Error, Result, Tensor};

/// Why an allocation on a device failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory {
    /// Bytes that were asked for, about.
    pub asked_bytes: usize,
    /// Bytes that were free and bytes that there are, if the device still says.
    pub free_and_total_bytes: Option<(usize, usize)>,
}

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the GPU has not enough memory: about {} asked for",
            Bytes(self.asked_bytes)
        )?;
        if let Some((free, total)) = self.free_and_total_bytes {
            write!(f, ", {} free of {}", Bytes(free), Bytes(total))?;
        }
        f.write_str(
            "; make fewer images at once (--batch-size) or smaller ones, or use --device cpu",
        )
    }
}

struct Bytes(usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            few if few < 1 << 20 => write!(f, "{few} bytes"),
            bytes => write!(f, "{} MiB", bytes.div_ceil(1 << 20)),
        }
    }
}

/// Runs what takes about `asked_bytes` on `device`; says so if there were not enough.
///
/// # Errors
/// Those of `body`.
pub fn taking<T>(
    asked_bytes: usize,
    device: &Device,
    body: impl FnOnce() -> Result<T>,
) -> Result<T> {
    body().map_err(|error| match is_out_of_memory(&error) {
        true => Error::Msg(
            OutOfMemory {
                asked_bytes,
                free_and_total_bytes: free_and_total_bytes(device),
            }
            .to_string(),
        ),
        false => error,
    })
}

/// As [`taking`], of operations whose results are about as large as `tensor`.
///
/// # Errors
/// Those of `body`.
pub fn taking_like<T>(tensor: &Tensor, body: impl FnOnce() -> Result<T>) -> Result<T> {
    let asked_bytes = tensor.elem_count() * tensor.dtype().size_in_bytes();
    taking(asked_bytes, tensor.device(), body)
}

/// The driver's and cuBLAS's words for it; candle keeps no kind of them.
fn is_out_of_memory(error: &Error) -> bool {
    let text = error.to_string();
    ["CUDA_ERROR_OUT_OF_MEMORY", "CUBLAS_STATUS_ALLOC_FAILED"]
        .iter()
        .any(|name| text.contains(name))
}

/// Of a CUDA device, which gives back what no tensor holds before it counts.
#[cfg(feature = "cuda")]
pub fn free_and_total_bytes(device: &Device) -> Option<(usize, usize)> {
    let device = device.as_cuda_device().ok()?;
    super::cuda::give_back(device).ok()?;
    device.cuda_stream().context().mem_get_info().ok()
}

/// Of a CUDA device.
#[cfg(not(feature = "cuda"))]
pub fn free_and_total_bytes(_device: &Device) -> Option<(usize, usize)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sizes_are_named() {
        let check = |asked_bytes, free_and_total_bytes, expected: &str| {
            let error = OutOfMemory {
                asked_bytes,
                free_and_total_bytes,
            };
            let text = error.to_string();
            assert!(text.contains(expected), "{text}");
        };
        check(1000, None, ": about 1000 bytes asked for; make fewer");
        check(
            3 << 20,
            Some((1 << 20, 8 << 20)),
            "3 MiB asked for, 1 MiB free of 8 MiB;",
        );
    }

    #[test]
    fn only_a_lack_of_memory_is_explained() {
        let check = |text: &str, expected: bool| {
            let failed: Result<()> = taking(5 << 20, &Device::Cpu, || Err(Error::Msg(text.into())));
            let found = failed.unwrap_err().to_string().contains("5 MiB asked for");
            assert_eq!(found, expected, "{text}");
        };
        check(
            "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")",
            true,
        );
        check("CublasError(CUBLAS_STATUS_ALLOC_FAILED)", true);
        check("DriverError(CUDA_ERROR_ILLEGAL_ADDRESS, \"…\")", false);
    }
}
