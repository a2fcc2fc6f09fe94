//! Numbers of mean 0 and variance 1, the same on every machine; and layers made of them.

use candle_core::{Device, Result, Tensor};
use dfa_native_worker::attention::{Projections, SelfAttention};
use dfa_native_worker::device::Placement;
use dfa_native_worker::model::linear::Linear;

/// Uniform numbers; `seed` tells tensors apart.
pub fn numbers(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let unit = ((z ^ (z >> 31)) >> 40) as f32 / (1u32 << 24) as f32;
        (unit - 0.5) * 12f32.sqrt()
    };
    (0..n).map(|_| next()).collect()
}

/// A tensor of such numbers, rounded to the placement's type; on the CPU, in f32.
///
/// # Errors
/// If a tensor operation fails.
pub fn rounded(dims: &[usize], seed: u64, like: &Placement) -> Result<Tensor> {
    let values = numbers(dims.iter().product(), seed);
    let tensor = Tensor::from_vec(values, dims, &Device::Cpu)?;
    let rounded = tensor.to_dtype(like.number().dtype())?;
    rounded.to_dtype(candle_core::DType::F32)
}

/// A self-attention layer whose weights are rounded to the type of `like`, on `placement`.
///
/// # Errors
/// If the device has not enough memory.
pub fn attention_layer(
    width: usize,
    n_heads: usize,
    like: &Placement,
    placement: &Placement,
) -> Result<SelfAttention> {
    let linear = |seed: u64| -> Result<Linear> {
        // Queries and keys of variance 1: scores as trained networks have them.
        let weight = (rounded(&[width, width], seed, like)? / (width as f64).sqrt())?;
        let weight = weight.to_dtype(like.number().dtype())?;
        let bias = rounded(&[width], seed + 1, like)?;
        let bias = placement.place(&bias)?;
        Ok(Linear::new(placement.place(&weight)?, Some(bias)))
    };
    let projections = Projections {
        to_q: linear(11)?,
        to_k: linear(21)?,
        to_v: linear(31)?,
        to_out: linear(41)?,
    };
    Ok(SelfAttention::new(projections, n_heads, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_mean_0_and_variance_1() {
        let found = numbers(100_000, 3);
        let n = found.len() as f64;
        let mean = found.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
        let square = found
            .iter()
            .map(|&x| f64::from(x) * f64::from(x))
            .sum::<f64>()
            / n;
        // Five standard errors.
        assert!(mean.abs() < 0.016, "{mean}");
        assert!((square - 1.0).abs() < 0.02, "{square}");
        assert_ne!(numbers(4, 1), numbers(4, 2));
    }
}
