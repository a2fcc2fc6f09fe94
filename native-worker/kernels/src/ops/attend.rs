//! Attention on any device, as models call it: on the CPU by the tiled kernel, elsewhere by
//! FlashAttention-2 where that takes the tensors, else composed of tensor operations.

use std::ops::Range;

use candle_core::{Device, Result, Tensor, bail};
use dfa_core::Window;

use super::dense::dense_attention;
use super::{expect_dims, values_on_cpu};
use crate::attention::{AttentionMask, AttentionShape, Outputs, Qkv, tiled};
use crate::fresh;
use crate::isa::Isa;

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
        return attend_on_cpu((q, k, v), n_heads, mask, None);
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

/// What the window gives, plus a kept window residual (N, T, H·d), as `wa_rs` wants it.
/// The rest is as in [`attend`].
///
/// # Errors
/// Those of [`attend`].
pub fn attend_window_and_add(
    (q, k, v): (&Tensor, &Tensor, &Tensor),
    n_heads: usize,
    window: Window,
    residual: &Tensor,
) -> Result<Tensor> {
    let mask = AttentionMask::Windowed(window);
    if q.device().is_cpu() {
        let attended = attend_on_cpu((q, k, v), n_heads, mask, Some(residual))?;
        return Ok(attended.output);
    }
    attend(q, k, v, n_heads, mask)?.output + residual
}

fn attend_on_cpu(
    (q, k, v): (&Tensor, &Tensor, &Tensor),
    n_heads: usize,
    mask: AttentionMask,
    addend: Option<&Tensor>,
) -> Result<Attended> {
    const NAME: &str = "attention";
    let shape = attention_shape(q, n_heads)?;
    let dims = q.dims3()?;
    for x in [Some(k), Some(v), addend].into_iter().flatten() {
        expect_dims(NAME, x.layout(), q.dims())?;
    }
    let [q, k, v] = [q, k, v].map(Tensor::storage_and_layout);
    let inputs = Qkv {
        q: values_on_cpu(NAME, &q.0, q.1)?,
        k: values_on_cpu(NAME, &k.0, k.1)?,
        v: values_on_cpu(NAME, &v.0, v.1)?,
    };
    let addend = addend.map(Tensor::storage_and_layout);
    let addend = addend
        .as_ref()
        .map(|(storage, layout)| values_on_cpu(NAME, storage, layout));
    let makes_residual = mask.n_outputs() > 1;
    let mut output = fresh::zeros(shape.n_elements());
    let mut window_residual = fresh::zeros(usize::from(makes_residual) * shape.n_elements());
    let outputs = Outputs {
        output: &mut output,
        window_residual: &mut window_residual,
    };
    tiled::attend_apart(
        Isa::best(),
        shape,
        mask,
        inputs,
        addend.transpose()?,
        outputs,
    );
    let tensor = |values| Tensor::from_vec(values, dims, &Device::Cpu);
    let window_residual = makes_residual.then(|| tensor(window_residual));
    Ok(Attended {
        output: tensor(output)?,
        window_residual: window_residual.transpose()?,
    })
}

/// `q`: (N, T, H·d).
fn attention_shape(q: &Tensor, n_heads: usize) -> Result<AttentionShape> {
    check_heads(q, n_heads)?;
    let (batch, n_tokens, width) = q.dims3()?;
    Ok(AttentionShape {
        batch,
        n_tokens,
        n_heads,
        head_size: width / n_heads,
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
    fn what_is_added_in_the_kernel_has_the_bits_of_adding_it_afterwards() {
        let check = |n: usize, n_tokens: usize, window: Window| {
            let tensor = |offset: usize| {
                let values = (0..n * n_tokens * 24).map(|i| ((i * 5 + offset) as f32 * 0.29).sin());
                let values = values.collect::<Vec<_>>();
                Tensor::from_vec(values, (n, n_tokens, 24), &Device::Cpu).unwrap()
            };
            let (q, k, v, residual) = (tensor(1), tensor(2), tensor(3), tensor(4));
            let attended = attend(&q, &k, &v, 2, AttentionMask::Windowed(window)).unwrap();
            let expected = (attended.output + &residual).unwrap();
            let found = attend_window_and_add((&q, &k, &v), 2, window, &residual).unwrap();
            let bits = |x: &Tensor| {
                let values = x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                values.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            assert_eq!(bits(&found), bits(&expected), "{n} {n_tokens} {window:?}");
        };
        check(1, 1, Window::symmetric(0));
        check(3, 50, Window::symmetric(4));
        check(2, 131, Window { left: 20, right: 3 });
    }

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
