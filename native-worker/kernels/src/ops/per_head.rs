//! Norm and rotation of queries and keys, on tensors.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;

use super::{expect_dims, values};
use crate::per_head::{self, Rotation};

/// Root-mean-square norm of every head, then `weight`.
///
/// `x`: (…, H·d); `weight`: (d); same shape.
pub fn rms_norm_heads(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    x.apply_op2_no_bwd(weight, &RmsNorm { eps })
}

struct RmsNorm {
    eps: f64,
}

fn check_heads(x: &Layout, head_size: usize) -> Result<()> {
    let width = x.dims().last().copied().unwrap_or(0);
    if head_size == 0 || !width.is_multiple_of(head_size) {
        bail!("rms_norm_heads: width {width} is not heads of {head_size}");
    }
    Ok(())
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms_norm_heads"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        check_heads(x_layout, weight_layout.shape().dims1()?)?;
        let mut out = values(self.name(), x, x_layout)?.to_vec();
        let weight = values(self.name(), weight, weight_layout)?;
        per_head::rms_norm(&mut out, weight, self.eps as f32);
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        weight: &CudaStorage,
        weight_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        check_heads(x_layout, weight_layout.shape().dims1()?)?;
        super::cuda::rms_norm_heads((x, x_layout), (weight, weight_layout), self.eps as f32)
    }
}

/// Rotary embedding of every head by the token's position.
///
/// `x`: (N, T, H·d); `cosines`, `sines`: (T, d/2), f32; same shape as `x`.
pub fn rotate_heads(x: &Tensor, cosines: &Tensor, sines: &Tensor) -> Result<Tensor> {
    x.apply_op3_no_bwd(cosines, sines, &RotateHeads)
}

struct RotateHeads;

impl CustomOp3 for RotateHeads {
    fn name(&self) -> &'static str {
        "rotate_heads"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        cosines: &CpuStorage,
        cosines_layout: &Layout,
        sines: &CpuStorage,
        sines_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n_tokens, n_pairs, width) = rotation_dims(x_layout, cosines_layout, sines_layout)?;
        let rotation = Rotation {
            cosines: values(self.name(), cosines, cosines_layout)?,
            sines: values(self.name(), sines, sines_layout)?,
            n_heads: width / (2 * n_pairs),
            n_tokens,
        };
        let mut out = values(self.name(), x, x_layout)?.to_vec();
        per_head::rotate(&mut out, rotation);
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        cosines: &CudaStorage,
        cosines_layout: &Layout,
        sines: &CudaStorage,
        sines_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        rotation_dims(x_layout, cosines_layout, sines_layout)?;
        let angles = ((cosines, cosines_layout), (sines, sines_layout));
        super::cuda::rotate_heads((x, x_layout), angles.0, angles.1)
    }
}

/// T, pairs of a head, width, checked against each other.
fn rotation_dims(x: &Layout, cosines: &Layout, sines: &Layout) -> Result<(usize, usize, usize)> {
    let (_, n_tokens, width) = x.shape().dims3()?;
    let (_, n_pairs) = cosines.shape().dims2()?;
    expect_dims("rotate_heads", cosines, &[n_tokens, n_pairs])?;
    expect_dims("rotate_heads", sines, &[n_tokens, n_pairs])?;
    if n_pairs == 0 || !width.is_multiple_of(2 * n_pairs) {
        bail!(
            "rotate_heads: width {width} is not heads of {}",
            2 * n_pairs
        );
    }
    Ok((n_tokens, n_pairs, width))
}
