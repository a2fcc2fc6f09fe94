//! The operations on candle tensors: what a model calls. Each is a candle custom op over
//! contiguous storage: `f32` on the CPU; with the feature `cuda` also f32, f16 or bf16 on a
//! GPU, where the tensors lie. Tensors of different places or types get an error.
//!
//! - [`attend`](mod@attend), [`cross_attention`], [`dense`]: attention.
//! - [`per_head`]: norm and rotation of single heads.
//! - [`linear`]: linear layers.
//! - [`feature_map`]: convolution and group norm of maps that lie on a device.
//! - [`placing`]: what brings tensors together.
//! - [`memory`], [`stopwatch`]: what a device has and how long it takes.

use candle_core::{CpuStorage, CustomOp1, CustomOp3, Layout, Result, Shape, Tensor, bail};

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;

use super::attention::{AttentionMask, AttentionShape, Qkv, tiled};
use super::elementwise::{self, Modulation};
use super::isa::Isa;

pub mod attend;
mod cross_attention;
#[cfg(feature = "cuda")]
pub mod cuda;
pub mod dense;
pub mod feature_map;
mod linear;
pub mod memory;
mod per_head;
pub mod placing;
pub mod stopwatch;

pub use attend::{Attended, attend};
pub use cross_attention::cross_attention;
pub use linear::{linear_layer, linear_stored};
pub use per_head::{rms_norm_heads, rotate_heads};
pub use placing::{beside, on_cpu, silu};

/// A contiguous tensor's elements.
fn values<'a>(name: &str, storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let CpuStorage::F32(data) = storage else {
        bail!("{name}: the CPU kernels compute in f32, got another type");
    };
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&data[start..end]),
        None => bail!("{name}: the CPU kernels need a contiguous tensor"),
    }
}

/// GELU (tanh form) of every element. Any shape.
pub fn gelu_tanh(x: &Tensor) -> Result<Tensor> {
    x.apply_op1_no_bwd(&Gelu)
}

struct Gelu;

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu_tanh"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut out = values(self.name(), storage, layout)?.to_vec();
        elementwise::gelu_tanh(Isa::best(), &mut out);
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        cuda::gelu_tanh(x, layout)
    }
}

/// Softmax over the last dimension. Any shape but a scalar.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    x.apply_op1_no_bwd(&Softmax)
}

struct Softmax;

impl CustomOp1 for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Some(&width) = layout.dims().last() else {
            bail!("softmax: expected rows, got a scalar");
        };
        let x = values(self.name(), storage, layout)?;
        let mut out = vec![0f32; x.len()];
        elementwise::softmax(Isa::best(), x, width, &mut out);
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }
}

/// Layer norm without affine, then `x (1 + scale) + shift` per image.
///
/// `x`: (N, T, D); `shift`, `scale`: (N, D); result (N, T, D).
pub fn layer_norm_modulate(x: &Tensor, shift: &Tensor, scale: &Tensor, eps: f64) -> Result<Tensor> {
    x.apply_op3_no_bwd(shift, scale, &LayerNormModulate { eps })
}

struct LayerNormModulate {
    eps: f64,
}

impl CustomOp3 for LayerNormModulate {
    fn name(&self) -> &'static str {
        "layer_norm_modulate"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        shift: &CpuStorage,
        shift_layout: &Layout,
        scale: &CpuStorage,
        scale_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, n_tokens, width) = x_layout.shape().dims3()?;
        expect_dims(self.name(), shift_layout, &[n, width])?;
        expect_dims(self.name(), scale_layout, &[n, width])?;
        let x = values(self.name(), x, x_layout)?;
        let modulation = Modulation {
            shift: values(self.name(), shift, shift_layout)?,
            scale: values(self.name(), scale, scale_layout)?,
            width,
            n_tokens,
            eps: self.eps as f32,
        };
        let mut out = vec![0f32; x.len()];
        elementwise::layer_norm_modulate(Isa::best(), x, modulation, &mut out);
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        shift: &CudaStorage,
        shift_layout: &Layout,
        scale: &CudaStorage,
        scale_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (n, _, width) = x_layout.shape().dims3()?;
        expect_dims(self.name(), shift_layout, &[n, width])?;
        expect_dims(self.name(), scale_layout, &[n, width])?;
        let (shift, scale) = ((shift, shift_layout), (scale, scale_layout));
        cuda::layer_norm_modulate((x, x_layout), shift, scale, self.eps as f32)
    }
}

/// Skip connection with a gate per image: `skip + gate · y`.
///
/// `skip`, `y`: (N, T, D); `gate`: (N, D); result (N, T, D).
pub fn gated_skip(skip: &Tensor, gate: &Tensor, y: &Tensor) -> Result<Tensor> {
    skip.apply_op3_no_bwd(gate, y, &GatedSkip)
}

struct GatedSkip;

impl CustomOp3 for GatedSkip {
    fn name(&self) -> &'static str {
        "gated_skip"
    }

    fn cpu_fwd(
        &self,
        skip: &CpuStorage,
        skip_layout: &Layout,
        gate: &CpuStorage,
        gate_layout: &Layout,
        y: &CpuStorage,
        y_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, n_tokens, width) = skip_layout.shape().dims3()?;
        expect_dims(self.name(), gate_layout, &[n, width])?;
        expect_dims(self.name(), y_layout, &[n, n_tokens, width])?;
        let skip = values(self.name(), skip, skip_layout)?;
        let gate = values(self.name(), gate, gate_layout)?;
        let y = values(self.name(), y, y_layout)?;
        let mut out = vec![0f32; skip.len()];
        elementwise::gated_skip(skip, gate, y, (n_tokens, width), &mut out);
        Ok((CpuStorage::F32(out), skip_layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        skip: &CudaStorage,
        skip_layout: &Layout,
        gate: &CudaStorage,
        gate_layout: &Layout,
        y: &CudaStorage,
        y_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (n, n_tokens, width) = skip_layout.shape().dims3()?;
        expect_dims(self.name(), gate_layout, &[n, width])?;
        expect_dims(self.name(), y_layout, &[n, n_tokens, width])?;
        cuda::gated_skip((skip, skip_layout), (gate, gate_layout), (y, y_layout))
    }
}

/// Self-attention over heads stored side by side, on the CPU; [`attend`](fn@attend) is for
/// any device.
///
/// `q`, `k`, `v`: (N, T, H·d); result (outputs, N, T, H·d), see [`AttentionMask`].
pub fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    n_heads: usize,
    mask: AttentionMask,
) -> Result<Tensor> {
    q.apply_op3_no_bwd(k, v, &Attention { n_heads, mask })
}

struct Attention {
    n_heads: usize,
    mask: AttentionMask,
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, n_tokens, width) = q_layout.shape().dims3()?;
        expect_dims(self.name(), k_layout, &[batch, n_tokens, width])?;
        expect_dims(self.name(), v_layout, &[batch, n_tokens, width])?;
        if !width.is_multiple_of(self.n_heads) {
            bail!(
                "attention: width {width} is not a multiple of {} heads",
                self.n_heads
            );
        }
        let shape = AttentionShape {
            batch,
            n_tokens,
            n_heads: self.n_heads,
            head_size: width / self.n_heads,
        };
        let inputs = Qkv {
            q: values(self.name(), q, q_layout)?,
            k: values(self.name(), k, k_layout)?,
            v: values(self.name(), v, v_layout)?,
        };
        let n_outputs = self.mask.n_outputs();
        let mut out = vec![0f32; n_outputs * shape.n_elements()];
        tiled::attend(Isa::best(), shape, self.mask, inputs, &mut out);
        let shape = Shape::from(vec![n_outputs, batch, n_tokens, width]);
        Ok((CpuStorage::F32(out), shape))
    }
}

fn expect_dims(name: &str, layout: &Layout, expected: &[usize]) -> Result<()> {
    if layout.dims() != expected {
        bail!(
            "{name}: expected a tensor of shape {expected:?}, got {:?}",
            layout.dims()
        );
    }
    Ok(())
}
