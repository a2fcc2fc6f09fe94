//! GELU, softmax, layer norm with modulation, gated skip connection: each one pass over
//! memory, in parallel over rows, into a result of its own.

use super::fresh::{PIECE, filled, filled_rows};
use super::isa::{Isa, Lanes, for_each_isa};

/// GELU of every value, tanh form: `0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³)))`.
pub fn gelu_tanh(isa: Isa, values: &[f32]) -> Vec<f32> {
    filled(values.len(), PIECE, |start, out| {
        gelu_piece(isa, &values[start..start + out.len()], out);
    })
}

for_each_isa! {
    pub(crate) fn gelu_piece(values: &[f32], out: &mut [f32]) = gelu_body;
}

#[inline(always)]
fn gelu_body<L: Lanes>(values: &[f32], out: &mut [f32]) {
    // 0.5 (1 + tanh(u)) = 1 / (1 + e^(-2u)) = 1 / (1 + 2^(-2u log2 e))
    const SLOPE: f32 = -2.0 * 0.797_884_6 * std::f32::consts::LOG2_E;
    for (out, &x) in out.iter_mut().zip(values) {
        let cubic = L::mul_add(0.044_715 * x * x, x, x);
        *out = x / (1.0 + exp2::<L>(SLOPE * cubic));
    }
}

/// Softmax of every row: `e^(x - max) / Σ e^(x - max)`.
///
/// `values` and the result: (rows, `width`).
///
/// # Panics
/// If `values` are not whole rows.
pub fn softmax(isa: Isa, values: &[f32], width: usize) -> Vec<f32> {
    let width = width.max(1);
    assert!(
        values.len().is_multiple_of(width),
        "values are (rows, width)"
    );
    filled_rows(values.len() / width, width, |row, out| {
        softmax_rows(isa, &values[row * width..][..out.len()], width, out);
    })
}

for_each_isa! {
    pub(crate) fn softmax_rows(values: &[f32], width: usize, out: &mut [f32]) = softmax_body;
}

#[inline(always)]
fn softmax_body<L: Lanes>(values: &[f32], width: usize, out: &mut [f32]) {
    for (out, values) in out.chunks_mut(width).zip(values.chunks(width)) {
        let largest = largest_of(values);
        for (out, x) in out.iter_mut().zip(values) {
            *out = exp2::<L>((x - largest) * std::f32::consts::LOG2_E);
        }
        let inverse = 1.0 / sum_of(out, |x| x);
        for out in out {
            *out *= inverse;
        }
    }
}

/// The largest value, by sixteen independent running maxima.
#[inline(always)]
fn largest_of(values: &[f32]) -> f32 {
    let mut largest = [f32::NEG_INFINITY; 16];
    for chunk in values.chunks(16) {
        for (largest, &x) in largest.iter_mut().zip(chunk) {
            *largest = if x > *largest { x } else { *largest };
        }
    }
    largest.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

/// Coefficients of 2^f on [-0.5, 0.5], highest power first: 1 + f·g(f), g interpolated at
/// the 6 Chebyshev nodes.
pub(crate) const EXP2: [f32; 7] = [
    1.545_316_3e-4,
    1.339_086_3e-3,
    9.618_083e-3,
    5.550_357e-2,
    2.402_265e-1,
    6.931_472e-1,
    1.0,
];

/// 2^x to about 2 units in the last place; 0 below 2^-126, saturating above 2^127.
#[inline(always)]
pub(crate) fn exp2<L: Lanes>(x: f32) -> f32 {
    /// 1.5 · 2²³: adding it rounds to an integer in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let clamped = x.clamp(-126.0, 127.0);
    let shifted = clamped + ROUND;
    let fraction = clamped - (shifted - ROUND);
    let mut sum = EXP2[0];
    for coefficient in &EXP2[1..] {
        sum = L::mul_add(sum, fraction, *coefficient);
    }
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits());
    let scale = f32::from_bits(exponent.wrapping_add(127) << 23);
    if x < -126.0 { 0.0 } else { sum * scale }
}

/// Layer norm without affine, then `x (1 + scale) + shift` per image.
///
/// `values` and the result: (N, T, D); `shift`, `scale`: (N, D).
///
/// # Panics
/// If `values` or the modulation do not have the sizes that it says.
pub fn layer_norm_modulate(isa: Isa, values: &[f32], modulation: Modulation<'_>) -> Vec<f32> {
    let Modulation {
        shift,
        scale,
        width,
        n_tokens,
        eps,
    } = modulation;
    assert!(values.len().is_multiple_of(width), "values are (N, T, D)");
    filled_rows(values.len() / width.max(1), width, |first, out| {
        let values = values[first * width..].chunks(width);
        for (row, (out, values)) in out.chunks_mut(width).zip(values).enumerate() {
            let image = (first + row) / n_tokens * width;
            let shift = &shift[image..image + width];
            let scale = &scale[image..image + width];
            normalise_row(isa, values, shift, scale, eps, out);
        }
    })
}

/// Arguments of [`layer_norm_modulate`].
#[derive(Clone, Copy, Debug)]
pub struct Modulation<'a> {
    /// (N, D).
    pub shift: &'a [f32],
    /// (N, D).
    pub scale: &'a [f32],
    /// D.
    pub width: usize,
    /// T.
    pub n_tokens: usize,
    /// Added to the variance.
    pub eps: f32,
}

for_each_isa! {
    pub(crate) fn normalise_row(
        values: &[f32],
        shift: &[f32],
        scale: &[f32],
        eps: f32,
        out: &mut [f32],
    ) = normalise_body;
}

#[inline(always)]
fn normalise_body<L: Lanes>(
    values: &[f32],
    shift: &[f32],
    scale: &[f32],
    eps: f32,
    out: &mut [f32],
) {
    let width = values.len() as f32;
    let mean = sum_of(values, |x| x) / width;
    let variance = sum_of(values, |x| (x - mean) * (x - mean)) / width;
    let inverse = 1.0 / (variance + eps).sqrt();
    for (((out, x), shift), scale) in out.iter_mut().zip(values).zip(shift).zip(scale) {
        *out = L::mul_add((x - mean) * inverse, 1.0 + scale, *shift);
    }
}

/// Sum in sixteen independent partial sums, which the compiler can vectorise and which
/// also round less than one running sum.
#[inline(always)]
pub(crate) fn sum_of(values: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let mut partial = [0f32; 16];
    let chunks = values.chunks_exact(16);
    let rest: f32 = chunks.remainder().iter().map(|&x| term(x)).sum();
    for chunk in chunks {
        for (sum, &x) in partial.iter_mut().zip(chunk) {
            *sum += term(x);
        }
    }
    partial.iter().sum::<f32>() + rest
}

/// Skip connection with a gate per image: `skip + gate · y`.
///
/// `skip`, `y` and the result: (N, T, D); `gate`: (N, D), `n_tokens`: T.
///
/// # Panics
/// If the sizes differ.
pub fn gated_skip(
    isa: Isa,
    skip: &[f32],
    gate: &[f32],
    y: &[f32],
    (n_tokens, width): (usize, usize),
) -> Vec<f32> {
    assert_eq!(skip.len(), y.len(), "skip and y are (N, T, D)");
    assert!(skip.len().is_multiple_of(width), "skip is (N, T, D)");
    filled_rows(skip.len() / width.max(1), width, |first, out| {
        for (idx, out) in out.chunks_mut(width).enumerate() {
            let row = first + idx;
            let gate = &gate[row / n_tokens * width..][..width];
            let start = row * width;
            skip_row(
                isa,
                &skip[start..start + width],
                gate,
                &y[start..start + width],
                out,
            );
        }
    })
}

for_each_isa! {
    pub(crate) fn skip_row(skip: &[f32], gate: &[f32], y: &[f32], out: &mut [f32]) = skip_body;
}

#[inline(always)]
fn skip_body<L: Lanes>(skip: &[f32], gate: &[f32], y: &[f32], out: &mut [f32]) {
    for (((out, skip), gate), y) in out.iter_mut().zip(skip).zip(gate).zip(y) {
        *out = skip + gate * y;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of about this size, no two neighbours alike.
    fn wave(n: usize, offset: usize, size: f32) -> Vec<f32> {
        let values = (0..n).map(|i| ((i * 7 + offset) as f32 * 0.731).sin() * size);
        values.collect()
    }

    /// `of`: what each value is to be, in f64.
    fn assert_close(name: &str, found: &[f32], tolerance: f64, of: impl Fn(usize) -> f64) {
        for (at, &found) in found.iter().enumerate() {
            let expected = of(at);
            let error = (f64::from(found) - expected).abs();
            assert!(error <= tolerance, "{name} {at}: {found} is not {expected}");
        }
    }

    #[test]
    fn gelu_agrees_with_f64() {
        // Of several pieces, the last one short.
        let values = wave(2 * PIECE + 7, 1, 6.0);
        for isa in Isa::available() {
            let found = gelu_tanh(isa, &values);
            assert_eq!(found.len(), values.len());
            // A few units in the last place of values up to 6.
            assert_close(isa.name(), &found, 4e-6, |at| {
                let x = f64::from(values[at]);
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
                0.5 * x * (1.0 + inner.tanh())
            });
        }
    }

    #[test]
    fn layer_norm_and_modulation_agree_with_f64() {
        let check = |n: usize, n_tokens: usize, width: usize| {
            let values = wave(n * n_tokens * width, 2, 3.0);
            let (shift, scale) = (wave(n * width, 3, 1.0), wave(n * width, 4, 1.0));
            let modulation = Modulation {
                shift: &shift,
                scale: &scale,
                width,
                n_tokens,
                eps: 1e-6,
            };
            for isa in Isa::available() {
                let found = layer_norm_modulate(isa, &values, modulation);
                assert_eq!(found.len(), values.len());
                // Sums of up to 1152 values of about 3, divided by their spread.
                assert_close(isa.name(), &found, 2e-5, |at| {
                    let row = &values[at / width * width..][..width];
                    let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / width as f64;
                    let squares = row.iter().map(|&x| (f64::from(x) - mean).powi(2));
                    let variance = squares.sum::<f64>() / width as f64;
                    let normed = (f64::from(values[at]) - mean) / (variance + 1e-6).sqrt();
                    let column = at / (n_tokens * width) * width + at % width;
                    normed * (1.0 + f64::from(scale[column])) + f64::from(shift[column])
                });
            }
        };
        check(1, 1, 16);
        check(3, 5, 72);
        check(2, 37, 1152);
    }

    #[test]
    fn a_gate_belongs_to_its_image() {
        let check = |n: usize, n_tokens: usize, width: usize| {
            let (skip, y) = (
                wave(n * n_tokens * width, 5, 1.0),
                wave(n * n_tokens * width, 6, 1.0),
            );
            let gate = wave(n * width, 7, 1.0);
            for isa in Isa::available() {
                let found = gated_skip(isa, &skip, &gate, &y, (n_tokens, width));
                assert_eq!(found.len(), skip.len());
                // Two roundings of values below 2.
                assert_close(isa.name(), &found, 3e-7, |at| {
                    let column = at / (n_tokens * width) * width + at % width;
                    f64::from(skip[at]) + f64::from(gate[column]) * f64::from(y[at])
                });
            }
        };
        check(1, 1, 1);
        check(3, 5, 72);
        check(2, 37, 1152);
    }

    #[test]
    fn softmax_agrees_with_f64_sums() {
        let check = |n_rows: usize, width: usize, size: f32| {
            let values: Vec<f32> = (0..n_rows * width)
                .map(|i| ((i * 7919 % 1009) as f32 / 504.5 - 1.0) * size)
                .collect();
            for isa in Isa::available() {
                let found = softmax(isa, &values, width);
                for (row, found) in values.chunks(width).zip(found.chunks(width)) {
                    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                    let weight = |x: f32| f64::from(x - largest).exp();
                    let total: f64 = row.iter().map(|&x| weight(x)).sum();
                    for (&x, &found) in row.iter().zip(found) {
                        let expected = weight(x) / total;
                        // The exponent is rounded at its size, up to 2 · 60 · log2(e).
                        let error = (f64::from(found) - expected).abs();
                        assert!(
                            error <= 2e-5 * expected + 1e-30,
                            "{} {n_rows} x {width}: {found} is not {expected}",
                            isa.name()
                        );
                    }
                }
            }
        };
        check(1, 1, 1.0);
        check(3, 17, 1.0);
        check(40, 1024, 60.0);
        check(2, 40_000, 5.0);
    }
}
