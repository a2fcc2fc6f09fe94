//! Maps and zoom on the GPU, by the shaders in `web-ui/shaders/`.
//!
//! - [`probe`]: whether this browser's GPU gives the right numbers.
//! - [`pair`]: a pair on the GPU: its maps, and what a pane shows of it.
//! - [`pass`]: one shader, run once.
//!
//! What the shaders draw is read back and put on an ordinary canvas: that works wherever
//! the shaders do, also where a canvas of the GPU's own would stay empty. A GPU that was
//! lost stays lost: whoever gets [`GpuError::Lost`] goes on without one.

use std::sync::{Arc, OnceLock};

use js_sys::Promise;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use wgpu::{Buffer, BufferUsages, Device, Queue};

pub mod pair;
pub mod pass;
pub mod probe;

pub use pair::{GpuPair, PaneFrame};
pub use probe::probe;

use super::palette::palette;
use pass::Pass;

/// Why the GPU is not used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GpuError {
    /// Nothing of the kind in this browser.
    #[error("this browser has no WebGPU")]
    NoWebGpu,
    /// Only offered to pages that came over a safe way.
    #[error("the browser offers WebGPU only over https or from localhost")]
    NotSecure,
    /// There is WebGPU, but nothing it could run on.
    #[error("the browser has WebGPU but no graphics adapter for it")]
    NoAdapter,
    /// The adapter refused.
    #[error("the graphics adapter refused: {0}")]
    Refused(String),
    /// An answer did not come.
    #[error("the graphics adapter did not answer within {0} s")]
    TooSlow(i32),
    /// The shaders ran and gave other numbers.
    #[error("its {what} is off by {apart:.1e}, more than 1e-5")]
    Wrong {
        /// Which map.
        what: &'static str,
        /// By how much.
        apart: f32,
    },
    /// The device went away: a driver was restarted, or memory ran out.
    #[error("the graphics device was lost: {0}")]
    Lost(String),
}

/// A device that gave the right numbers.
pub struct Gpu {
    device: Device,
    queue: Queue,
    /// What people call the adapter.
    name: String,
    passes: Passes,
    weights: Buffer,
    palette: Buffer,
    lost: Arc<OnceLock<String>>,
}

struct Passes {
    difference: Pass,
    ssim_rows: Pass,
    ssim_columns: Pass,
    zoom: Pass,
}

impl Gpu {
    fn new(device: Device, queue: Queue, name: String) -> Self {
        let lost = Arc::new(OnceLock::new());
        let first = Arc::clone(&lost);
        device.set_device_lost_callback(move |_, why| {
            // Only the first reason is kept.
            let _ = first.set(why);
        });
        let mistake = Arc::clone(&lost);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            let _ = mistake.set(error.to_string());
        }));
        let pass = |name, source| Pass::new(&device, name, source);
        let passes = Passes {
            difference: pass("difference", include_str!("../../shaders/difference.wgsl")),
            ssim_rows: pass("ssim_rows", include_str!("../../shaders/ssim_rows.wgsl")),
            ssim_columns: pass(
                "ssim_columns",
                include_str!("../../shaders/ssim_columns.wgsl"),
            ),
            zoom: pass("zoom", include_str!("../../shaders/zoom.wgsl")),
        };
        let weights = dfa_core::metric::ssim::gaussian();
        let weights: Vec<u8> = weights.map(|w| (w as f32).to_le_bytes()).concat();
        let palette = palette().map(|[r, g, b]| [r, g, b, 255]).concat();
        let mut gpu = Self {
            weights: constant(&device, &queue, &weights),
            palette: constant(&device, &queue, &palette),
            device,
            queue,
            name,
            passes,
            lost,
        };
        if gpu.name.is_empty() {
            gpu.name = "unnamed adapter".into();
        }
        gpu
    }

    /// What people call the adapter.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<(), GpuError> {
        match self.lost.get() {
            Some(why) => Err(GpuError::Lost(why.clone())),
            None => Ok(()),
        }
    }

    fn buffer(&self, n_bytes: usize, usage: BufferUsages) -> Buffer {
        buffer(&self.device, n_bytes, usage)
    }

    /// The bytes of a buffer, once everything before is done.
    async fn read(&self, source: &Buffer) -> Result<Vec<u8>, GpuError> {
        self.check()?;
        let n_bytes = source.size();
        let usage = BufferUsages::MAP_READ | BufferUsages::COPY_DST;
        let staging = self.buffer(n_bytes as usize, usage);
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(source, 0, &staging, 0, n_bytes);
        self.queue.submit([encoder.finish()]);
        let mapped = Promise::new(&mut |resolve, reject| {
            staging.map_async(wgpu::MapMode::Read, .., move |outcome| {
                let settle = if outcome.is_ok() { &resolve } else { &reject };
                // What waits is told either way.
                let _ = settle.call0(&JsValue::NULL);
            });
        });
        let mapped = JsFuture::from(mapped).await;
        self.check()?;
        let lost = || GpuError::Lost("its memory cannot be read".into());
        mapped.map_err(|_| lost())?;
        let view = staging.get_mapped_range(..).map_err(|_| lost())?;
        let bytes = view.to_vec();
        drop(view);
        staging.destroy();
        Ok(bytes)
    }
}

fn buffer(device: &Device, n_bytes: usize, usage: BufferUsages) -> Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: n_bytes as u64,
        usage,
        mapped_at_creation: false,
    })
}

/// A buffer that is written once and read by shaders.
fn constant(device: &Device, queue: &Queue, bytes: &[u8]) -> Buffer {
    let usage = BufferUsages::STORAGE | BufferUsages::COPY_DST;
    let constant = buffer(device, bytes.len(), usage);
    queue.write_buffer(&constant, 0, bytes);
    constant
}

/// The numbers of a map that was read back.
fn floats(bytes: &[u8]) -> Vec<f32> {
    let (words, _) = bytes.as_chunks::<4>();
    words.iter().map(|word| f32::from_le_bytes(*word)).collect()
}
