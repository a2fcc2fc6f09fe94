//! DiTFastAttn, decided: which attention work a Diffusion Transformer may skip, at
//! which step and block, and what that costs and saves.
//!
//! Values in, values out. There is no file, clock, thread, tensor library or network
//! in here, and no `std`: the same code runs natively and in the browser and gives the
//! same decisions bit for bit (transcendental functions come from `libm` everywhere).
//!
//! Read in this order:
//! 1. [`grid`]: where a decision sits, a [`Step`] and a [`Block`].
//! 2. [`strategy`]: the five ways to compute a self-attention layer.
//! 3. [`window`]: which keys a query sees in window attention.
//! 4. [`plan`]: the [`CompressionPlan`], one strategy per step and block.
//! 5. [`search`]: Algorithm 1, which makes a plan from measured losses.
//! 6. [`liveness`]: how long each kept tensor must live, and how much memory that is.
//! 7. [`cost`]: multiply-accumulates of a plan.
//! 8. [`metric`]: losses and image metrics.
//! 9. [`sampler`] and [`branch`]: names of settings that a plan is made for.
//! 10. `wire` (feature `wire`): the plan file and the foreign formats.
//!
//! Source of the method: DiTFastAttn, NeurIPS 2024, arXiv 2406.08552 v2 ("the paper").
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

extern crate alloc;

pub mod branch;
pub mod cost;
pub mod grid;
pub mod liveness;
pub mod metric;
pub mod plan;
pub mod sampler;
pub mod search;
pub mod strategy;
pub mod window;
#[cfg(feature = "wire")]
pub mod wire;

pub use grid::{Block, GridShape, Step};
pub use plan::{CompressionPlan, PlanError};
pub use strategy::Strategy;
pub use window::Window;

/// Compiles the example of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
