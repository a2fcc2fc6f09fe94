//! A linear layer on the matrix unit ([`crate::amx`]).
//!
//! A panel of the weight is split and laid out by all threads; then each takes rows of x,
//! splits them, a part of the inner dimension at a time, and multiplies them by the whole
//! panel; where there are not rows for all, each takes columns instead. A result is summed
//! in the order of the inner dimension, whatever the number of rows, of outputs and of
//! threads.

use std::ops::Range;

use rayon::prelude::*;

use super::{LinearShape, panels};
use crate::amx::split::{LEFT_BLOCK, RightParts, Rows, pack_left, pack_right};
use crate::amx::{DEPTH, Product, SIDE, Start, TileRow, Tiles, values_of};
use crate::isa::Isa;
use crate::scratch::{Scratch, with_scratch};
use crate::widen::Stored;

/// Rows of a task at most: their parts stay in the second-level cache.
const MOST_ROWS: usize = 4 * SIDE;
/// Blocks of the inner dimension that a task splits at once, likewise.
const DEPTHS: usize = 36;

thread_local! {
    static RIGHT: Scratch<TileRow> = const { Scratch::new(Vec::new()) };
    static LEFT: Scratch<TileRow> = const { Scratch::new(Vec::new()) };
}

/// `out = x Wᵀ + b`, see [`super::linear`], whose sizes were checked; `out` holds anything.
pub(super) fn run(
    isa: Isa,
    shape: LinearShape,
    x: &[f32],
    weight: Stored<'_>,
    bias: Option<&[f32]>,
    out: &mut [f32],
) {
    let LinearShape {
        rows,
        inputs,
        outputs,
    } = shape;
    assert!(isa.has_matrix_unit(), "the matrix unit was detected");
    let mut padded_bias = vec![0f32; outputs + SIDE];
    if let Some(bias) = bias {
        padded_bias[..outputs].copy_from_slice(bias);
    }
    let n_depths = inputs.div_ceil(DEPTH);
    let right_parts = RightParts::of(weight);
    let column_len = n_depths * right_parts.block_len();
    let n_rows = rows_of_task(rows);
    let longest = panels(inputs, outputs)
        .map(|panel| panel.len())
        .max()
        .unwrap_or(0);
    let most_lines = longest.div_ceil(SIDE) * column_len / DEPTH;
    with_scratch(&RIGHT, most_lines, |lines| {
        for panel in panels(inputs, outputs) {
            let right = &mut values_of(lines)[..panel.len().div_ceil(SIDE) * column_len];
            lay_out(weight, inputs, &panel, column_len, right);
            let job = Panel {
                isa,
                inputs,
                outputs,
                n_depths,
                first: panel.start,
                end: panel.end,
                right,
                right_parts,
                bias: &padded_bias[panel.start..],
            };
            if rows.div_ceil(SIDE) < rayon::current_num_threads() {
                job.multiply_by_columns(x, out);
            } else {
                let tasks = out.par_chunks_mut(n_rows * outputs);
                let tasks = tasks.zip(x.par_chunks(n_rows * inputs));
                tasks.for_each(|(out, x)| job.multiply(x, out));
            }
        }
    });
}

/// The weights of a panel's outputs, [`SIDE`] of them after the other.
fn lay_out(
    weight: Stored<'_>,
    inputs: usize,
    panel: &Range<usize>,
    column_len: usize,
    right: &mut [u16],
) {
    let columns = right.par_chunks_mut(column_len).enumerate();
    columns.for_each(|(idx, column)| {
        let first = panel.start + idx * SIDE;
        let n_rows = SIDE.min(panel.end - first);
        let rows = Rows {
            values: weight.slice(first * inputs..(first + n_rows) * inputs),
            stride: inputs,
            n_rows,
            first: 0,
            n_columns: inputs,
        };
        // SAFETY: the caller's `Isa` with the unit has the features of the function.
        unsafe { pack_right(rows, column) }
    });
}

/// So few that every thread has two tasks, if a task's least size allows it.
fn rows_of_task(rows: usize) -> usize {
    let share = rows.div_ceil(2 * rayon::current_num_threads());
    share.next_multiple_of(SIDE).clamp(SIDE, MOST_ROWS)
}

/// Some outputs, their weights laid out.
struct Panel<'a> {
    isa: Isa,
    inputs: usize,
    outputs: usize,
    n_depths: usize,
    first: usize,
    end: usize,
    right: &'a [u16],
    right_parts: RightParts,
    /// Of the panel's outputs, and [`SIDE`] more.
    bias: &'a [f32],
}

impl Panel<'_> {
    /// `x`: (rows, inputs), `out`: (rows, outputs).
    fn multiply(&self, x: &[f32], out: &mut [f32]) {
        let tiles = Tiles::claim(self.isa);
        self.for_depths(x, |left, depths| {
            for idx in 0..self.n_columns() {
                self.multiply_column(&tiles, left, idx, &depths, out);
            }
        });
    }

    /// As [`multiply`](Self::multiply), for so few rows that they are not shared out: each
    /// task makes blocks of columns, which are then put side by side.
    fn multiply_by_columns(&self, x: &[f32], out: &mut [f32]) {
        let sums_len = (x.len() / self.inputs).next_multiple_of(SIDE) * SIDE;
        let mut sums = vec![0f32; self.n_columns() * sums_len];
        self.for_depths(x, |left, depths| {
            let columns = sums.par_chunks_exact_mut(sums_len).enumerate();
            columns.for_each(|(idx, sums)| {
                let tiles = Tiles::claim(self.isa);
                let lefts = left.chunks_exact(depths.len() * LEFT_BLOCK);
                for (left, sums) in lefts.zip(sums.chunks_exact_mut(SIDE * SIDE)) {
                    tiles.multiply(&self.product(left, idx, &depths, &[]), sums, SIDE);
                }
            });
        });
        for (idx, sums) in sums.chunks_exact(sums_len).enumerate() {
            let columns = self.columns(idx);
            for (sums, out) in sums.chunks_exact(SIDE).zip(out.chunks_mut(self.outputs)) {
                out[columns.clone()].copy_from_slice(&sums[..columns.len()]);
            }
        }
    }

    /// Calls `f` with all rows of `x` laid out, for some blocks of the inner dimension after
    /// the other.
    fn for_depths(&self, x: &[f32], mut f: impl FnMut(&[u16], Range<usize>)) {
        let n_rows = x.len() / self.inputs;
        let n_blocks = n_rows.div_ceil(SIDE);
        with_scratch(&LEFT, n_blocks * DEPTHS * LEFT_BLOCK / DEPTH, |lines| {
            for start in (0..self.n_depths).step_by(DEPTHS) {
                let depths = start..self.n_depths.min(start + DEPTHS);
                let first = start * DEPTH;
                let left = &mut values_of(lines)[..n_blocks * depths.len() * LEFT_BLOCK];
                let blocks = left.chunks_exact_mut(depths.len() * LEFT_BLOCK);
                for (block, left) in blocks.enumerate() {
                    let rows = Rows {
                        values: Stored::F32(&x[block * SIDE * self.inputs..]),
                        stride: self.inputs,
                        n_rows: SIDE.min(n_rows - block * SIDE),
                        first,
                        n_columns: (depths.len() * DEPTH).min(self.inputs - first),
                    };
                    // SAFETY: an `Isa` with the unit has the features of the function.
                    unsafe { pack_left(rows, left) }
                }
                f(left, depths);
            }
        });
    }

    /// Blocks of columns.
    fn n_columns(&self) -> usize {
        (self.end - self.first).div_ceil(SIDE)
    }

    /// The outputs of a block of columns.
    fn columns(&self, idx: usize) -> Range<usize> {
        let first = self.first + idx * SIDE;
        first..self.end.min(first + SIDE)
    }

    /// The weights of a block of columns.
    fn right(&self, idx: usize, depths: &Range<usize>) -> &[u16] {
        let block_len = self.right_parts.block_len();
        let start = (idx * self.n_depths + depths.start) * block_len;
        &self.right[start..start + depths.len() * block_len]
    }

    /// A block of rows with one of columns.
    fn product<'a>(
        &'a self,
        left: &'a [u16],
        idx: usize,
        depths: &Range<usize>,
        soon: &'a [u16],
    ) -> Product<'a> {
        Product {
            left,
            right: self.right(idx, depths),
            right_parts: self.right_parts,
            n_depths: depths.len(),
            start: match depths.start {
                0 => Start::Row(&self.bias[idx * SIDE..]),
                _ => Start::Result,
            },
            soon,
        }
    }

    /// All rows with one block of columns.
    fn multiply_column(
        &self,
        tiles: &Tiles,
        left: &[u16],
        idx: usize,
        depths: &Range<usize>,
        out: &mut [f32],
    ) {
        let columns = self.columns(idx);
        let next = (idx + 1 < self.n_columns()).then(|| self.right(idx + 1, depths));
        let next = next.unwrap_or_default();
        // A quarter of the next columns with each of the rows.
        let mut next = next.chunks(next.len().max(1).div_ceil(MOST_ROWS / SIDE));
        let lefts = left.chunks_exact(depths.len() * LEFT_BLOCK);
        for (left, out) in lefts.zip(out.chunks_mut(SIDE * self.outputs)) {
            let soon = next.next().unwrap_or_default();
            let product = self.product(left, idx, depths, soon);
            let out = &mut out[columns.start..];
            if columns.len() == SIDE && out.len() >= (SIDE - 1) * self.outputs + SIDE {
                tiles.multiply(&product, out, self.outputs);
            } else {
                self.multiply_part(tiles, &product, out, columns.len());
            }
        }
    }

    /// Of a block at the edge of the result: fewer rows, or fewer columns.
    fn multiply_part(
        &self,
        tiles: &Tiles,
        product: &Product<'_>,
        out: &mut [f32],
        n_columns: usize,
    ) {
        let mut block = [0f32; SIDE * SIDE];
        for (block, out) in block.chunks_mut(SIDE).zip(out.chunks(self.outputs)) {
            block[..n_columns].copy_from_slice(&out[..n_columns]);
        }
        tiles.multiply(product, &mut block, SIDE);
        for (block, out) in block.chunks(SIDE).zip(out.chunks_mut(self.outputs)) {
            out[..n_columns].copy_from_slice(&block[..n_columns]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(n: usize, factor: usize) -> Vec<f32> {
        let value = |i: usize| (i * factor % 1013) as f32 / 506.0 - 1.0;
        (0..n).map(value).collect()
    }

    /// A branch that runs alone gives the bits that it gives in a batch. Without the unit
    /// there is nothing to try.
    #[test]
    fn rows_do_not_depend_on_how_many_there_are() {
        let Some(isa) = Isa::available()
            .into_iter()
            .find(|isa| isa.has_matrix_unit())
        else {
            return;
        };
        let (rows, inputs, outputs) = (301, 1300, 70);
        let (x, weight) = (values(rows * inputs, 7919), values(outputs * inputs, 6007));
        let bias = values(outputs, 31);
        let outputs_of = |x: &[f32]| {
            let rows = x.len() / inputs;
            let shape = LinearShape {
                rows,
                inputs,
                outputs,
            };
            let mut out = vec![f32::NAN; rows * outputs];
            run(isa, shape, x, Stored::F32(&weight), Some(&bias), &mut out);
            out
        };
        let all = outputs_of(&x);
        for n_rows in [5, 33, 150] {
            let parts = x.chunks(n_rows * inputs).map(outputs_of);
            assert!(
                parts.collect::<Vec<_>>().concat() == all,
                "{n_rows} at a time"
            );
        }
    }
}
