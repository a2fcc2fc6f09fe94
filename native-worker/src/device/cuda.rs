//! Opening and describing CUDA devices; only with the feature `cuda`.

use candle_core::Device;
use candle_core::cuda_backend::cudarc::driver::{CudaContext, DriverError};

use super::DeviceError;
use crate::kernels::ops::cuda::{ARCH, keep_memory, libraries};

/// Opens a device, if the kernels are for it.
pub(super) fn open(number: usize) -> Result<Device, DeviceError> {
    let unusable = |reason: String| DeviceError::Unusable { number, reason };
    libraries::load().map_err(unusable)?;
    let context = CudaContext::new(number).map_err(|error| unusable(error.to_string()))?;
    let (major, minor) = capability(&context).map_err(|error| unusable(error.to_string()))?;
    let found = format!("{major}{minor}");
    if !is_for(ARCH, &found) {
        return Err(DeviceError::OtherArch {
            number,
            found,
            built: ARCH,
        });
    }
    let device = Device::new_cuda(number).map_err(|error| unusable(error.to_string()))?;
    keep_memory(&device).map_err(|error| unusable(error.to_string()))?;
    // Its handles live as long as the program: to give them back after the device has failed
    // is a panic in cudarc, instead of the error that is on its way.
    std::mem::forget(device.clone());
    Ok(device)
}

/// The devices in words, each with what is wrong with it, if anything is.
pub(super) fn probe() -> Result<Vec<String>, DeviceError> {
    let unusable = |reason: String| DeviceError::Unusable { number: 0, reason };
    libraries::load().map_err(unusable)?;
    let n_devices = CudaContext::device_count().map_err(|error| unusable(error.to_string()))?;
    let devices = 0..usize::try_from(n_devices).unwrap_or(0);
    let described = devices.map(|number| match open(number) {
        Ok(device) => {
            let memory = crate::kernels::ops::memory::free_and_total_bytes(&device);
            let (free, total) = memory.unwrap_or_default();
            let gib = |bytes: usize| bytes as f64 / f64::from(1u32 << 30);
            let name = gpu_name(&device);
            format!(
                "cuda:{number} is {name}, {:.1} of {:.1} GiB free",
                gib(free),
                gib(total)
            )
        }
        Err(error) => error.to_string(),
    });
    Ok(described.collect())
}

/// The card's name.
pub(super) fn gpu_name(device: &Device) -> String {
    let stream = device.as_cuda_device().map(|device| device.cuda_stream());
    let name = stream.map(|stream| stream.context().name());
    name.ok()
        .and_then(Result::ok)
        .unwrap_or_else(|| "GPU".into())
}

fn capability(context: &CudaContext) -> Result<(i32, i32), DriverError> {
    context.compute_capability()
}

/// Compiled kernels run on cards of the same generation, from the number on that they were
/// compiled for; from 90 on they are compiled for that very one.
fn is_for(built: &str, found: &str) -> bool {
    match (built.parse::<u32>(), found.parse::<u32>()) {
        (Ok(built), Ok(found)) if built >= 90 => built == found,
        (Ok(built), Ok(found)) => built / 10 == found / 10 && built <= found,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_for_their_generation() {
        let check = |built, found, expected| {
            assert_eq!(is_for(built, found), expected, "{built} on {found}");
        };
        check("80", "80", true);
        check("80", "86", true);
        check("86", "80", false);
        check("80", "90", false);
        check("90", "90", true);
        check("90", "100", false);
    }
}
