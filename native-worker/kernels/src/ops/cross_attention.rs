//! Attention to the tokens of a text, on tensors.

use std::ops::Range;

use candle_core::{Device, Result, Tensor, bail};

use super::{expect_dims, values_on_cpu};
use crate::attention::{AttentionShape, Qkv, tiled};
use crate::fresh;
use crate::isa::Isa;

const NAME: &str = "cross_attention";

/// Every sample of a batch attends to rows of its own, all of them.
///
/// `q`: (N, T, H·d); `k`, `v`: (rows, H·d); `visible`: N ranges of rows, none empty;
/// result (N, T, H·d).
///
/// # Errors
/// If the shapes do not fit each other, a sample sees no row, or the device has not enough
/// memory.
pub fn cross_attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    n_heads: usize,
    visible: &[Range<usize>],
) -> Result<Tensor> {
    if !q.device().is_cpu() {
        return super::attend::cross_attend_elsewhere((q, k, v), n_heads, visible);
    }
    let (batch, n_tokens, width) = q.dims3()?;
    let (n_rows, _) = k.dims2()?;
    for x in [k, v] {
        expect_dims(NAME, x.layout(), &[n_rows, width])?;
    }
    check((batch, width, n_rows), n_heads, visible)?;
    let shape = AttentionShape {
        batch,
        n_tokens,
        n_heads,
        head_size: width / n_heads,
    };
    let [q, k, v] = [q, k, v].map(Tensor::storage_and_layout);
    let inputs = Qkv {
        q: values_on_cpu(NAME, &q.0, q.1)?,
        k: values_on_cpu(NAME, &k.0, k.1)?,
        v: values_on_cpu(NAME, &v.0, v.1)?,
    };
    let mut out = fresh::zeros(shape.n_elements());
    tiled::cross_attend(Isa::best(), shape, visible, inputs, &mut out);
    Tensor::from_vec(out, (batch, n_tokens, width), &Device::Cpu)
}

fn check(
    (batch, width, n_rows): (usize, usize, usize),
    n_heads: usize,
    visible: &[Range<usize>],
) -> Result<()> {
    if !width.is_multiple_of(n_heads) {
        bail!("{NAME}: width {width} is not a multiple of {n_heads} heads");
    }
    if visible.len() != batch {
        bail!("{NAME}: {batch} samples, but {} texts", visible.len());
    }
    match visible
        .iter()
        .find(|rows| rows.is_empty() || rows.end > n_rows)
    {
        Some(rows) => bail!("{NAME}: a sample sees rows {rows:?} of {n_rows}"),
        None => Ok(()),
    }
}
