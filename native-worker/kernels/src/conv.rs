//! Convolution of one feature map (C, h, w): 3 x 3, 1 x 1, 3 x 3 with stride two, and
//! 3 x 3 of the map enlarged twice; all with bias, optionally of the activated map
//! (group norm and SiLU), optionally added to what the output holds.
//!
//! - [`reference`]: plain loops with f64 sums, the rung that the kernel is tested against.
//! - [`tile`]: a part of the input, laid out so that every tap is the tile moved.
//! - [`microkernel`]: pixels times filters in registers.
//!
//! The enlarged or activated map and the matrix of all patches are never made: a task
//! holds one tile, less than a mebibyte, so memory does not grow with the picture.

use rayon::prelude::*;

use super::group_norm::Activation;
use super::isa::{Isa, Lanes, for_each_isa};
use super::scratch::{Scratch, with_scratch};
use super::widen::Stored;

mod microkernel;
pub mod reference;
mod tile;

use microkernel::PACK;
use tile::TileLayout;

/// Output rows of a task, unless the map has fewer.
const BAND_ROWS: usize = 4;
/// f32 of a tile, about: the tile and one group of filters share the second-level cache.
const TILE_VALUES: usize = 208 * 1024;

thread_local! {
    static FILTERS: Scratch = const { Scratch::new(Vec::new()) };
    static TILE: Scratch = const { Scratch::new(Vec::new()) };
}

/// What a convolution does to a map's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConvKind {
    /// 1 x 1.
    Point,
    /// 3 x 3, padded by one zero all around.
    Same,
    /// 3 x 3 with stride two, padded by one zero on the right and below.
    Halving,
    /// The map is enlarged twice, each pixel repeated, then 3 x 3 as [`Self::Same`].
    Doubling,
}

impl ConvKind {
    /// Weights per pair of channels.
    pub fn n_taps(self) -> usize {
        match self {
            Self::Point => 1,
            _ => 9,
        }
    }
}

/// Sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvShape {
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// Rows of the input.
    pub height: usize,
    /// Columns of the input.
    pub width: usize,
    /// What it does.
    pub kind: ConvKind,
}

impl ConvShape {
    /// Rows of the output.
    pub fn out_height(self) -> usize {
        self.resized(self.height)
    }

    /// Columns of the output.
    pub fn out_width(self) -> usize {
        self.resized(self.width)
    }

    fn resized(self, side: usize) -> usize {
        match self.kind {
            ConvKind::Point | ConvKind::Same => side,
            ConvKind::Halving => side / 2,
            ConvKind::Doubling => 2 * side,
        }
    }

    /// Elements of the output.
    pub fn out_len(self) -> usize {
        self.outputs * self.out_height() * self.out_width()
    }

    /// Weights of one output channel.
    fn filter_len(self) -> usize {
        self.inputs * self.kind.n_taps()
    }
}

/// Arguments of [`conv`].
#[derive(Clone, Copy, Debug)]
pub struct ConvCall<'a> {
    /// Sizes.
    pub shape: ConvShape,
    /// (inputs, height, width).
    pub input: &'a [f32],
    /// Applied to the input as it is read.
    pub activation: Option<&'a Activation>,
    /// (outputs, inputs, 3, 3) or (outputs, inputs), as PyTorch stores it.
    pub weight: Stored<'a>,
    /// (outputs).
    pub bias: &'a [f32],
    /// Whether the result is added to what the output holds.
    pub adds: bool,
}

impl ConvCall<'_> {
    fn check(&self, out: &[f32]) {
        let shape = self.shape;
        let n_pixels = shape.height * shape.width;
        assert_eq!(
            self.input.len(),
            shape.inputs * n_pixels,
            "input is (inputs, h, w)"
        );
        assert_eq!(
            self.weight.len(),
            shape.outputs * shape.filter_len(),
            "weight"
        );
        assert_eq!(self.bias.len(), shape.outputs, "bias is (outputs)");
        assert_eq!(out.len(), shape.out_len(), "out is (outputs, h', w')");
        if let Some(activation) = self.activation {
            assert_eq!(activation.scale.len(), shape.inputs, "scale is (inputs)");
            assert_eq!(activation.shift.len(), shape.inputs, "shift is (inputs)");
        }
    }
}

/// Convolves a map; `out`: (outputs, out_height, out_width).
///
/// # Panics
/// If a slice does not have the size that the shape says.
pub fn conv(isa: Isa, call: ConvCall<'_>, out: &mut [f32]) {
    call.check(out);
    if out.is_empty() {
        return;
    }
    let length = packed_len(call.shape);
    with_scratch(&FILTERS, length, |filters| {
        pack_filters(call.weight, call.shape, filters);
        let bands = bands_of(call.shape, out).into_par_iter();
        bands.for_each(|band| {
            let length = tile_len(call.shape, band.n_rows);
            with_scratch(&TILE, length, |tile| {
                convolve_band(isa, &call, filters, band, tile);
            });
        });
    });
}

/// Values of the packed filters.
fn packed_len(shape: ConvShape) -> usize {
    shape.outputs.div_ceil(PACK) * shape.filter_len() * PACK
}

/// Filters in groups of [`PACK`] outputs: (groups, inputs, taps, PACK), the last group
/// filled up with zeros.
fn pack_filters(weight: Stored<'_>, shape: ConvShape, packed: &mut [f32]) {
    let length = shape.filter_len();
    let groups = packed.par_chunks_mut((length * PACK).max(1)).enumerate();
    groups.for_each_init(
        || vec![0f32; length],
        |filter, (group, packed)| {
            let first = group * PACK;
            if first + PACK > shape.outputs {
                packed.fill(0.0);
            }
            for output in first..shape.outputs.min(first + PACK) {
                weight
                    .slice(output * length..(output + 1) * length)
                    .widen_into(filter);
                let lanes = packed.iter_mut().skip(output - first).step_by(PACK);
                for (packed, &value) in lanes.zip(&*filter) {
                    *packed = value;
                }
            }
        },
    );
}

/// Some output rows, of all channels.
pub(crate) struct Band<'a> {
    first_row: usize,
    n_rows: usize,
    /// For each output channel (n_rows, out_width).
    channels: Vec<&'a mut [f32]>,
}

fn bands_of(shape: ConvShape, out: &mut [f32]) -> Vec<Band<'_>> {
    let (height, width) = (shape.out_height(), shape.out_width());
    let mut bands: Vec<Band<'_>> = (0..height)
        .step_by(BAND_ROWS)
        .map(|first_row| Band {
            first_row,
            n_rows: BAND_ROWS.min(height - first_row),
            channels: Vec::with_capacity(shape.outputs),
        })
        .collect();
    for channel in out.chunks_mut(height * width) {
        for (band, rows) in bands.iter_mut().zip(channel.chunks_mut(BAND_ROWS * width)) {
            band.channels.push(rows);
        }
    }
    bands
}

for_each_isa! {
    pub(crate) fn convolve_band(
        call: &ConvCall<'_>,
        filters: &[f32],
        band: Band<'_>,
        tile: &mut [f32],
    ) = band_body;
}

#[inline(always)]
fn band_body<L: Lanes>(call: &ConvCall<'_>, filters: &[f32], mut band: Band<'_>, tile: &mut [f32]) {
    let width = call.shape.out_width();
    let side = tile_columns(call.shape, band.n_rows);
    for first_column in (0..width).step_by(side) {
        let layout = TileLayout::new(
            call.shape.kind,
            (band.first_row, band.n_rows),
            (first_column, side.min(width - first_column)),
        );
        layout.fill::<L>(call, tile);
        let mut store = |pixels: &[f32], start: usize, output: usize| {
            let bias = call.bias[output];
            let rows = &mut *band.channels[output];
            for part in layout.parts(start, pixels.len()) {
                let at = part.row * width + first_column + part.column;
                let out = &mut rows[at..at + part.length];
                let pixels = &pixels[part.start..part.start + part.length];
                for (out, pixel) in out.iter_mut().zip(pixels) {
                    *out = if call.adds { *out } else { 0.0 } + (pixel + bias);
                }
            }
        };
        // As many sums as the registers hold.
        match L::WIDTH {
            16 => microkernel::run::<L, 8>(tile, &layout, call.shape, filters, &mut store),
            _ => microkernel::run::<L, 4>(tile, &layout, call.shape, filters, &mut store),
        }
    }
}

/// Values of the largest tile of a band.
fn tile_len(shape: ConvShape, n_rows: usize) -> usize {
    let columns = tile_columns(shape, n_rows);
    TileLayout::new(shape.kind, (0, n_rows), (0, columns)).values_of(shape.inputs)
}

/// Columns of a tile, nearly the same for all tiles of a band.
fn tile_columns(shape: ConvShape, n_rows: usize) -> usize {
    let rows = match shape.kind {
        ConvKind::Point => n_rows,
        ConvKind::Same | ConvKind::Doubling => n_rows + 2,
        ConvKind::Halving => 4 * (n_rows + 1),
    };
    let most = (TILE_VALUES / (shape.inputs.max(1) * rows))
        .saturating_sub(2)
        .max(16);
    let width = shape.out_width();
    width.div_ceil(width.div_ceil(most).max(1)).max(1)
}
