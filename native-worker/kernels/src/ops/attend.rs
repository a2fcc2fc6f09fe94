//! Attention on any device, as models call it: on the CPU by the tiled kernel, elsewhere by
//! FlashAttention-2 where that takes the tensors, else composed of tensor operations.

use std::ops::Range;

use candle_core::{Result, Tensor, bail};
use dfa_core::Window;

use super::dense::dense_attention;
use crate::attention::AttentionMask;

/// What a self-attention call makes.
pub struct Attended {
    /// (N, T, H·d): of every key, or of the window.
    pub output: Tensor,
    /// Full output minus window output, if the mask asks for it; memory of its own.
    pub window_residual: Option<Tensor>,
}

/// Self-attention over heads stored side by side. `q`, `k`, `v`: (N, T, H·d).
///
/// # Errors
/// If the shapes do not fit each other, or the device has not enough memory.
pub fn attend(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    n_heads: usize,
    mask: AttentionMask,
) -> Result<Attended> {
    if q.device().is_cpu() {
        return attend_on_cpu((q, k, v), n_heads, mask);
    }
    check_heads(q, n_heads)?;
    let of_window = |window| elsewhere(q, k, v, n_heads, window);
    match mask {
        AttentionMask::Full => of_window(None).map(without_residual),
        AttentionMask::Windowed(window) => of_window(Some(window)).map(without_residual),
        AttentionMask::FullAndResidual(window) => {
            let output = of_window(None)?;
            let window_residual = Some((&output - of_window(Some(window))?)?);
            Ok(Attended {
                output,
                window_residual,
            })
        }
    }
}

fn attend_on_cpu(
    (q, k, v): (&Tensor, &Tensor, &Tensor),
    n_heads: usize,
    mask: AttentionMask,
) -> Result<Attended> {
    let outputs = super::attention(q, k, v, n_heads, mask)?; // (outputs, N, T, H·d)
    let output = outputs.get(0)?;
    if mask.n_outputs() == 1 {
        return Ok(without_residual(output));
    }
    // A copy of its own: a view would keep the other output alive as well.
    let window_residual = Some(outputs.get(1)?.force_contiguous()?);
    Ok(Attended {
        output,
        window_residual,
    })
}

fn without_residual(output: Tensor) -> Attended {
    Attended {
        output,
        window_residual: None,
    }
}

/// On a device, every sample to rows of its own; see [`super::cross_attention`].
pub(super) fn cross_attend_elsewhere(
    (q, k, v): (&Tensor, &Tensor, &Tensor),
    n_heads: usize,
    visible: &[Range<usize>],
) -> Result<Tensor> {
    check_heads(q, n_heads)?;
    if visible.len() != q.dim(0)? {
        bail!(
            "cross_attention: {} samples, but {} texts",
            q.dim(0)?,
            visible.len()
        );
    }
    let samples = visible.iter().enumerate().map(|(sample, rows)| {
        let seen = |x: &Tensor| x.narrow(0, rows.start, rows.len())?.unsqueeze(0); // (1, rows, H·d)
        elsewhere(
            &q.narrow(0, sample, 1)?,
            &seen(k)?,
            &seen(v)?,
            n_heads,
            None,
        )
    });
    Tensor::cat(&samples.collect::<Result<Vec<_>>>()?, 0)
}

fn check_heads(q: &Tensor, n_heads: usize) -> Result<()> {
    let (_, _, width) = q.dims3()?;
    if width.is_multiple_of(n_heads) {
        return Ok(());
    }
    bail!("attention: width {width} is not a multiple of {n_heads} heads")
}

fn elsewhere(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    n_heads: usize,
    window: Option<Window>,
) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if super::cuda::is_flash(q.dtype(), q.dim(2)? / n_heads) {
        return super::cuda::flash_attention(q, k, v, n_heads, window);
    }
    dense_attention(q, k, v, n_heads, window)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    /// Rounding of sums of a few dozen products of values around 1.
    const TOLERANCE: f32 = 2e-6;

    #[test]
    fn texts_are_seen_as_by_the_kernel() {
        let wave = |rows: usize, offset: usize| {
            let values = (0..rows * 24).map(|i| ((i * 5 + offset) as f32 * 0.29).sin());
            Tensor::from_vec(values.collect::<Vec<_>>(), (rows, 24), &Device::Cpu).unwrap()
        };
        let check = |n: usize, n_tokens: usize, visible: &[Range<usize>]| {
            let q = wave(n * n_tokens, 1).reshape((n, n_tokens, 24)).unwrap();
            let (k, v) = (wave(9, 2), wave(9, 3));
            let expected = crate::ops::cross_attention(&q, &k, &v, 3, visible).unwrap();
            let found = cross_attend_elsewhere((&q, &k, &v), 3, visible).unwrap();
            let difference = (found - expected)
                .unwrap()
                .abs()
                .unwrap()
                .max_all()
                .unwrap();
            let difference = difference.to_scalar::<f32>().unwrap();
            assert!(difference < TOLERANCE, "{visible:?}: {difference}");
        };
        check(2, 7, &[0..4, 4..9]);
        check(3, 3, &[8..9, 0..9, 2..3]);
    }
}
