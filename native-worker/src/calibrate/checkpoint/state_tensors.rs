//! The state between two steps as named tensors, and back.

use std::collections::{BTreeMap, HashMap};

use candle_core::{Device, Tensor};

use crate::attention::{Halves, Kept, LayerCache};
use crate::calibrate::StepState;
use crate::diffusion::sampler::SamplerState;

const HISTORY: &str = "sampler.clean_history.";

/// The tensors of a state, on the CPU.
///
/// # Errors
/// If a device cannot give its own.
pub(super) fn tensors_of(state: &StepState) -> candle_core::Result<BTreeMap<String, Tensor>> {
    let mut tensors = BTreeMap::from([("latent".to_owned(), state.latent.clone())]);
    for (idx, tensor) in state.sampler.clean_history.iter().enumerate() {
        tensors.insert(format!("{HISTORY}{idx}"), tensor.clone());
    }
    for (block, cache) in state.caches.iter().enumerate() {
        let (output, residual) = cache.parts();
        for (part, kept) in [("output", output), ("window_residual", residual)] {
            if let Some(kept) = kept {
                tensors.insert(
                    tensor_name(block, part, kept.halves()),
                    kept.tensor().to_device(&Device::Cpu)?,
                );
            }
        }
    }
    Ok(tensors)
}

fn tensor_name(block: usize, part: &str, halves: Halves) -> String {
    let halves = match halves {
        Halves::All => "all",
        Halves::Conditional => "conditional",
    };
    format!("caches.{block}.{part}.{halves}")
}

/// The state of these tensors; the error is the name of a missing one.
pub(super) fn state_of(
    mut tensors: HashMap<String, Tensor>,
    n_blocks: usize,
) -> Result<StepState, String> {
    let latent = tensors.remove("latent").ok_or("latent")?;
    let history = (0..).map_while(|idx| tensors.remove(&format!("{HISTORY}{idx}")));
    let sampler = SamplerState {
        clean_history: history.collect(),
    };
    let mut kept = |block, part| {
        let halves = [Halves::All, Halves::Conditional];
        halves.into_iter().find_map(|halves| {
            Some(Kept::new(
                tensors.remove(&tensor_name(block, part, halves))?,
                halves,
            ))
        })
    };
    let caches = (0..n_blocks)
        .map(|block| LayerCache::new(kept(block, "output"), kept(block, "window_residual")));
    Ok(StepState {
        latent,
        sampler,
        caches: caches.collect(),
    })
}
