//! Between latents of videos and tokens of frames, and the tokens' positions.
//!
//! A latent whose sides are no multiples of the patch is filled up with zeros at the right
//! and at the bottom, and cut to its size again at the end.

use candle_core::{Device, Result, Tensor, bail};

use crate::model::embed::{grid_of_waves, patchify, unpatchify};
use crate::model::{LatentSize, VideoFacts};
use crate::model_folder::OpenSoraConfig;

/// The tokens of a video: the same grid for every frame.
#[derive(Clone, Copy)]
pub(super) struct FrameGrid {
    size: LatentSize,
    patch: usize,
    /// F; an image is one frame.
    pub(super) n_frames: usize,
    rows: usize,
    columns: usize,
}

impl FrameGrid {
    pub(super) fn new(size: LatentSize, patch: usize) -> Self {
        Self {
            size,
            patch,
            n_frames: size.n_sequences(),
            rows: size.height.div_ceil(patch),
            columns: size.width.div_ceil(patch),
        }
    }

    /// S.
    pub(super) fn n_places(&self) -> usize {
        self.rows * self.columns
    }

    /// The size that is a multiple of the patch.
    fn filled(&self) -> LatentSize {
        LatentSize::image(self.rows * self.patch, self.columns * self.patch)
    }

    /// Latent (N, C, F, h, w), or (N, C, h, w) of an image → patches (N·F, S, C·p·p).
    pub(super) fn patches_of(&self, latent: &Tensor) -> Result<Tensor> {
        let LatentSize { height, width, .. } = self.size;
        let (n, c) = match *latent.dims() {
            [n, c, ..] if latent.dims() == self.size.dims(n, c) => (n, c),
            ref dims => bail!("a latent of shape {dims:?} is not of size {}", self.size),
        };
        let frames = latent.reshape((n, c, self.n_frames, height, width))?;
        let frames = frames.transpose(1, 2)?.contiguous()?; // (N, F, C, h, w)
        let frames = frames.reshape((n * self.n_frames, c, height, width))?;
        let filled = self.filled();
        let frames = frames.pad_with_zeros(2, 0, filled.height - height)?;
        let frames = frames.pad_with_zeros(3, 0, filled.width - width)?;
        patchify(&frames, self.patch)
    }

    /// Patches (N, F·S, p·p·C) → latent (N, C, F, h, w), or (N, C, h, w) of an image.
    pub(super) fn latent_of(&self, patches: &Tensor) -> Result<Tensor> {
        let LatentSize { height, width, .. } = self.size;
        let (n, _, values) = patches.dims3()?;
        let frames = patches.reshape((n * self.n_frames, self.n_places(), values))?;
        let frames = unpatchify(&frames, self.patch, self.filled())?; // (N·F, C, filled)
        let frames = frames.narrow(2, 0, height)?.narrow(3, 0, width)?;
        let c = frames.dim(1)?;
        let frames = frames
            .contiguous()?
            .reshape((n, self.n_frames, c, height, width))?;
        let latent = frames.transpose(1, 2)?.contiguous()?; // (N, C, F, h, w)
        latent.reshape(self.size.dims(n, c))
    }

    /// Fixed 2-D sine-cosine positions, (1, S, D), where `beside` lies: the first half of a
    /// token's vector encodes its column, the second half its row.
    ///
    /// Places are stretched to a square of as many tokens and to the size in pixels. All in
    /// f32, as the authors compute it.
    pub(super) fn positions(
        &self,
        beside: &Tensor,
        config: &OpenSoraConfig,
        video: VideoFacts,
    ) -> Result<Tensor> {
        let pixels = (video.height * video.width) as f64;
        let scale = (pixels.sqrt() / config.input_sq_size) as f32;
        // Half to even, as Python rounds.
        let base = (self.n_places() as f64).sqrt().round_ties_even();
        let half = config.width / 2;
        let frequencies: Vec<f32> = (0..half / 2)
            .map(|k| 1.0 / libm::powf(10000.0, (2 * k) as f32 / half as f32))
            .collect();
        let waves = |side: usize| {
            let stretch = (base / side as f64) as f32;
            let places = (0..side).map(|idx| idx as f32 / scale * stretch);
            let of_place = |place: f32| {
                let angles = frequencies.iter().map(move |f| place * f);
                angles.clone().map(libm::sinf).chain(angles.map(libm::cosf))
            };
            let table: Vec<f32> = places.flat_map(of_place).collect();
            Tensor::from_vec(table, (side, half), &Device::Cpu)
        };
        grid_of_waves(beside, &waves(self.rows)?, &waves(self.columns)?)
    }
}
