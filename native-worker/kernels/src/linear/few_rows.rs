//! A linear layer of a few rows, such as the one that makes a block's modulation from the
//! time: every weight is used once or twice, so that reading them is all that counts.
//!
//! Dot products, one output after the other. A weight's row is widened into memory that
//! stays in the first-level cache; in which type it was stored does not change a bit, nor
//! does the number of rows.

use rayon::prelude::*;

use super::LinearShape;
use crate::isa::{Isa, Lanes, for_each_isa};
use crate::widen::{Stored, bf16_to_f32, f16_to_f32};

/// The most rows that this is made for.
pub(super) const MOST_ROWS: usize = 4;
/// Outputs of a parallel task.
const OUTPUTS: usize = 64;
/// Inputs that are widened at once.
const INPUTS: usize = 2048;

/// `out = x Wᵀ + b`, see [`super::linear`], whose sizes were checked.
pub(super) fn run(
    isa: Isa,
    shape: LinearShape,
    x: &[f32],
    weight: Stored<'_>,
    bias: Option<&[f32]>,
    out: &mut [f32],
) {
    let mut rows = out.chunks_mut(shape.outputs.max(1));
    let rows: [&mut [f32]; MOST_ROWS] = std::array::from_fn(|_| rows.next().unwrap_or_default());
    let [a, b, c, d] = rows.map(|row| row.chunks_mut(OUTPUTS));
    let mut others = [b, c, d];
    let tasks: Vec<_> = a
        .map(|first| {
            let rest = others.each_mut().map(|row| row.next().unwrap_or_default());
            let [b, c, d] = rest;
            [first, b, c, d]
        })
        .collect();
    tasks.into_par_iter().enumerate().for_each(|(idx, out)| {
        let first = idx * OUTPUTS;
        let part = Part {
            n_rows: shape.rows,
            inputs: shape.inputs,
            x,
            weight: weight.slice(first * shape.inputs..(first + out[0].len()) * shape.inputs),
            bias: bias.map(|bias| &bias[first..]),
        };
        outputs(isa, part, out);
    });
}

/// Some of the outputs.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    n_rows: usize,
    inputs: usize,
    x: &'a [f32],
    /// The rows of these outputs.
    weight: Stored<'a>,
    bias: Option<&'a [f32]>,
}

for_each_isa! {
    pub(crate) fn outputs(part: Part<'_>, out: [&mut [f32]; MOST_ROWS]) = outputs_body;
}

#[inline(always)]
fn outputs_body<L: Lanes>(part: Part<'_>, mut out: [&mut [f32]; MOST_ROWS]) {
    let mut widened = [0f32; INPUTS];
    for output in 0..out[0].len() {
        let weight = output * part.inputs..(output + 1) * part.inputs;
        let bias = part.bias.map_or(0.0, |bias| bias[output]);
        for row in out[..part.n_rows].iter_mut() {
            row[output] = bias;
        }
        let mut start = 0;
        while start < part.inputs {
            let n = INPUTS.min(part.inputs - start);
            let at = weight.start + start..weight.start + start + n;
            let weight = widened_row(part.weight.slice(at), &mut widened);
            for (row, x) in out.iter_mut().zip(part.x.chunks(part.inputs)) {
                row[output] += dot::<L>(weight, &x[start..start + n]);
            }
            start += n;
        }
    }
}

#[inline(always)]
fn widened_row<'a>(row: Stored<'a>, widened: &'a mut [f32; INPUTS]) -> &'a [f32] {
    match row {
        Stored::F32(values) => return values,
        Stored::F16(bits) => {
            for (out, &bits) in widened.iter_mut().zip(bits) {
                *out = f16_to_f32(bits);
            }
        }
        Stored::Bf16(bits) => {
            for (out, &bits) in widened.iter_mut().zip(bits) {
                *out = bf16_to_f32(bits);
            }
        }
    }
    &widened[..row.len()]
}

/// `Σ a b`, in four vectors of partial sums.
#[inline(always)]
fn dot<L: Lanes>(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [L::splat(0.0); 4];
    let (whole_a, whole_b) = (a.chunks_exact(4 * L::WIDTH), b.chunks_exact(4 * L::WIDTH));
    let rest: f32 = {
        let pairs = whole_a.remainder().iter().zip(whole_b.remainder());
        pairs.map(|(a, b)| a * b).sum()
    };
    for (a, b) in whole_a.zip(whole_b) {
        for (v, sum) in sums.iter_mut().enumerate() {
            let (a, b) = (&a[v * L::WIDTH..], &b[v * L::WIDTH..]);
            *sum = L::mul_add_lanes(L::load(a), L::load(b), *sum);
        }
    }
    let sum = L::add(L::add(sums[0], sums[1]), L::add(sums[2], sums[3]));
    let mut lanes = [0f32; 16];
    L::store(sum, &mut lanes);
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_rows_agree_with_f64_sums() {
        let check = |rows: usize, inputs: usize, outputs: usize| {
            let values = |n: usize, factor: usize| -> Vec<f32> {
                let value = |i: usize| (i * factor % 1013) as f32 / 506.0 - 1.0;
                (0..n).map(value).collect()
            };
            let shape = LinearShape {
                rows,
                inputs,
                outputs,
            };
            let (x, weight) = (values(rows * inputs, 7919), values(outputs * inputs, 6007));
            let bias = values(outputs, 31);
            for isa in Isa::available() {
                let mut out = vec![f32::NAN; rows * outputs];
                run(isa, shape, &x, Stored::F32(&weight), Some(&bias), &mut out);
                for (idx, found) in out.iter().enumerate() {
                    let (row, output) = (idx / outputs, idx % outputs);
                    let x = &x[row * inputs..(row + 1) * inputs];
                    let weight = &weight[output * inputs..(output + 1) * inputs];
                    let pairs = x.iter().zip(weight);
                    let sum: f64 = pairs.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
                    let expected = sum + f64::from(bias[output]);
                    // Sums of up to 5000 terms below one, each rounded at their size.
                    let error = (f64::from(*found) - expected).abs();
                    assert!(error < 2e-4, "{} {shape:?} {idx}: {error}", isa.name());
                }
            }
        };
        for rows in 1..=MOST_ROWS {
            check(rows, 1, 1);
            check(rows, 63, 65);
            check(rows, 1152, 130);
            check(rows, 5000, 3);
        }
    }
}
