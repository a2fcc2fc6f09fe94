//! Where tensors lie and in which type. Features, positions and texts are made on the CPU
//! in f32; a model's weights may lie elsewhere, in another type. What meets a weight is
//! brought to it here. On the CPU nothing is copied.

use candle_core::{DType, Device, Result, Tensor};

/// `x` where `other` lies, in its type.
///
/// # Errors
/// If the device has no memory for it.
pub fn beside(x: &Tensor, other: &Tensor) -> Result<Tensor> {
    // Sent as it is: converting is quicker over there.
    x.to_device(other.device())?.to_dtype(other.dtype())
}

/// `x` on the CPU in f32.
///
/// # Errors
/// If the device fails, which may be an operation before this one.
pub fn on_cpu(x: &Tensor) -> Result<Tensor> {
    let copy = x.to_dtype(DType::F32)?.to_device(&Device::Cpu)?;
    // The driver may promise the copy before it is there.
    x.device().synchronize()?;
    Ok(copy)
}

/// SiLU, computed in f32; what comes out is f32. Meant for the few rows of an embedding:
/// the linear layer that follows brings them to its type again.
///
/// # Errors
/// If a tensor operation fails.
pub fn silu(x: &Tensor) -> Result<Tensor> {
    x.to_dtype(DType::F32)?.silu()
}
