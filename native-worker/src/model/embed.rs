//! From latent to tokens and back, fixed 2-D positions, features of numbers. All as
//! diffusers computes them for DiT and PixArt.

use candle_core::{D, Device, Result, Tensor};

use super::LatentSize;
use crate::kernels::ops;

/// Latent (N, C, h·p, w·p) → patches (N, h·w, C·p·p), tokens row-major.
///
/// Each patch is flattened as (C, p, p), the order of a convolution's weight.
pub fn patchify(latent: &Tensor, patch: usize) -> Result<Tensor> {
    let (n, c, height, width) = latent.dims4()?;
    let (h, w) = (height / patch, width / patch);
    latent
        .reshape(&[n, c, h, patch, w, patch][..])?
        .permute(&[0, 2, 4, 1, 3, 5][..])?
        .contiguous()?
        .reshape((n, h * w, c * patch * patch))
}

/// Patches (N, h·w, p·p·C), wherever they are → (N, C, h·p, w·p) on the CPU in f32, where
/// sampler and loss are computed.
///
/// Each patch is flattened as (p, p, C), the order of DiT's last layer (`nhwpqc->nchpwq`).
pub fn unpatchify(patches: &Tensor, patch: usize, size: LatentSize) -> Result<Tensor> {
    let (n, _, values) = patches.dims3()?;
    let (h, w) = (size.height / patch, size.width / patch);
    let c = values / (patch * patch);
    let latent = patches
        .reshape(&[n, h, w, patch, patch, c][..])?
        .permute(&[0, 5, 1, 3, 2, 4][..])?
        .contiguous()?
        .reshape((n, c, size.height, size.width))?;
    ops::on_cpu(&latent)
}

/// A grid of tokens and the grid that positions are scaled to.
#[derive(Clone, Copy, Debug)]
pub struct PositionGrid {
    /// Rows of tokens.
    pub rows: usize,
    /// Columns of tokens.
    pub columns: usize,
    /// Side of the grid the model was trained on.
    pub base: usize,
    /// Every position is divided by this.
    pub interpolation_scale: f64,
}

/// Fixed 2-D sine-cosine positions, (1, rows·columns, D), where `beside` (…, D) lies and in
/// its type.
///
/// The first half of a token's vector encodes its column, the second half its row, each
/// as `[sin(p ω_k), cos(p ω_k)]` with `ω_k = 10000^(-k / (width/4))`, in f64.
pub fn sincos_positions(beside: &Tensor, grid: PositionGrid) -> Result<Tensor> {
    let quarter = beside.dim(D::Minus1)? / 4;
    let frequencies: Vec<f64> = (0..quarter)
        .map(|k| libm::pow(10000.0, -(k as f64) / quarter as f64))
        .collect();
    // In f32 and in this order, as diffusers computes `arange(n) / (n / base) / scale`.
    let scale = grid.interpolation_scale as f32;
    let waves = |side: usize| {
        let stretch = (side as f64 / grid.base as f64) as f32;
        let places = (0..side).map(|idx| f64::from(idx as f32 / stretch / scale));
        let of_place = |place: f64| {
            let angles = frequencies.iter().map(move |f| place * f);
            let sines = angles.clone().map(libm::sin);
            sines.chain(angles.map(libm::cos)).map(|wave| wave as f32)
        };
        let table: Vec<f32> = places.flat_map(of_place).collect();
        Tensor::from_vec(table, (side, 2 * quarter), &Device::Cpu)
    };
    grid_of_waves(beside, &waves(grid.rows)?, &waves(grid.columns)?)
}

/// The vectors of all tokens of a grid, (1, rows·columns, D): those of the column, then those
/// of the row. `rows`: (rows, D/2); `columns`: (columns, D/2).
///
/// Only these two are sent to the device that `beside` is on.
pub fn grid_of_waves(beside: &Tensor, rows: &Tensor, columns: &Tensor) -> Result<Tensor> {
    let (n_rows, half) = rows.dims2()?;
    let dims = (n_rows, columns.dim(0)?, half);
    let rows = ops::beside(rows, beside)?
        .unsqueeze(1)?
        .broadcast_as(dims)?;
    let columns = ops::beside(columns, beside)?
        .unsqueeze(0)?
        .broadcast_as(dims)?;
    Tensor::cat(&[columns, rows], 2)?.reshape((1, dims.0 * dims.1, 2 * half))
}

/// Features of numbers such as a timestep, (numbers, size): `[cos(x ω_k), sin(x ω_k)]` with
/// `ω_k = 10000^(-k / (size/2 - shift))`; `shift` is 1 in diffusers' DiT, else 0.
pub fn number_features(numbers: &[f32], size: usize, shift: f64) -> Result<Tensor> {
    let half = size / 2;
    // f32 as in diffusers, whose rounding of large arguments we must share.
    let scale = -libm::log(10000.0) as f32;
    let frequencies: Vec<f32> = (0..half)
        .map(|k| libm::expf(scale * k as f32 / (half as f64 - shift) as f32))
        .collect();
    let mut features = Vec::with_capacity(numbers.len() * size);
    for number in numbers {
        features.extend(frequencies.iter().map(|f| libm::cosf(number * f)));
        features.extend(frequencies.iter().map(|f| libm::sinf(number * f)));
    }
    Tensor::from_vec(features, (numbers.len(), size), &Device::Cpu)
}
