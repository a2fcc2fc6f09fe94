//! A pair on the GPU: its maps, made once, and what a pane shows of it, many times.

use std::rc::Rc;

use wgpu::{Buffer, BufferUsages, CommandEncoder};

use super::super::picture::PicturePair;
use super::super::view::{Content, View};
use super::{Gpu, GpuError, constant, floats};

use dfa_core::metric::ssim::WINDOW_SIDE;

/// Both pictures and both maps, in the GPU's memory; freed when it is dropped.
pub struct GpuPair {
    gpu: Rc<Gpu>,
    size: [u32; 2],
    raw: Buffer,
    compressed: Buffer,
    difference: Buffer,
    ssim: Buffer,
}

/// What a pane shows, and how large it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PaneFrame {
    /// The view that all panes share.
    pub view: View,
    /// What this pane shows.
    pub content: Content,
    /// Columns and rows of the pane, in the pixels of the screen.
    pub pane: [u32; 2],
}

impl GpuPair {
    /// Brings a pair to the GPU and has its maps made there.
    ///
    /// # Errors
    /// [`GpuError::Lost`].
    pub fn new(gpu: Rc<Gpu>, pair: &PicturePair) -> Result<Self, GpuError> {
        gpu.check()?;
        let size = pair.size().map(|side| side as u32);
        let n_bytes = pair.raw().rgba().len();
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
        let picture = |bytes| constant(&gpu.device, &gpu.queue, bytes);
        let made = Self {
            size,
            raw: picture(pair.raw().rgba()),
            compressed: picture(pair.compressed().rgba()),
            // One f32 for each pixel: as many bytes as its colour has.
            difference: gpu.buffer(n_bytes, usage),
            ssim: gpu.buffer(n_bytes, usage),
            gpu,
        };
        made.make_maps();
        Ok(made)
    }

    fn make_maps(&self) {
        let Gpu { device, queue, .. } = &*self.gpu;
        let mut encoder = device.create_command_encoder(&Default::default());
        let job = self.job(0);
        let bindings = [&job, &self.raw, &self.compressed, &self.difference];
        let passes = &self.gpu.passes;
        passes
            .difference
            .run(device, &mut encoder, &bindings, self.size);
        if self.size[0].min(self.size[1]) < WINDOW_SIDE as u32 {
            // No window fits: alike everywhere, as without a GPU.
            let ones = 1.0f32.to_le_bytes().repeat(self.ssim.size() as usize / 4);
            queue.write_buffer(&self.ssim, 0, &ones);
            queue.submit([encoder.finish()]);
            return;
        }
        // Four f32 for each pixel: 64 MiB for the largest pictures, used for each channel.
        let moments = self
            .gpu
            .buffer(self.ssim.size() as usize * 4, BufferUsages::STORAGE);
        for channel in 0..3 {
            self.add_channel(&mut encoder, channel, &moments);
        }
        queue.submit([encoder.finish()]);
        // It lives until the GPU has done with it.
        moments.destroy();
    }

    /// Adds one channel's similarity to the SSIM map.
    fn add_channel(&self, encoder: &mut CommandEncoder, channel: u32, moments: &Buffer) {
        let gpu = &*self.gpu;
        let job = self.job(channel);
        let rows = [&job, &self.raw, &self.compressed, &gpu.weights, moments];
        let columns = [&job, moments, &gpu.weights, &self.ssim];
        let passes = &gpu.passes;
        passes.ssim_rows.run(&gpu.device, encoder, &rows, self.size);
        passes
            .ssim_columns
            .run(&gpu.device, encoder, &columns, self.size);
    }

    /// What the map shaders want to know.
    fn job(&self, channel: u32) -> Buffer {
        self.uniform(&[self.size[0], self.size[1], channel, 0])
    }

    fn uniform(&self, words: &[u32]) -> Buffer {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let usage = BufferUsages::UNIFORM | BufferUsages::COPY_DST;
        let uniform = self.gpu.buffer(bytes.len(), usage);
        self.gpu.queue.write_buffer(&uniform, 0, &bytes);
        uniform
    }

    /// The difference map.
    ///
    /// # Errors
    /// [`GpuError::Lost`].
    pub async fn difference(&self) -> Result<Vec<f32>, GpuError> {
        Ok(floats(&self.gpu.read(&self.difference).await?))
    }

    /// The SSIM map.
    ///
    /// # Errors
    /// [`GpuError::Lost`].
    pub async fn ssim(&self) -> Result<Vec<f32>, GpuError> {
        Ok(floats(&self.gpu.read(&self.ssim).await?))
    }

    /// What a pane shows: red, green, blue and alpha of each of its pixels.
    ///
    /// # Errors
    /// [`GpuError::Lost`].
    pub async fn frame(&self, frame: &PaneFrame) -> Result<Vec<u8>, GpuError> {
        let gpu = &*self.gpu;
        gpu.check()?;
        let [width, height] = frame.pane;
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC;
        let screen = gpu.buffer(width as usize * height as usize * 4, usage);
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        let job = self.uniform(&self.frame_words(frame));
        let maps = [&self.difference, &self.ssim];
        let bindings = [
            &job,
            &self.raw,
            &self.compressed,
            maps[0],
            maps[1],
            &gpu.palette,
            &screen,
        ];
        gpu.passes
            .zoom
            .run(&gpu.device, &mut encoder, &bindings, frame.pane);
        gpu.queue.submit([encoder.finish()]);
        let bytes = gpu.read(&screen).await;
        screen.destroy();
        bytes
    }

    /// `struct Frame` of zoom.wgsl.
    fn frame_words(&self, frame: &PaneFrame) -> [u32; 12] {
        let view = &frame.view;
        let pane = frame.pane.map(f64::from);
        let corner = view.corner(pane).map(|place| (place as f32).to_bits());
        let step = (1.0 / view.scale(pane)) as f32;
        let content = match frame.content {
            Content::Raw => 0,
            Content::Compressed => 1,
            Content::Wipe => 2,
            Content::Difference => 3,
            Content::Ssim => 4,
        };
        let wipe = (view.wipe() * pane[0]).round() as u32;
        [
            frame.pane[0],
            frame.pane[1],
            self.size[0],
            self.size[1],
            corner[0],
            corner[1],
            step.to_bits(),
            view.gain.factor().to_bits(),
            content,
            wipe,
            frame.pane[0],
            0,
        ]
    }
}

impl Drop for GpuPair {
    fn drop(&mut self) {
        // Not left to the browser's collector: these are large.
        for buffer in [&self.raw, &self.compressed, &self.difference, &self.ssim] {
            buffer.destroy();
        }
    }
}
