//! Whether this browser's GPU gives the right numbers: it is asked for, and tried on a
//! known pair. Only one that agrees with the CPU is used.
//!
//! Browsers fail here in odd ways: `navigator.gpu` without an adapter, adapters without a
//! device, and promises that never come back. So every answer is waited for, but not for
//! long.

use std::rc::Rc;

use js_sys::Reflect;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;

use super::{Gpu, GpuError, GpuPair};
use crate::pixels::pace::within;
use crate::pixels::{PicturePair, TOLERANCE, cpu};

/// Seconds for each answer. Compiling shaders without a real GPU takes some.
const PATIENCE_SECS: i32 = 10;
/// Size of the known pair: no multiple of a workgroup, and with mirrored edges all around.
const SAMPLE: [usize; 2] = [53, 37];

/// A GPU that gave the right numbers, just now, in this browser.
///
/// # Errors
/// [`GpuError`]: why there is none.
pub async fn probe() -> Result<Rc<Gpu>, GpuError> {
    let name = adapter_name().await?;
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::BROWSER_WEBGPU,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let options = wgpu::RequestAdapterOptions {
        power_preference: wgpu::PowerPreference::HighPerformance,
        ..Default::default()
    };
    let adapter = in_time(instance.request_adapter(&options)).await?;
    let adapter = adapter.map_err(|_| GpuError::NoAdapter)?;
    let descriptor = wgpu::DeviceDescriptor::default();
    let device = in_time(adapter.request_device(&descriptor)).await?;
    let (device, queue) = device.map_err(|error| GpuError::Refused(error.to_string()))?;
    let gpu = Rc::new(Gpu::new(device, queue, name));
    in_time(check(&gpu)).await??;
    Ok(gpu)
}

async fn in_time<T>(answer: impl Future<Output = T>) -> Result<T, GpuError> {
    let answer = within(PATIENCE_SECS * 1000, answer).await;
    answer.ok_or(GpuError::TooSlow(PATIENCE_SECS))
}

/// Runs every shader that makes numbers and compares them with the CPU's.
async fn check(gpu: &Rc<Gpu>) -> Result<(), GpuError> {
    let broken = |error: &dyn std::fmt::Display| GpuError::Refused(error.to_string());
    let pair = PicturePair::sample(SAMPLE[0], SAMPLE[1]).map_err(|error| broken(&error))?;
    let expected = cpu::compare(pair.clone()).map_err(|error| broken(&error))?;
    let found = GpuPair::new(Rc::clone(gpu), &pair)?;
    agree(
        "difference map",
        &expected.difference,
        &found.difference().await?,
    )?;
    agree("SSIM map", &expected.ssim, &found.ssim().await?)
}

fn agree(what: &'static str, expected: &[f32], found: &[f32]) -> Result<(), GpuError> {
    let apart = largest_distance(expected, found);
    // Written so that a NaN is wrong.
    if apart <= TOLERANCE {
        return Ok(());
    }
    Err(GpuError::Wrong { what, apart })
}

/// The largest distance of two maps; infinite if something is not a number or missing.
pub fn largest_distance(expected: &[f32], found: &[f32]) -> f32 {
    if expected.len() != found.len() {
        return f32::INFINITY;
    }
    let distances = expected.iter().zip(found).map(|(a, b)| (a - b).abs());
    distances.fold(0.0, |largest, distance| {
        if distance.is_nan() {
            f32::INFINITY
        } else {
            largest.max(distance)
        }
    })
}

/// Asks the browser itself: wgpu does not tell vendor and architecture, which are often
/// all that a browser says of an adapter.
async fn adapter_name() -> Result<String, GpuError> {
    let window = web_sys::window().ok_or(GpuError::NoWebGpu)?;
    let gpu = property(&window.navigator(), "gpu");
    let Some(gpu) = gpu.filter(JsValue::is_object) else {
        let is_secure = window.is_secure_context();
        return Err(if is_secure {
            GpuError::NoWebGpu
        } else {
            GpuError::NotSecure
        });
    };
    let request = property(&gpu, "requestAdapter").and_then(|it| it.dyn_into().ok());
    let request: js_sys::Function = request.ok_or(GpuError::NoWebGpu)?;
    let promise = request.call0(&gpu).map_err(|_| GpuError::NoAdapter)?;
    let promise = js_sys::Promise::resolve(&promise);
    let adapter = in_time(JsFuture::from(promise)).await?;
    let adapter = adapter.map_err(|_| GpuError::NoAdapter)?;
    if !adapter.is_object() {
        return Err(GpuError::NoAdapter);
    }
    let info = property(&adapter, "info").unwrap_or(JsValue::NULL);
    let word = |name| property(&info, name).and_then(|word| word.as_string());
    let words =
        ["description", "vendor", "architecture"].map(|name| word(name).unwrap_or_default());
    let [description, vendor, architecture] = words;
    let name = if description.is_empty() {
        format!("{vendor} {architecture}")
    } else {
        description
    };
    Ok(name.trim().to_owned())
}

fn property(of: &JsValue, name: &str) -> Option<JsValue> {
    Reflect::get(of, &JsValue::from_str(name)).ok()
}
