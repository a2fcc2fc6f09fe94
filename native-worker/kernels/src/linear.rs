//! Matrix multiply with bias: `out = x Wᵀ + b`, row-major: on the matrix unit where the
//! machine has one ([`matrix_unit`]), else by the `gemm` crate, or, for a few rows, by dot
//! products ([`few_rows`]).
//!
//! A weight in half precision is widened, on the matrix unit every weight split, panel by
//! panel, into memory that does not grow with the layer; the results of finite values are
//! those of widening it as a whole, bit for bit.

use gemm::Parallelism;

use super::fresh;
use super::isa::Isa;
use super::scratch::{Scratch, with_scratch};
use super::widen::Stored;

mod few_rows;
#[cfg(target_arch = "x86_64")]
mod matrix_unit;

thread_local! {
    static WIDENED: Scratch = const { Scratch::new(Vec::new()) };
}

/// Values of a panel, about: 8 MiB widened, 4 to 12 MiB split. Each panel has the rows of `x` laid out anew, so
/// that small ones cost time; large ones would cost memory.
const PANEL_VALUES: usize = 1 << 21;
/// Outputs of a panel at least. Below 257 the matrix multiply might take another path
/// than for the whole layer, and then sum in another order.
const LEAST_PANEL: usize = 384;

/// Sizes of a linear layer applied to rows.
#[derive(Clone, Copy, Debug)]
pub struct LinearShape {
    /// Rows of `x` and `out`.
    pub rows: usize,
    /// Columns of `x` and of the weight.
    pub inputs: usize,
    /// Columns of `out`, rows of the weight.
    pub outputs: usize,
}

/// `out = x Wᵀ + b`.
///
/// `x`: (rows, inputs), `weight`: (outputs, inputs) as PyTorch stores it,
/// `bias`: (outputs) or absent; result (rows, outputs).
///
/// # Panics
/// If a slice does not have the size that `shape` says.
pub fn linear(shape: LinearShape, x: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    linear_stored(shape, x, Stored::F32(weight), bias)
}

/// [`linear`] with a weight in its stored type; the same results, bit for bit, if the
/// weight is finite.
///
/// # Panics
/// If a slice does not have the size that `shape` says.
pub fn linear_stored(
    shape: LinearShape,
    x: &[f32],
    weight: Stored<'_>,
    bias: Option<&[f32]>,
) -> Vec<f32> {
    linear_with(Isa::best(), shape, x, weight, bias)
}

/// [`linear_stored`] by a certain instruction set. Without the matrix unit the `gemm` crate
/// chooses its own.
///
/// # Panics
/// If a slice does not have the size that `shape` says.
pub fn linear_with(
    isa: Isa,
    shape: LinearShape,
    x: &[f32],
    weight: Stored<'_>,
    bias: Option<&[f32]>,
) -> Vec<f32> {
    let LinearShape {
        rows,
        inputs,
        outputs,
    } = shape;
    assert_eq!(x.len(), rows * inputs, "x is (rows, inputs)");
    assert_eq!(
        weight.len(),
        outputs * inputs,
        "weight is (outputs, inputs)"
    );
    assert!(
        bias.is_none_or(|bias| bias.len() == outputs),
        "bias is (outputs)"
    );
    if rows <= few_rows::MOST_ROWS {
        let mut out = fresh::zeros(rows * outputs);
        few_rows::run(isa, shape, x, weight, bias, &mut out);
        return out;
    }
    #[cfg(target_arch = "x86_64")]
    if isa.has_matrix_unit() && inputs > 0 && outputs > 0 {
        let mut out = fresh::zeros(rows * outputs);
        matrix_unit::run(isa, shape, x, weight, bias, &mut out);
        return out;
    }
    let mut out = start_from_bias(bias, rows, outputs);
    let product = Product {
        rows,
        inputs,
        outputs,
        adds: bias.is_some(),
    };
    if let Stored::F32(weight) = weight {
        product.run(x, weight, 0, &mut out);
        return out;
    }
    let longest = panels(inputs, outputs).map(|panel| panel.len()).max();
    with_scratch(&WIDENED, longest.unwrap_or(0) * inputs, |scratch| {
        for panel in panels(inputs, outputs) {
            let values = weight.slice(panel.start * inputs..panel.end * inputs);
            let widened = &mut scratch[..values.len()];
            values.widen_into(widened);
            product.run(x, widened, panel.start, &mut out);
        }
    });
    out
}

/// Ranges of outputs, nearly equal, each at least [`LEAST_PANEL`] long unless it is all.
fn panels(inputs: usize, outputs: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let length = (PANEL_VALUES / inputs.max(1)).max(LEAST_PANEL);
    let n_panels = (outputs / length).max(1);
    (0..n_panels).map(move |idx| outputs * idx / n_panels..outputs * (idx + 1) / n_panels)
}

fn start_from_bias(bias: Option<&[f32]>, rows: usize, outputs: usize) -> Vec<f32> {
    let Some(bias) = bias else {
        return fresh::zeros(rows * outputs);
    };
    fresh::filled_rows(rows, outputs, |_, out| {
        for row in out.chunks_exact_mut(outputs.max(1)) {
            row.copy_from_slice(bias);
        }
    })
}

/// A product whose sizes were checked.
#[derive(Clone, Copy)]
struct Product {
    rows: usize,
    inputs: usize,
    outputs: usize,
    /// Whether to add to what `out` holds.
    adds: bool,
}

impl Product {
    /// The columns of `out` from `first`, one for each row of `weight`.
    fn run(self, x: &[f32], weight: &[f32], first: usize, out: &mut [f32]) {
        let n_columns = weight
            .len()
            .checked_div(self.inputs)
            .unwrap_or(self.outputs);
        assert!(first + n_columns <= self.outputs, "columns are inside out");
        assert_eq!(x.len(), self.rows * self.inputs, "x is (rows, inputs)");
        assert_eq!(
            out.len(),
            self.rows * self.outputs,
            "out is (rows, outputs)"
        );
        if self.rows == 0 || n_columns == 0 {
            return;
        }
        // SAFETY: the three pointers cover what the asserts above checked, with row-major
        // strides: the last element of `out` that is touched is in column
        // `first + n_columns - 1` of its last row. `out` is borrowed mutably, so it
        // overlaps neither input.
        unsafe {
            gemm::gemm(
                self.rows,
                n_columns,
                self.inputs,
                out.as_mut_ptr().add(first),
                1,
                self.outputs as isize,
                self.adds,
                x.as_ptr(),
                1,
                self.inputs as isize,
                weight.as_ptr(),
                self.inputs as isize,
                1,
                1.0,
                1.0,
                false,
                false,
                false,
                parallelism(self.rows * self.inputs * n_columns),
            );
        }
    }
}

/// Small products are not worth the hand-over to other threads.
fn parallelism(macs: usize) -> Parallelism {
    if macs < 64 * 64 * 64 {
        Parallelism::None
    } else {
        Parallelism::Rayon(rayon::current_num_threads())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Different halves, no two rows alike; subnormal ones too.
    fn halves(n: usize) -> Vec<u16> {
        let mut state = 0x9E37_79B9u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as u16
        };
        // Without the highest bit of the exponent both kinds are below 2, and finite.
        (0..n).map(|_| next() & 0xbfff).collect()
    }

    #[test]
    fn stored_weights_give_the_bits_of_widened_ones() {
        let check = |rows: usize, inputs: usize, outputs: usize| {
            let shape = LinearShape {
                rows,
                inputs,
                outputs,
            };
            let bits = halves(outputs * inputs);
            let mut x = vec![0f32; rows * inputs];
            Stored::F16(&halves(rows * inputs + 1)[1..]).widen_into(&mut x);
            let bias: Vec<f32> = (0..outputs).map(|idx| idx as f32 * 0.01).collect();
            for stored in [Stored::F16(&bits), Stored::Bf16(&bits)] {
                let mut weight = vec![0f32; bits.len()];
                stored.widen_into(&mut weight);
                for bias in [None, Some(bias.as_slice())] {
                    for isa in Isa::available() {
                        let expected = linear_with(isa, shape, &x, Stored::F32(&weight), bias);
                        let found = linear_with(isa, shape, &x, stored, bias);
                        assert_eq!(found.len(), rows * outputs, "{shape:?}");
                        let same = expected
                            .iter()
                            .zip(&found)
                            .all(|(a, b)| a.to_bits() == b.to_bits());
                        assert!(same, "{} {shape:?} {}", isa.name(), bias.is_some());
                    }
                }
            }
        };
        for rows in [1, 2, 3, 17, 64, 65, 200] {
            check(rows, 1, 7);
            check(rows, 2, 900);
            check(rows, 24, 24);
            check(rows, 256, 1152);
            check(rows, 1153, 1537);
        }
        check(2, 1152, 6912);
        check(40, 4096, 777);
        check(0, 8, 8);
        check(3, 0, 5);
        check(7, 0, 5);
        check(7, 5, 0);
    }

    /// Waves of every size between a thousandth and a thousand.
    fn waves(n: usize, offset: usize) -> Vec<f32> {
        let value = |i: usize| {
            let size = (((i * 13 + offset) % 61) as f32 / 10.0 - 3.0) * std::f32::consts::LN_10;
            ((i * 7 + offset) as f32 * 0.731).sin() * libm::expf(size)
        };
        (0..n).map(value).collect()
    }

    #[test]
    fn a_layer_agrees_with_f64_sums() {
        let check = |rows: usize, inputs: usize, outputs: usize| {
            let shape = LinearShape {
                rows,
                inputs,
                outputs,
            };
            let (x, weight) = (waves(rows * inputs, 1), waves(outputs * inputs, 2));
            let zeros = vec![0f32; outputs];
            let ramp = waves(outputs, 3);
            for (bias, added) in [(None, &zeros), (Some(ramp.as_slice()), &ramp)] {
                for isa in Isa::available() {
                    let found = linear_with(isa, shape, &x, Stored::F32(&weight), bias);
                    for (at, &found) in found.iter().enumerate() {
                        let (row, output) = (at / outputs, at % outputs);
                        let x = &x[row * inputs..][..inputs];
                        let products = x.iter().zip(&weight[output * inputs..]);
                        let products = products.map(|(&a, &b)| f64::from(a) * f64::from(b));
                        let sizes: f64 = products.clone().map(f64::abs).sum();
                        let bias = f64::from(added[output]);
                        let expected = products.sum::<f64>() + bias;
                        // Every sum is rounded at its size, many at a time and in any order.
                        let tolerance = 2e-6 * (sizes + bias.abs());
                        let error = (f64::from(found) - expected).abs();
                        assert!(
                            error <= tolerance,
                            "{} {shape:?} {at}: {found} is not {expected}",
                            isa.name()
                        );
                    }
                }
            }
        };
        for rows in [1, 5, 17, 33] {
            check(rows, 1, 7);
            check(rows, 24, 400);
            check(rows, 1153, 65);
        }
        // Two panels and several parts of the inner dimension; more rows than a task has.
        check(9, 2100, 1999);
        check(150, 1200, 33);
    }

    /// The matrix unit's splitting loses no more than sums of f32 do.
    #[test]
    fn every_instruction_set_is_as_exact_as_f32() {
        let (rows, inputs, outputs) = (64, 1152, 96);
        let shape = LinearShape {
            rows,
            inputs,
            outputs,
        };
        let (x, weight) = (waves(rows * inputs, 5), waves(outputs * inputs, 6));
        let mut exact = vec![0f64; rows * outputs];
        for (at, exact) in exact.iter_mut().enumerate() {
            let (x, weight) = (
                &x[at / outputs * inputs..],
                &weight[at % outputs * inputs..],
            );
            let products = x[..inputs].iter().zip(weight);
            *exact = products.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
        }
        let error_of = |isa| {
            let found = linear_with(isa, shape, &x, Stored::F32(&weight), None);
            let squares = found.iter().zip(&exact);
            let squares: f64 = squares.map(|(&a, b)| (f64::from(a) - b).powi(2)).sum();
            (squares / exact.iter().map(|b| b * b).sum::<f64>()).sqrt()
        };
        for isa in Isa::available() {
            let error = error_of(isa);
            // Measured: 2.1e-7 by the gemm crate, 1.9e-7 on the matrix unit.
            assert!(error < 4e-7, "{}: {error:e}", isa.name());
        }
    }

    #[test]
    fn panels_cover_all_outputs_and_none_is_small() {
        for (inputs, outputs) in [
            (1152, 6912),
            (4096, 10240),
            (10240, 4096),
            (1, 5),
            (8, 0),
            (0, 3),
        ] {
            let mut end = 0;
            for panel in panels(inputs, outputs) {
                assert_eq!(panel.start, end, "{inputs} {outputs}");
                assert!(
                    panel.len() >= LEAST_PANEL.min(outputs),
                    "{inputs} {outputs}"
                );
                end = panel.end;
            }
            assert_eq!(end, outputs, "{inputs}");
        }
    }
}
