//! The operations on CUDA tensors: `elementwise.cu` for what lies between matrix products,
//! cuBLAS for the products, FlashAttention-2 for attention. f32, f16 or bf16, as the tensors
//! are; everything between loading and storing is f32.

use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::PushKernelArg;
use candle_core::{CudaStorage, Layout, Result, Shape, bail};

mod flash;
mod kernel;
pub mod libraries;
mod mark;
mod pool;

pub(super) use flash::{flash_attention, is_flash};
use kernel::{RowKernel, Rows, by_number, view};
pub use mark::Mark;
pub(super) use pool::give_back;
pub use pool::keep_memory;

/// Compute capability that the kernels were compiled for, such as `90`.
pub const ARCH: &str = env!("DFA_CUDA_ARCH");

/// See [`super::gelu_tanh`].
pub(super) fn gelu_tanh(x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
    let rows = Rows::of(layout)?;
    by_number!(x.dtype(), T => {
        let input = view::<T>("gelu_tanh", x, layout)?;
        let kernel = RowKernel::load::<T>(x.device(), "gelu_tanh", rows.packs(&[layout]))?;
        let mut out = kernel.output::<T>(rows.n_elements())?;
        let mut call = kernel.call();
        let width = rows.width;
        call.arg(&input).arg(&mut out).arg(&width);
        // SAFETY: one block a row of `width`; input and output hold that many rows.
        unsafe { call.launch(rows.grid(kernel.pack, 0)) }.w()?;
        Ok((kernel.wrap(out), layout.shape().clone()))
    })
}

/// See [`super::layer_norm_modulate`]; the shapes were checked.
pub(super) fn layer_norm_modulate(
    (x, x_layout): (&CudaStorage, &Layout),
    (shift, shift_layout): (&CudaStorage, &Layout),
    (scale, scale_layout): (&CudaStorage, &Layout),
    eps: f32,
) -> Result<(CudaStorage, Shape)> {
    const NAME: &str = "layer_norm_modulate";
    let rows = Rows::of(x_layout)?;
    let n_tokens = x_layout.shape().dims3()?.1 as u32;
    by_number!(x.dtype(), T => {
        let input = view::<T>(NAME, x, x_layout)?;
        let shift = view::<T>(NAME, shift, shift_layout)?;
        let scale = view::<T>(NAME, scale, scale_layout)?;
        let packs = rows.packs(&[x_layout, shift_layout, scale_layout]);
        let kernel = RowKernel::load::<T>(x.device(), NAME, packs)?;
        let mut out = kernel.output::<T>(rows.n_elements())?;
        let mut call = kernel.call();
        let width = rows.width;
        call.arg(&input).arg(&shift).arg(&scale).arg(&mut out);
        call.arg(&width).arg(&n_tokens).arg(&eps);
        // SAFETY: one block a row of `width`, with a float of shared memory for each of its
        // values; shift and scale have a row for every `n_tokens` of them.
        unsafe { call.launch(rows.grid(kernel.pack, 4 * width)) }.w()?;
        Ok((kernel.wrap(out), x_layout.shape().clone()))
    })
}

/// See [`super::gated_skip`]; the shapes were checked.
pub(super) fn gated_skip(
    (skip, skip_layout): (&CudaStorage, &Layout),
    (gate, gate_layout): (&CudaStorage, &Layout),
    (y, y_layout): (&CudaStorage, &Layout),
) -> Result<(CudaStorage, Shape)> {
    const NAME: &str = "gated_skip";
    let rows = Rows::of(skip_layout)?;
    let n_tokens = skip_layout.shape().dims3()?.1 as u32;
    by_number!(skip.dtype(), T => {
        let input = view::<T>(NAME, skip, skip_layout)?;
        let gate = view::<T>(NAME, gate, gate_layout)?;
        let y = view::<T>(NAME, y, y_layout)?;
        let packs = rows.packs(&[skip_layout, gate_layout, y_layout]);
        let kernel = RowKernel::load::<T>(skip.device(), NAME, packs)?;
        let mut out = kernel.output::<T>(rows.n_elements())?;
        let mut call = kernel.call();
        let width = rows.width;
        call.arg(&input).arg(&gate).arg(&y).arg(&mut out).arg(&width).arg(&n_tokens);
        // SAFETY: one block a row of `width`; the gate has a row for every `n_tokens`.
        unsafe { call.launch(rows.grid(kernel.pack, 0)) }.w()?;
        Ok((kernel.wrap(out), skip_layout.shape().clone()))
    })
}

/// See [`super::rms_norm_heads`]; a row is a head.
pub(super) fn rms_norm_heads(
    (x, x_layout): (&CudaStorage, &Layout),
    (weight, weight_layout): (&CudaStorage, &Layout),
    eps: f32,
) -> Result<(CudaStorage, Shape)> {
    const NAME: &str = "rms_norm";
    let rows = Rows::new(
        x_layout.shape().elem_count(),
        weight_layout.shape().dims1()?,
    )?;
    by_number!(x.dtype(), T => {
        let input = view::<T>(NAME, x, x_layout)?;
        let weight = view::<T>(NAME, weight, weight_layout)?;
        let packs = rows.packs(&[x_layout, weight_layout]);
        let kernel = RowKernel::load::<T>(x.device(), NAME, packs)?;
        let mut out = kernel.output::<T>(rows.n_elements())?;
        let mut call = kernel.call();
        let width = rows.width;
        call.arg(&input).arg(&weight).arg(&mut out).arg(&width).arg(&eps);
        // SAFETY: one block a head of `width`, the length of `weight`.
        unsafe { call.launch(rows.grid(kernel.pack, 0)) }.w()?;
        Ok((kernel.wrap(out), x_layout.shape().clone()))
    })
}

/// See [`super::rotate_heads`]; the shapes were checked, the angles are f32.
pub(super) fn rotate_heads(
    (x, x_layout): (&CudaStorage, &Layout),
    (cosines, cosines_layout): (&CudaStorage, &Layout),
    (sines, sines_layout): (&CudaStorage, &Layout),
) -> Result<(CudaStorage, Shape)> {
    const NAME: &str = "rotate";
    let rows = Rows::of(x_layout)?;
    let (n_tokens, n_pairs) = cosines_layout.shape().dims2()?;
    let (n_tokens, n_pairs) = (n_tokens as u32, n_pairs as u32);
    by_number!(x.dtype(), T => {
        let input = view::<T>(NAME, x, x_layout)?;
        let cosines = view::<f32>(NAME, cosines, cosines_layout)?;
        let sines = view::<f32>(NAME, sines, sines_layout)?;
        let kernel = RowKernel::load::<T>(x.device(), NAME, false)?;
        let mut out = kernel.output::<T>(rows.n_elements())?;
        let mut call = kernel.call();
        let width = rows.width;
        call.arg(&input).arg(&cosines).arg(&sines).arg(&mut out);
        call.arg(&width).arg(&n_tokens).arg(&n_pairs);
        // SAFETY: one block a token of `width` = 2 · heads · `n_pairs`; the angles have
        // `n_tokens` rows of `n_pairs`.
        unsafe { call.launch(rows.grid(kernel.pack, 0)) }.w()?;
        Ok((kernel.wrap(out), x_layout.shape().clone()))
    })
}

/// See [`super::linear_layer`]. `outputs` and `inputs` are the weight's; `shape` the result's.
pub(super) fn linear(
    (x, x_layout): (&CudaStorage, &Layout),
    (weight, weight_layout): (&CudaStorage, &Layout),
    bias: Option<(&CudaStorage, &Layout)>,
    shape: Shape,
) -> Result<(CudaStorage, Shape)> {
    let (outputs, inputs) = weight_layout.shape().dims2()?;
    let n_rows = shape.elem_count() / outputs.max(1);
    let (Some((start, _)), Some((weight_start, _))) = (
        x_layout.contiguous_offsets(),
        weight_layout.contiguous_offsets(),
    ) else {
        bail!("linear: the CUDA kernels need contiguous tensors");
    };
    let rows = Layout::contiguous_with_offset((1, n_rows, inputs), start);
    let columns = Layout::contiguous_with_offset((1, outputs, inputs), weight_start);
    let sizes = (1, n_rows, outputs, inputs);
    let mut out = x.matmul(weight, sizes, &rows, &columns.transpose(1, 2)?)?;
    if let Some((bias, bias_layout)) = bias {
        add_bias(
            &mut out,
            Rows::new(n_rows * outputs, outputs)?,
            (bias, bias_layout),
        )?;
    }
    Ok((out, shape))
}

/// In place.
fn add_bias(
    out: &mut CudaStorage,
    rows: Rows,
    (bias, bias_layout): (&CudaStorage, &Layout),
) -> Result<()> {
    const NAME: &str = "add_bias";
    let device = out.device().clone();
    by_number!(out.dtype(), T => {
        let bias = view::<T>(NAME, bias, bias_layout)?;
        let kernel = RowKernel::load::<T>(&device, NAME, rows.packs(&[bias_layout]))?;
        let mut call = kernel.call();
        let width = rows.width;
        let sums = out.as_cuda_slice_mut::<T>()?;
        call.arg(sums).arg(&bias).arg(&width);
        // SAFETY: one block a row of `width`, the length of the bias.
        unsafe { call.launch(rows.grid(kernel.pack, 0)) }.w()?;
        Ok(())
    })
}
