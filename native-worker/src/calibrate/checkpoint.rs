//! The state of a calibration after its last finished step, on disk.
//!
//! One safetensors file: the latents, what the sampler and the layer caches hold, and in
//! its header the settings and the losses so far (as a plan file of the finished steps).
//! Written to a temporary name and renamed, so that a kill at any moment leaves the old
//! state or the new one. Numbers are stored as they are: a resumed calibration ends with
//! the identical plan.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use dfa_core::search::SearchRecord;
use dfa_core::wire::{CheckedPlan, PlanSearch};

use super::CalibrateRequest;
use super::step_state::StepState;
use crate::attention::{Halves, Kept, LayerCache};
use crate::diffusion::sampler::SamplerState;
use crate::whole_file::write_whole;

/// Everything that decides a plan, by name: model, run and search.
pub type Settings = BTreeMap<String, String>;

const FORMAT: &str = "dfa-calibration 1";

/// A saved state.
pub struct Checkpoint {
    /// Losses and choices of the finished steps.
    pub record: SearchRecord,
    /// State after the last of them.
    pub state: StepState,
}

/// Why a state cannot be saved or gone on with.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// There is no saved state.
    #[error("there is no saved calibration at {0}; start it without --resume")]
    Nothing(PathBuf),
    /// The file cannot be written or read.
    #[error("cannot {verb} the saved calibration {path}: {source}")]
    File {
        /// `read` or `write`.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a saved calibration.
    #[error(
        "{path} is not a usable saved calibration: {reason}; remove it and start without --resume"
    )]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The state was saved under other settings.
    #[error("the saved calibration {path} has other settings:\n{}\nresume with the same flags, or start anew without --resume", differences.join("\n"))]
    OtherSettings {
        /// The file.
        path: PathBuf,
        /// One line per setting: name, saved and asked-for value.
        differences: Vec<String>,
    },
}

impl Checkpoint {
    /// Saves the state after a finished step.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn save(
        path: &Path,
        settings: &Settings,
        record: &SearchRecord,
        request: &CalibrateRequest,
        state: &StepState,
    ) -> Result<(), CheckpointError> {
        let broken = |reason: String| CheckpointError::Broken {
            path: path.to_path_buf(),
            reason,
        };
        let plan = record
            .plan(request.window)
            .map_err(|error| broken(error.to_string()))?;
        let mut plan = CheckedPlan::bare(plan);
        plan.search = Some(PlanSearch {
            loss: request.loss,
            record: record.clone(),
        });
        let header = HashMap::from([
            ("format".to_owned(), FORMAT.to_owned()),
            (
                "settings".to_owned(),
                serde_json::json!(settings).to_string(),
            ),
            (
                "plan".to_owned(),
                plan.to_json().map_err(|error| broken(error.to_string()))?,
            ),
        ]);
        let tensors = tensors_of(state);
        let bytes = safetensors::serialize(&tensors, Some(header))
            .map_err(|error| broken(error.to_string()))?;
        write_whole(path, &bytes).map_err(|source| CheckpointError::File {
            verb: "write",
            path: path.to_path_buf(),
            source,
        })
    }

    /// Loads a state that was saved under the same settings.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn load(path: &Path, settings: &Settings) -> Result<Self, CheckpointError> {
        let bytes = fs::read(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => CheckpointError::Nothing(path.to_path_buf()),
            _ => CheckpointError::File {
                verb: "read",
                path: path.to_path_buf(),
                source,
            },
        })?;
        let broken = |reason: String| CheckpointError::Broken {
            path: path.to_path_buf(),
            reason,
        };
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes)
            .map_err(|error| broken(error.to_string()))?;
        let header = header.metadata().clone().unwrap_or_default();
        let entry = |name: &str| {
            header
                .get(name)
                .ok_or_else(|| broken(format!("its header has no {name}")))
        };
        if entry("format")? != FORMAT {
            return Err(broken(format!(
                "its format is {:?}, expected {FORMAT:?}",
                entry("format")?
            )));
        }
        let saved: Settings =
            serde_json::from_str(entry("settings")?).map_err(|error| broken(error.to_string()))?;
        let differences = differences(&saved, settings);
        if !differences.is_empty() {
            let path = path.to_path_buf();
            return Err(CheckpointError::OtherSettings { path, differences });
        }
        let plan = CheckedPlan::parse(entry("plan")?).map_err(|error| broken(error.to_string()))?;
        let n_blocks = plan.plan.shape().n_blocks;
        let search = plan
            .search
            .ok_or_else(|| broken("it holds no losses".into()))?;
        let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)
            .map_err(|error| broken(error.to_string()))?;
        Ok(Self {
            record: search.record,
            state: state_of(tensors, n_blocks)
                .map_err(|name| broken(format!("tensor {name} is missing")))?,
        })
    }
}

fn differences(saved: &Settings, asked: &Settings) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = saved.keys().chain(asked.keys()).collect();
    let show = |settings: &Settings, name: &str| {
        settings
            .get(name)
            .cloned()
            .unwrap_or_else(|| "nothing".into())
    };
    names
        .into_iter()
        .filter(|name| saved.get(*name) != asked.get(*name))
        .map(|name| {
            format!(
                "  {name}: saved {}, now {}",
                show(saved, name),
                show(asked, name)
            )
        })
        .collect()
}

const HISTORY: &str = "sampler.clean_history.";

fn tensors_of(state: &StepState) -> BTreeMap<String, Tensor> {
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
                    kept.tensor().clone(),
                );
            }
        }
    }
    tensors
}

fn tensor_name(block: usize, part: &str, halves: Halves) -> String {
    let halves = match halves {
        Halves::All => "all",
        Halves::Conditional => "conditional",
    };
    format!("caches.{block}.{part}.{halves}")
}

/// The error is the name of a missing tensor.
fn state_of(mut tensors: HashMap<String, Tensor>, n_blocks: usize) -> Result<StepState, String> {
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
