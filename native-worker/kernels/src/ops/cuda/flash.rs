//! Attention by FlashAttention-2. Its window is ours: keys `i - left ..= i + right` of query
//! `i`. Heads of up to 96 values run in the kernel for 96, which was the one compiled.

use candle_core::{DType, Result, Tensor};
use candle_flash_attn::{flash_attn, flash_attn_windowed};
use dfa_core::Window;

use crate::ops::memory::taking_like;

/// Most values of a head.
const MAX_HEAD_SIZE: usize = 96;
/// Most sequences of a call: the kernel is started with a block for each along a side of the
/// grid that goes no farther, and does not say when it was not started.
const MAX_SEQUENCES: usize = 65_535;

/// Whether the flash kernels take heads of such a type and size.
pub(in crate::ops) fn is_flash(dtype: DType, head_size: usize) -> bool {
    matches!(dtype, DType::F16 | DType::BF16)
        && head_size.is_multiple_of(8)
        && head_size <= MAX_HEAD_SIZE
}

/// `q`: (N, T, H·d); `k`, `v`: (N, S, H·d); result (N, T, H·d). With a window, S is T.
pub(in crate::ops) fn flash_attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    n_heads: usize,
    window: Option<Window>,
) -> Result<Tensor> {
    let (_, n_tokens, width) = q.dims3()?;
    let n = q.dim(0)?;
    if n > MAX_SEQUENCES {
        let parts = (0..n).step_by(MAX_SEQUENCES).map(|start| {
            let part = |x: &Tensor| x.narrow(0, start, MAX_SEQUENCES.min(n - start));
            flash_attention(&part(q)?, &part(k)?, &part(v)?, n_heads, window)
        });
        return Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 0);
    }
    let heads = |x: &Tensor| {
        let (n, n_tokens, _) = x.dims3()?;
        x.reshape((n, n_tokens, n_heads, width / n_heads))
    };
    let (queries, keys, values) = (heads(q)?, heads(k)?, heads(v)?);
    let scale = 1.0 / ((width / n_heads) as f32).sqrt();
    let attended = taking_like(q, || match window {
        None => flash_attn(&queries, &keys, &values, scale, false),
        Some(Window { left, right }) => {
            // Longer sides would be taken as "no limit", and then a right side of 0 as "causal".
            let side = |side: usize| Some(side.min(n_tokens - 1));
            flash_attn_windowed(&queries, &keys, &values, scale, side(left), side(right))
        }
    })?;
    attended.reshape(q.dims())
}
