//! Attention in plain loops: one query at a time, every sum in f64. Slow and obviously
//! right; every faster kernel must agree with it.

use std::ops::Range;

use super::{AttentionMask, AttentionShape, Qkv};

/// Attention as written in the paper, section 3.1: `softmax(q kᵀ / √d) v` per head.
///
/// `out`: one (N, T, H·d) array per output of `mask`.
///
/// # Panics
/// If a slice does not have the size that `shape` says.
pub fn attend(shape: AttentionShape, mask: AttentionMask, inputs: Qkv<'_>, out: &mut [f32]) {
    inputs.check(shape);
    let expected = mask.n_outputs() * shape.n_elements();
    assert_eq!(out.len(), expected, "out is (outputs, N, T, H·d)");
    let n_tokens = shape.n_tokens;
    let (output, second) = out.split_at_mut(shape.n_elements());
    for row in 0..shape.batch * n_tokens {
        let query = row % n_tokens;
        for head in 0..shape.n_heads {
            let at = row * shape.width() + head * shape.head_size;
            let target = at..at + shape.head_size;
            let first = row - query;
            let full = || attend_keys(shape, inputs, row, head, first..first + n_tokens);
            let windowed = |window: dfa_core::Window| {
                let keys = window.keys_of(query, n_tokens);
                attend_keys(
                    shape,
                    inputs,
                    row,
                    head,
                    first + keys.start..first + keys.end,
                )
            };
            match mask {
                AttentionMask::Full => store(&mut output[target], &full()),
                AttentionMask::Windowed(window) => store(&mut output[target], &windowed(window)),
                AttentionMask::FullAndResidual(window) => {
                    let full = full();
                    let residual: Vec<f64> = full
                        .iter()
                        .zip(windowed(window))
                        .map(|(o, w)| o - w)
                        .collect();
                    store(&mut output[target.clone()], &full);
                    store(&mut second[target], &residual);
                }
            }
        }
    }
}

/// Attention to keys of another origin; see [`tiled`](super::tiled::cross_attend).
///
/// # Panics
/// If a slice does not have the size that `shape` says, or if an image sees no row.
pub fn cross_attend(
    shape: AttentionShape,
    visible: &[Range<usize>],
    inputs: Qkv<'_>,
    out: &mut [f32],
) {
    inputs.check_cross(shape, visible, out);
    for row in 0..shape.batch * shape.n_tokens {
        let keys = &visible[row / shape.n_tokens];
        for head in 0..shape.n_heads {
            let at = row * shape.width() + head * shape.head_size;
            let values = attend_keys(shape, inputs, row, head, keys.clone());
            store(&mut out[at..at + shape.head_size], &values);
        }
    }
}

/// One query's output over a range of rows of k and v.
fn attend_keys(
    shape: AttentionShape,
    inputs: Qkv<'_>,
    row: usize,
    head: usize,
    keys: Range<usize>,
) -> Vec<f64> {
    let slice = |array: &'_ [f32], row: usize| -> Vec<f64> {
        let at = row * shape.width() + head * shape.head_size;
        let values = &array[at..at + shape.head_size];
        values.iter().map(|&x| f64::from(x)).collect()
    };
    let q = slice(inputs.q, row);
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let scale = 1.0 / (shape.head_size as f64).sqrt();
    let scores: Vec<f64> = keys
        .clone()
        .map(|key| dot(&q, &slice(inputs.k, key)) * scale)
        .collect();
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
    let total: f64 = weights.iter().sum();
    let mut out = vec![0.0; shape.head_size];
    for (key, weight) in keys.zip(weights) {
        for (out, v) in out.iter_mut().zip(slice(inputs.v, key)) {
            *out += weight / total * v;
        }
    }
    out
}

fn store(target: &mut [f32], values: &[f64]) {
    for (target, &value) in target.iter_mut().zip(values) {
        *target = value as f32;
    }
}
