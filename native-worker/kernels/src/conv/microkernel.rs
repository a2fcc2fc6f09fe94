//! The inner loops of the convolution: blocks of pixels times groups of filters, their
//! sums in registers over all input channels and taps.
//!
//! Vector lanes are pixels; a filter's value is spread over all lanes. The tile is read
//! where it lies, the filters as they were packed, one after the other.

use crate::isa::Lanes;

use super::ConvShape;
use super::tile::TileLayout;

/// Filters that are stored side by side.
pub(super) const PACK: usize = 8;
/// Pixels of the largest block, on the machine with the widest vectors.
pub(super) const MOST_PIXELS: usize = 3 * 16;

/// Convolves a tile; `store(pixels, start, output)` gets every block of every output
/// channel. G filters at a time, which divides [`PACK`].
#[inline(always)]
pub(super) fn run<L: Lanes, const G: usize>(
    tile: &[f32],
    layout: &TileLayout,
    shape: ConvShape,
    filters: &[f32],
    store: &mut impl FnMut(&[f32], usize, usize),
) {
    let group_len = shape.inputs * shape.kind.n_taps() * PACK;
    for first in (0..shape.outputs).step_by(G) {
        let group = &filters[first / PACK * group_len..][..group_len];
        let filters = Filters {
            group,
            lane: first % PACK,
        };
        let mut start = 0;
        while start < layout.n_pixels() {
            let left = layout.n_pixels() - start;
            let mut keep = |pixels: &[f32], g: usize| {
                if first + g < shape.outputs {
                    store(pixels, start, first + g);
                }
            };
            start += if left > 2 * L::WIDTH {
                block::<L, 3, G>(tile, layout, filters, start, &mut keep)
            } else if left > L::WIDTH {
                block::<L, 2, G>(tile, layout, filters, start, &mut keep)
            } else {
                block::<L, 1, G>(tile, layout, filters, start, &mut keep)
            };
        }
    }
}

/// G of the filters of a group.
#[derive(Clone, Copy)]
struct Filters<'a> {
    /// (inputs, taps, PACK).
    group: &'a [f32],
    /// The first of them.
    lane: usize,
}

/// V vectors of pixels from `start`; the number of pixels.
#[inline(always)]
fn block<L: Lanes, const V: usize, const G: usize>(
    tile: &[f32],
    layout: &TileLayout,
    filters: Filters<'_>,
    start: usize,
    keep: &mut impl FnMut(&[f32], usize),
) -> usize {
    let sums = sums_of::<L, V, G>(tile, layout, filters, start);
    let mut pixels = [0f32; MOST_PIXELS];
    for (g, sums) in sums.into_iter().enumerate() {
        for (v, sum) in sums.into_iter().enumerate() {
            L::store(sum, &mut pixels[v * L::WIDTH..]);
        }
        keep(&pixels[..V * L::WIDTH], g);
    }
    V * L::WIDTH
}

#[inline(always)]
fn sums_of<L: Lanes, const V: usize, const G: usize>(
    tile: &[f32],
    layout: &TileLayout,
    filters: Filters<'_>,
    start: usize,
) -> [[L::Vector; V]; G] {
    let offsets = layout.offsets();
    let n_inputs = filters.group.len() / (offsets.len() * PACK);
    // The farthest value that is read: see `TileLayout::values_of`.
    assert!(start < layout.n_pixels() && layout.n_pixels() <= layout.channel);
    assert!(tile.len() >= layout.values_of(n_inputs) && V * L::WIDTH <= MOST_PIXELS);
    let mut sums = [[L::splat(0.0); V]; G];
    let mut channel = start;
    for weights in filters.group.chunks_exact(offsets.len() * PACK) {
        for (&offset, weights) in offsets.iter().zip(weights.chunks_exact(PACK)) {
            let at = channel + offset;
            // SAFETY: `at` is at most `(n_inputs - 1) channel + n_pixels - 1` plus the
            // farthest offset, so that the block ends within `values_of(n_inputs)` values,
            // which the tile has: both asserted above.
            let pixels = unsafe { tile.get_unchecked(at..at + V * L::WIDTH) };
            let mut x = [L::splat(0.0); V];
            for (v, x) in x.iter_mut().enumerate() {
                *x = L::load(&pixels[v * L::WIDTH..]);
            }
            let weights = &weights[filters.lane..filters.lane + G];
            for g in 0..G {
                let weight = L::splat(weights[g]);
                for v in 0..V {
                    sums[g][v] = L::mul_add_lanes(weight, x[v], sums[g][v]);
                }
            }
        }
        channel += layout.channel;
    }
    sums
}
