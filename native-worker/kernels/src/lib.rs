//! The CPU kernels: plain functions over `f32` slices, and the candle custom ops that
//! wrap them; with the feature `cuda`, the same operations on NVIDIA GPUs. A model calls
//! only the functions of [`ops`], so a kernel can be replaced without touching a model.
//!
//! - [`isa`]: which instruction set a kernel is compiled for, chosen at run time.
//! - `amx`: the matrix unit of Intel's newer server processors, from f32.
//! - [`attention`]: full, window and cross attention; a plain reference and a tiled kernel.
//! - [`conv`]: convolution of feature maps, tiled.
//! - [`elementwise`]: GELU, layer norm with modulation, gated skip connection, softmax.
//! - [`fresh`]: memory for results.
//! - [`group_norm`]: group norm, and the SiLU after it, as a convolution reads it.
//! - [`linear`]: matrix multiply with bias.
//! - [`per_head`]: norm and rotation of single heads.
//! - [`widen`]: weights in their stored type, and widening them.
//! - [`ops`]: all of these on tensors.
//!
//! This crate is the only place of the project where `unsafe` is allowed.

#[cfg(target_arch = "x86_64")]
mod amx;
pub mod attention;
pub mod conv;
pub mod elementwise;
pub mod fresh;
pub mod group_norm;
pub mod isa;
pub mod linear;
pub mod ops;
pub mod per_head;
mod scratch;
mod transpose;
pub mod widen;
