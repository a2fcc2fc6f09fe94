//! A tile: the part of a feature map that some output pixels see, with its zero margin,
//! already enlarged or activated.
//!
//! Rows lie one after the other with their margins, so that a tap of the filter is the
//! whole tile moved by a constant: pixel `p` of the output, counted along those rows, needs
//! the values at `p + offset` for each tap's offset. Pixels that fall into a margin are
//! computed too and thrown away. With stride two there are four planes, one for each
//! parity of row and column, and the same holds for each.

use crate::elementwise::exp2;
use crate::isa::Lanes;

use super::microkernel::MOST_PIXELS;
use super::{ConvCall, ConvKind};

/// Where the pixels of a tile lie.
#[derive(Clone, Debug)]
pub(super) struct TileLayout {
    kind: ConvKind,
    first_row: usize,
    n_rows: usize,
    first_column: usize,
    n_columns: usize,
    /// Values of a row with its margin.
    pitch: usize,
    /// Values of one input channel.
    pub(super) channel: usize,
    offsets: [usize; 9],
}

/// Output pixels that lie in one row.
pub(super) struct Part {
    /// Of the pixels that were computed together.
    pub(super) start: usize,
    pub(super) length: usize,
    /// Within the tile.
    pub(super) row: usize,
    /// Within the tile.
    pub(super) column: usize,
}

impl TileLayout {
    pub(super) fn new(
        kind: ConvKind,
        (first_row, n_rows): (usize, usize),
        (first_column, n_columns): (usize, usize),
    ) -> Self {
        let (pitch, plane_rows, n_planes) = match kind {
            ConvKind::Point => (n_columns, n_rows, 1),
            ConvKind::Same | ConvKind::Doubling => (n_columns + 2, n_rows + 2, 1),
            ConvKind::Halving => (n_columns + 1, n_rows + 1, 4),
        };
        let plane = pitch * plane_rows;
        let mut offsets = [0; 9];
        for (tap, offset) in offsets.iter_mut().enumerate() {
            let (row, column) = (tap / 3, tap % 3);
            *offset = match kind {
                ConvKind::Point => 0,
                ConvKind::Same | ConvKind::Doubling => row * pitch + column,
                ConvKind::Halving => {
                    (row % 2 * 2 + column % 2) * plane + row / 2 * pitch + column / 2
                }
            };
        }
        Self {
            kind,
            first_row,
            n_rows,
            first_column,
            n_columns,
            pitch,
            channel: plane * n_planes,
            offsets,
        }
    }

    /// Where each tap reads, relative to the pixel.
    pub(super) fn offsets(&self) -> &[usize] {
        &self.offsets[..self.kind.n_taps()]
    }

    /// Pixels along the rows, margins between them counted.
    pub(super) fn n_pixels(&self) -> usize {
        (self.n_rows - 1) * self.pitch + self.n_columns
    }

    /// Length of a tile of so many channels: pixels are computed in blocks, and the last
    /// block may reach beyond the last channel.
    pub(super) fn values_of(&self, inputs: usize) -> usize {
        let farthest = self.offsets.iter().max().copied().unwrap_or(0);
        inputs * self.channel + farthest + MOST_PIXELS
    }

    /// The rows that `n` pixels from `start` lie in, without the margins.
    pub(super) fn parts(&self, start: usize, n: usize) -> impl Iterator<Item = Part> {
        let end = (start + n).min(self.n_pixels());
        let rows = start / self.pitch..end.div_ceil(self.pitch);
        let (pitch, n_columns) = (self.pitch, self.n_columns);
        rows.filter_map(move |row| {
            let from = start.max(row * pitch);
            let to = end.min(row * pitch + n_columns);
            (from < to).then(|| Part {
                start: from - start,
                length: to - from,
                row,
                column: from - row * pitch,
            })
        })
    }

    /// Copies the tile of every input channel.
    #[inline(always)]
    pub(super) fn fill<L: Lanes>(&self, call: &ConvCall<'_>, tile: &mut [f32]) {
        let (height, width) = (call.shape.height, call.shape.width);
        let maps = call.input.chunks_exact((height * width).max(1));
        let tiles = tile.chunks_exact_mut(self.channel);
        for (channel, (map, tile)) in maps.zip(tiles).enumerate() {
            let affine = call
                .activation
                .map(|activation| (activation.scale[channel], activation.shift[channel]));
            match self.kind {
                ConvKind::Halving => self.fill_parities::<L>(map, (height, width), affine, tile),
                _ => self.fill_plane::<L>(map, (height, width), affine, tile),
            }
        }
    }

    #[inline(always)]
    fn fill_plane<L: Lanes>(
        &self,
        map: &[f32],
        (height, width): (usize, usize),
        affine: Option<(f32, f32)>,
        tile: &mut [f32],
    ) {
        let margin = if self.kind == ConvKind::Point { 0 } else { 1 };
        let shift = u32::from(self.kind == ConvKind::Doubling);
        let points = |first: usize, side: usize| Points {
            start: first as isize - margin,
            step: 1,
            shift,
            side: side << shift,
        };
        let rows = points(self.first_row, height);
        let columns = points(self.first_column, width);
        for (row, out) in tile.chunks_exact_mut(self.pitch).enumerate() {
            fill_row::<L>(
                rows.at(row).map(|y| &map[y * width..][..width]),
                columns,
                affine,
                out,
            );
        }
    }

    #[inline(always)]
    fn fill_parities<L: Lanes>(
        &self,
        map: &[f32],
        (height, width): (usize, usize),
        affine: Option<(f32, f32)>,
        tile: &mut [f32],
    ) {
        let planes = tile.chunks_exact_mut(self.pitch * (self.n_rows + 1));
        for (parity, plane) in planes.enumerate() {
            let points = |first: usize, parity: usize, side: usize| Points {
                start: (2 * first + parity) as isize,
                step: 2,
                shift: 0,
                side,
            };
            let rows = points(self.first_row, parity / 2, height);
            let columns = points(self.first_column, parity % 2, width);
            for (row, out) in plane.chunks_exact_mut(self.pitch).enumerate() {
                let map_row = rows.at(row).map(|y| &map[y * width..][..width]);
                fill_row::<L>(map_row, columns, affine, out);
            }
        }
    }
}

/// Which coordinate of the map each coordinate of a tile shows.
#[derive(Clone, Copy)]
struct Points {
    /// Of the first; may lie before the map.
    start: isize,
    step: usize,
    /// The map is seen enlarged by 2 to this power.
    shift: u32,
    /// Of the map as it is seen.
    side: usize,
}

impl Points {
    /// `None`: outside the map.
    #[inline(always)]
    fn at(self, idx: usize) -> Option<usize> {
        let point = usize::try_from(self.start + (idx * self.step) as isize).ok()?;
        (point < self.side).then_some(point >> self.shift)
    }

    /// The coordinates among `n` that lie inside the map.
    #[inline(always)]
    fn inside(self, n: usize) -> std::ops::Range<usize> {
        let before = usize::from(self.start < 0);
        let end = self.side as isize - self.start;
        let end = usize::try_from(end).unwrap_or(0).div_ceil(self.step);
        before.min(n)..end.clamp(before.min(n), n)
    }
}

#[inline(always)]
fn fill_row<L: Lanes>(
    row: Option<&[f32]>,
    columns: Points,
    affine: Option<(f32, f32)>,
    out: &mut [f32],
) {
    let inside = columns.inside(out.len());
    let Some(row) = row else {
        return out.fill(0.0);
    };
    out[..inside.start].fill(0.0);
    out[inside.end..].fill(0.0);
    let first = (columns.start + (inside.start * columns.step) as isize) as usize;
    let out = &mut out[inside];
    match (columns.step, columns.shift) {
        (1, 0) => out.copy_from_slice(&row[first..first + out.len()]),
        (step, shift) => {
            for (idx, out) in out.iter_mut().enumerate() {
                *out = row[(first + idx * step) >> shift];
            }
        }
    }
    if let Some((scale, shift)) = affine {
        activate::<L>(out, scale, shift);
    }
}

/// SiLU of `x · scale + shift`, in place.
#[inline(always)]
fn activate<L: Lanes>(values: &mut [f32], scale: f32, shift: f32) {
    for x in values {
        let y = L::mul_add(*x, scale, shift);
        *x = y / (1.0 + exp2::<L>(-std::f32::consts::LOG2_E * y));
    }
}
