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

use candle_core::{CpuStorage, CustomOp1, CustomOp3, Layout, Result, Shape, Storage, Tensor, bail};

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;

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

pub use attend::{Attended, attend, attend_window_and_add};
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

/// A contiguous tensor's elements on the CPU, from [`Tensor::storage_and_layout`].
fn values_on_cpu<'a>(name: &str, storage: &'a Storage, layout: &Layout) -> Result<&'a [f32]> {
    match storage {
        Storage::Cpu(storage) => values(name, storage, layout),
        _ => bail!("{name}: a tensor is not on the CPU, where another one is"),
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
        let out = elementwise::gelu_tanh(Isa::best(), values(self.name(), storage, layout)?);
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
        let out = elementwise::softmax(Isa::best(), x, width);
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
        let out = elementwise::layer_norm_modulate(Isa::best(), x, modulation);
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
        let out = elementwise::gated_skip(Isa::best(), skip, gate, y, (n_tokens, width));
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

fn expect_dims(name: &str, layout: &Layout, expected: &[usize]) -> Result<()> {
    if layout.dims() != expected {
        bail!(
            "{name}: expected a tensor of shape {expected:?}, got {:?}",
            layout.dims()
        );
    }
    Ok(())
}
