//! Norm and rotation of queries and keys, on tensors.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};

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
        let head_size = weight_layout.shape().dims1()?;
        let width = x_layout.dims().last().copied().unwrap_or(0);
        if head_size == 0 || !width.is_multiple_of(head_size) {
            bail!("rms_norm_heads: width {width} is not heads of {head_size}");
        }
        let mut out = values(self.name(), x, x_layout)?.to_vec();
        let weight = values(self.name(), weight, weight_layout)?;
        per_head::rms_norm(&mut out, weight, self.eps as f32);
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }
}

/// Rotary embedding of every head by the token's position.
///
/// `x`: (N, T, H·d); `cosines`, `sines`: (T, d/2); same shape as `x`.
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
        let (_, n_tokens, width) = x_layout.shape().dims3()?;
        let (_, n_pairs) = cosines_layout.shape().dims2()?;
        expect_dims(self.name(), cosines_layout, &[n_tokens, n_pairs])?;
        expect_dims(self.name(), sines_layout, &[n_tokens, n_pairs])?;
        if n_pairs == 0 || !width.is_multiple_of(2 * n_pairs) {
            bail!(
                "rotate_heads: width {width} is not heads of {}",
                2 * n_pairs
            );
        }
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
}
