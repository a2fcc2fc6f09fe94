//! What `gpu-check` does on a machine with a card: first whether the numbers are right, then
//! how long they take, beside PyTorch on the same card.
//!
//! - [`numerics`]: every strategy, every operation and tiny models, against the CPU.
//! - [`layer_times`]: one self-attention layer by every strategy.
//! - [`model_times`]: whole denoising runs at the published sizes, raw and by plans.
//! - [`peer`]: the Python program that answers with PyTorch's times.
//! - [`random_values`]: inputs and weights that are the same everywhere.

pub mod layer_times;
pub mod model_times;
pub mod numerics;
pub mod peer;
pub mod random_values;

/// What can go wrong on the way.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// The middle of some times; NaN of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
