//! Attention composed of tensor operations, on any device and for any head size: what the
//! flash kernels do not take (f32, heads of more than 96 values) goes this way.
//!
//! Scores exist for a chunk of queries at a time, so that memory stays bounded.

use candle_core::{D, DType, Device, Result, Tensor};
use dfa_core::Window;

/// Scores that exist at once, about: 256 MiB of f32.
const SCORES_AT_ONCE: usize = 64 << 20;

/// `q`: (N, T, H·d); `k`, `v`: (N, S, H·d); result (N, T, H·d), computed in f32.
/// With a window, S is T.
///
/// # Errors
/// If the shapes do not fit each other.
pub fn dense_attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    n_heads: usize,
    window: Option<Window>,
) -> Result<Tensor> {
    let (n, n_tokens, width) = q.dims3()?;
    let n_keys = k.dim(1)?;
    let scale = 1.0 / ((width / n_heads) as f64).sqrt();
    let heads = (heads_of(q, n_heads)? * scale)?; // (N, H, T, d)
    let keys = heads_of(k, n_heads)?.transpose(2, 3)?; // (N, H, d, S)
    let values = heads_of(v, n_heads)?;
    let per_chunk = (SCORES_AT_ONCE / (n * n_heads * n_keys)).max(1);
    let mut chunks = Vec::with_capacity(n_tokens.div_ceil(per_chunk));
    for start in (0..n_tokens).step_by(per_chunk) {
        let length = per_chunk.min(n_tokens - start);
        let mut scores = heads.narrow(2, start, length)?.matmul(&keys)?; // (N, H, length, S)
        if let Some(window) = window {
            let hidden = hidden(window, start..start + length, n_tokens, q.device())?;
            scores = scores.broadcast_add(&hidden)?;
        }
        chunks.push(softmax(&scores)?.matmul(&values)?); // (N, H, length, d)
    }
    let attended = Tensor::cat(&chunks, 2)?.transpose(1, 2)?; // (N, T, H, d)
    attended
        .contiguous()?
        .reshape((n, n_tokens, width))?
        .to_dtype(q.dtype())
}

/// (N, T, H·d) → (N, H, T, d), f32.
fn heads_of(x: &Tensor, n_heads: usize) -> Result<Tensor> {
    let (n, n_tokens, width) = x.dims3()?;
    let heads = x.reshape((n, n_tokens, n_heads, width / n_heads))?;
    heads.to_dtype(DType::F32)?.transpose(1, 2)?.contiguous()
}

/// What is added to the scores of some queries: 0 within the window, -∞ outside; (queries, T).
fn hidden(
    window: Window,
    queries: std::ops::Range<usize>,
    n_tokens: usize,
    device: &Device,
) -> Result<Tensor> {
    let n = queries.len();
    let mut values = vec![f32::NEG_INFINITY; n * n_tokens];
    for (row, query) in values.chunks_exact_mut(n_tokens).zip(queries) {
        row[window.keys_of(query, n_tokens)].fill(0.0);
    }
    Tensor::from_vec(values, (n, n_tokens), device)
}

/// Over the last dimension.
fn softmax(scores: &Tensor) -> Result<Tensor> {
    let largest = scores.max_keepdim(D::Minus1)?;
    let shares = scores.broadcast_sub(&largest)?.exp()?;
    shares.broadcast_div(&shares.sum_keepdim(D::Minus1)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attention::AttentionMask;
    use crate::ops::attend;

    fn waves(n: usize, offset: usize) -> Vec<f32> {
        (0..n)
            .map(|i| ((i * 7 + offset) as f32 * 0.37).sin())
            .collect()
    }

    /// Rounding of sums of a few dozen products of values around 1.
    const TOLERANCE: f32 = 2e-6;

    #[test]
    fn dense_attention_agrees_with_the_kernels() {
        let check = |n, n_tokens, n_heads, head_size, window: Option<Window>| {
            let shape = (n, n_tokens, n_heads * head_size);
            let n_values = n * n_tokens * n_heads * head_size;
            let tensor = |offset| Tensor::from_vec(waves(n_values, offset), shape, &Device::Cpu);
            let (q, k, v) = (tensor(0).unwrap(), tensor(3).unwrap(), tensor(5).unwrap());
            let mask = window.map_or(AttentionMask::Full, AttentionMask::Windowed);
            let expected = attend(&q, &k, &v, n_heads, mask).unwrap().output;
            let found = dense_attention(&q, &k, &v, n_heads, window).unwrap();
            let difference = (found - expected)
                .unwrap()
                .abs()
                .unwrap()
                .max_all()
                .unwrap();
            let difference = difference.to_scalar::<f32>().unwrap();
            assert!(difference < TOLERANCE, "{shape:?} {window:?}: {difference}");
        };
        check(2, 37, 2, 12, None);
        check(2, 37, 2, 12, Some(Window { left: 5, right: 3 }));
        check(1, 5, 1, 8, Some(Window::symmetric(0)));
        check(1, 9, 3, 4, Some(Window::symmetric(100)));
    }
}
