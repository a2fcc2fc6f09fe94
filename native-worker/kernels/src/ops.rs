//! The operations on candle tensors: what a model calls. Each is a candle custom op over
//! contiguous storage: `f32` on the CPU; with the feature `cuda` also f32, f16 or bf16 on a
//! GPU, where the tensors lie. Tensors of different places or types get an error.
//!
//! - [`attend`](mod@attend), [`cross_attention`], [`dense`]: attention.
//! - [`per_head`]: norm and rotation of single heads.
//! - [`feature_map`]: convolution and group norm of maps that lie on a device.
//! - [`placing`]: what brings tensors together.
//! - [`memory`], [`stopwatch`]: what a device has and how long it takes.

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail,
};

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;

use super::attention::{AttentionMask, AttentionShape, Qkv, tiled};
use super::elementwise::{self, Modulation};
use super::isa::Isa;
use super::linear::{LinearShape, linear, linear_stored as linear_stored_rows};
use super::widen::Stored;

pub mod attend;
mod cross_attention;
#[cfg(feature = "cuda")]
pub mod cuda;
pub mod dense;
pub mod feature_map;
pub mod memory;
mod per_head;
pub mod placing;
pub mod stopwatch;

pub use attend::{Attended, attend};
pub use cross_attention::cross_attention;
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

/// Linear layer: `x Wᵀ + b`.
///
/// `x`: (…, inputs); `weight`: (outputs, inputs); `bias`: (outputs); result (…, outputs).
/// An input that lies elsewhere, or has another type, is brought to the weight first.
pub fn linear_layer(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let x = beside(x, weight)?;
    let outputs = weight.dim(0)?;
    let rows = x.elem_count() / x.dims().last().copied().unwrap_or(1).max(1);
    let asked_bytes = rows * outputs * x.dtype().size_in_bytes();
    memory::taking(asked_bytes, x.device(), || match bias {
        Some(bias) => x.apply_op3_no_bwd(weight, bias, &LinearOp),
        None => x.apply_op2_no_bwd(weight, &LinearOp),
    })
}

struct LinearOp;

impl LinearOp {
    fn run(
        &self,
        (x, x_layout): (&CpuStorage, &Layout),
        (weight, weight_layout): (&CpuStorage, &Layout),
        bias: Option<&[f32]>,
    ) -> Result<(CpuStorage, Shape)> {
        let (outputs, inputs) = weight_layout.shape().dims2()?;
        let (shape, dims) = linear_dims(x_layout, inputs, outputs)?;
        let x = values("linear", x, x_layout)?;
        let weight = values("linear", weight, weight_layout)?;
        let mut out = vec![0f32; shape.rows * outputs];
        linear(shape, x, weight, bias, &mut out);
        Ok((CpuStorage::F32(out), dims))
    }
}

impl CustomOp2 for LinearOp {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.run((x, x_layout), (weight, weight_layout), None)
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        weight: &CudaStorage,
        weight_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (outputs, inputs) = weight_layout.shape().dims2()?;
        let (_, shape) = linear_dims(x_layout, inputs, outputs)?;
        cuda::linear((x, x_layout), (weight, weight_layout), None, shape)
    }
}

impl CustomOp3 for LinearOp {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let bias = values("linear", bias, bias_layout)?;
        expect_dims("linear", bias_layout, &[weight_layout.dims()[0]])?;
        self.run((x, x_layout), (weight, weight_layout), Some(bias))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        weight: &CudaStorage,
        weight_layout: &Layout,
        bias: &CudaStorage,
        bias_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (outputs, inputs) = weight_layout.shape().dims2()?;
        expect_dims("linear", bias_layout, &[outputs])?;
        let (_, shape) = linear_dims(x_layout, inputs, outputs)?;
        let bias = Some((bias, bias_layout));
        cuda::linear((x, x_layout), (weight, weight_layout), bias, shape)
    }
}

/// Linear layer whose weight, (outputs, inputs) = `dims`, is used in its stored type.
///
/// `x`: (…, inputs); `bias`: (outputs); result (…, outputs), bit for bit that of
/// [`linear_layer`] with the widened weight.
pub fn linear_stored(
    x: &Tensor,
    weight: Stored<'_>,
    dims: (usize, usize),
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    let op = StoredLinear { weight, dims };
    match bias {
        Some(bias) => x.apply_op2_no_bwd(bias, &op),
        None => x.apply_op1_no_bwd(&op),
    }
}

struct StoredLinear<'a> {
    weight: Stored<'a>,
    dims: (usize, usize),
}

impl StoredLinear<'_> {
    fn run(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        bias: Option<&[f32]>,
    ) -> Result<(CpuStorage, Shape)> {
        let (outputs, inputs) = self.dims;
        let (shape, dims) = linear_dims(x_layout, inputs, outputs)?;
        if self.weight.len() != outputs * inputs {
            bail!(
                "linear: a weight of {outputs} x {inputs} has {} values",
                self.weight.len()
            );
        }
        let x = values("linear", x, x_layout)?;
        let mut out = vec![0f32; shape.rows * outputs];
        linear_stored_rows(shape, x, self.weight, bias, &mut out);
        Ok((CpuStorage::F32(out), dims))
    }
}

impl CustomOp1 for StoredLinear<'_> {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, x_layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.run(x, x_layout, None)
    }
}

impl CustomOp2 for StoredLinear<'_> {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let bias = values("linear", bias, bias_layout)?;
        expect_dims("linear", bias_layout, &[self.dims.0])?;
        self.run(x, x_layout, Some(bias))
    }
}

/// Sizes of a linear layer on a tensor (…, inputs), and the result's shape.
fn linear_dims(x: &Layout, inputs: usize, outputs: usize) -> Result<(LinearShape, Shape)> {
    let mut dims = x.dims().to_vec();
    if dims.last() != Some(&inputs) {
        bail!("linear: input {dims:?} does not end in the weight's {inputs} inputs");
    }
    let rows = dims.iter().rev().skip(1).product();
    dims.pop();
    dims.push(outputs);
    let shape = LinearShape {
        rows,
        inputs,
        outputs,
    };
    Ok((shape, Shape::from(dims)))
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
