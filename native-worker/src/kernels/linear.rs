//! Matrix multiply with bias: `out = x Wᵀ + b`, row-major, by the `gemm` crate.

use gemm::Parallelism;

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
/// `bias`: (outputs) or absent, `out`: (rows, outputs).
///
/// # Panics
/// If a slice does not have the size that `shape` says.
pub fn linear(
    shape: LinearShape,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    out: &mut [f32],
) {
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
    assert_eq!(out.len(), rows * outputs, "out is (rows, outputs)");
    if let Some(bias) = bias {
        for row in out.chunks_exact_mut(outputs) {
            row.copy_from_slice(bias);
        }
    }
    // SAFETY: the three pointers cover what the asserts above checked, with row-major
    // strides; `out` is borrowed mutably, so it overlaps neither input.
    unsafe {
        gemm::gemm(
            rows,
            outputs,
            inputs,
            out.as_mut_ptr(),
            1,
            outputs as isize,
            bias.is_some(),
            x.as_ptr(),
            1,
            inputs as isize,
            weight.as_ptr(),
            inputs as isize,
            1,
            1.0,
            1.0,
            false,
            false,
            false,
            parallelism(rows * inputs * outputs),
        );
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
