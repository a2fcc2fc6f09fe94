//! CUDA's libraries, loaded when a GPU is asked for. The program does not name them
//! (`xtask/src/cuda/needed.rs` sees to that), so it starts on machines that have none, and
//! what is missing is an error like any other.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::OnceLock;

use candle_core::cuda_backend::cudarc::driver::sys;

/// In the order in which they need each other.
const NAMES: [&str; 4] = [
    "libcuda.so.1",
    "libcublasLt.so.13",
    "libcublas.so.13",
    "libcurand.so.10",
];
/// What the libraries above need of the driver, as CUDA counts.
const OLDEST_DRIVER: c_int = 13_000;
/// All of a library at once; and its functions for everybody, who find them at their first
/// call.
const NOW: c_int = 2;
const GLOBAL: c_int = 0x100;

unsafe extern "C" {
    fn dlopen(name: *const c_char, flags: c_int) -> *mut c_void;
    fn dlerror() -> *const c_char;
}

/// Loads them all, once; they stay.
///
/// # Errors
/// What the system's loader says of the first that is not there, or that the driver is too
/// old for them.
pub fn load() -> Result<(), String> {
    static LOADED: OnceLock<Result<(), String>> = OnceLock::new();
    let loaded = LOADED.get_or_init(|| {
        NAMES.into_iter().try_for_each(load_one)?;
        check_driver(driver_version()?)
    });
    loaded.clone()
}

/// As CUDA counts: 13000 is 13.0.
fn driver_version() -> Result<c_int, String> {
    let mut version = 0;
    // SAFETY: the driver is loaded, and writes one number.
    let status = unsafe { sys::cuDriverGetVersion(&raw mut version) };
    status.result().map_err(|error| error.to_string())?;
    Ok(version)
}

fn check_driver(version: c_int) -> Result<(), String> {
    match version >= OLDEST_DRIVER {
        true => Ok(()),
        false => Err(format!(
            "its driver is for CUDA {}.{}, this dfa needs one for CUDA 13 (580 or newer)",
            version / 1000,
            version % 1000 / 10
        )),
    }
}

fn load_one(name: &str) -> Result<(), String> {
    let name = CString::new(name).map_err(|error| error.to_string())?;
    // SAFETY: `name` ends in a zero; these libraries may be loaded at any time.
    let handle = unsafe { dlopen(name.as_ptr(), NOW | GLOBAL) };
    if !handle.is_null() {
        return Ok(());
    }
    // SAFETY: after a failure this is a text that lives until the next call of the loader on
    // this thread; it is copied at once.
    let text = unsafe { CStr::from_ptr(dlerror()) };
    Err(format!(
        "{} (the driver brings libcuda; the others are CUDA 13's, where LD_LIBRARY_PATH must find them)",
        text.to_string_lossy()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_driver_is_named() {
        let error = check_driver(12_080).unwrap_err();
        assert!(error.contains("CUDA 12.8"), "{error}");
        assert_eq!(check_driver(13_000), Ok(()));
    }

    #[test]
    fn a_missing_library_is_named() {
        let error = load_one("libnobody-has-this.so.7").unwrap_err();
        assert!(error.contains("libnobody-has-this.so.7"), "{error}");
        assert!(error.contains("LD_LIBRARY_PATH"), "{error}");
        assert_eq!(load_one("libc.so.6"), Ok(()));
    }
}
