//! Linear layers on tensors, with a weight that is a tensor or one in its stored type.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Device, Layout, Result, Shape, Tensor, bail};

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;

#[cfg(feature = "cuda")]
use super::cuda;
use super::{beside, expect_dims, memory, values, values_on_cpu};
use crate::linear::{LinearShape, linear, linear_stored as linear_stored_rows};
use crate::widen::Stored;

/// Linear layer: `x Wᵀ + b`.
///
/// `x`: (…, inputs); `weight`: (outputs, inputs); `bias`: (outputs); result (…, outputs).
/// An input that lies elsewhere, or has another type, is brought to the weight first.
///
/// # Errors
/// If the shapes do not fit each other, or the device has not enough memory.
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
        let out = linear(shape, x, weight, bias);
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

/// Linear layer whose weight, (outputs, inputs) = `dims`, is used in its stored type, on
/// the CPU.
///
/// `x`: (…, inputs); `bias`: (outputs); result (…, outputs), bit for bit that of
/// [`linear_layer`] with the widened weight.
///
/// # Errors
/// If the shapes do not fit each other, or a tensor is not on the CPU in f32.
pub fn linear_stored(
    x: &Tensor,
    weight: Stored<'_>,
    (outputs, inputs): (usize, usize),
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    let (shape, dims) = linear_dims(x.layout(), inputs, outputs)?;
    if weight.len() != outputs * inputs {
        bail!(
            "linear: a weight of {outputs} x {inputs} has {} values",
            weight.len()
        );
    }
    if let Some(bias) = bias {
        expect_dims("linear", bias.layout(), &[outputs])?;
    }
    let (x, x_layout) = x.storage_and_layout();
    let bias = bias.map(Tensor::storage_and_layout);
    let bias = bias
        .as_ref()
        .map(|(storage, layout)| values_on_cpu("linear", storage, layout));
    let x = values_on_cpu("linear", &x, x_layout)?;
    let out = linear_stored_rows(shape, x, weight, bias.transpose()?);
    Tensor::from_vec(out, dims, &Device::Cpu)
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
