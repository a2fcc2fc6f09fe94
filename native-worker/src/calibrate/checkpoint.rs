//! The state of a calibration after its last finished step, on disk.
//!
//! One safetensors file. Its tensors are the latents and what the sampler and the layer
//! caches hold, and the final latents of earlier searches; its header holds the settings,
//! the losses so far (as a plan file of the finished steps) and those of earlier searches,
//! and what was measured. Earlier searches and measured numbers are those of a calibration
//! with a goal, which makes several searches; others have none.
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
use super::search_run::Begun;
use super::step_state::StepState;
use crate::whole_file::write_whole;

mod state_tensors;

use state_tensors::{state_of, tensors_of};

/// Everything that decides a plan, by name: model, run and search.
pub type Settings = BTreeMap<String, String>;

/// Numbers that were measured on the way to a goal, by name.
pub type Measured = BTreeMap<String, f64>;

const FORMAT: &str = "dfa-calibration 1";

/// A saved state.
pub struct Checkpoint {
    /// Searches that were finished before the latest, in their order.
    pub earlier: Vec<Begun>,
    /// The search in which the state was saved.
    pub latest: Begun,
    /// What was measured.
    pub measured: Measured,
}

/// What is saved: a [`Checkpoint`] in the making.
#[derive(Clone, Copy)]
pub struct Snapshot<'a> {
    /// Loss and window, the same in every search.
    pub request: &'a CalibrateRequest,
    /// Searches that were finished before the latest, in their order.
    pub earlier: &'a [Begun],
    /// What was measured.
    pub measured: &'a Measured,
    /// The latest search: its finished steps, and the state after them.
    pub latest: (&'a SearchRecord, &'a StepState),
}

/// The strings of a file's header, by name.
type Header = HashMap<String, String>;

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

impl Snapshot<'_> {
    /// Saves the state after a finished step.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn save(&self, path: &Path, settings: &Settings) -> Result<(), CheckpointError> {
        let bytes = self
            .bytes(settings)
            .map_err(|reason| broken(path, reason))?;
        write_whole(path, &bytes).map_err(|source| CheckpointError::File {
            verb: "write",
            path: path.to_path_buf(),
            source,
        })
    }

    /// The file; the error is what is wrong with the state.
    fn bytes(&self, settings: &Settings) -> Result<Vec<u8>, String> {
        let (record, state) = self.latest;
        let earlier = self.earlier.iter();
        let earlier: Vec<String> = earlier
            .map(|search| self.text_of(&search.record))
            .collect::<Result<_, _>>()?;
        // As texts, because a JSON number may be read as its neighbour.
        let measured = self.measured.iter();
        let measured: BTreeMap<&String, String> = measured
            .map(|(name, value)| (name, value.to_string()))
            .collect();
        let header = [
            ("format", FORMAT.to_owned()),
            ("settings", serde_json::json!(settings).to_string()),
            ("plan", self.text_of(record)?),
            (EARLIER, serde_json::json!(earlier).to_string()),
            (MEASURED, serde_json::json!(measured).to_string()),
        ];
        let header: Header = header.map(|(name, text)| (name.to_owned(), text)).into();
        let mut tensors = tensors_of(state).map_err(|error| error.to_string())?;
        for (idx, search) in self.earlier.iter().enumerate() {
            tensors.insert(latent_name(idx), search.state.latent.clone());
        }
        safetensors::serialize(&tensors, Some(header)).map_err(|error| error.to_string())
    }

    /// The losses of a search, as a plan file of its finished steps.
    fn text_of(&self, record: &SearchRecord) -> Result<String, String> {
        let plan = record.plan(self.request.window);
        let mut plan = CheckedPlan::bare(plan.map_err(|error| error.to_string())?);
        plan.search = Some(PlanSearch {
            loss: self.request.loss,
            record: record.clone(),
        });
        plan.to_json().map_err(|error| error.to_string())
    }
}

impl Checkpoint {
    /// Loads a state that was saved under the same settings.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn load(path: &Path, settings: &Settings) -> Result<Self, CheckpointError> {
        let bytes = read(path)?;
        let broken = |reason: String| broken(path, reason);
        let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes)
            .map_err(|error| broken(error.to_string()))?;
        let header = metadata.metadata().clone().unwrap_or_default();
        let differences = differences(&saved_settings(&header).map_err(broken)?, settings);
        if !differences.is_empty() {
            let path = path.to_path_buf();
            return Err(CheckpointError::OtherSettings { path, differences });
        }
        let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)
            .map_err(|error| broken(error.to_string()))?;
        Self::of_file(&header, tensors).map_err(broken)
    }

    /// The error is what is wrong with the file.
    fn of_file(header: &Header, mut tensors: HashMap<String, Tensor>) -> Result<Self, String> {
        let mut searches = Vec::new();
        for (idx, text) in earlier_texts(header)?.iter().enumerate() {
            let record = record_of(text)?;
            let name = latent_name(idx);
            let latent = tensors.remove(&name).ok_or_else(|| missing(&name))?;
            let state = StepState::at_end(latent, record.shape().n_blocks);
            searches.push(Begun { record, state });
        }
        let record = record_of(entry(header, "plan")?)?;
        let state = state_of(tensors, record.shape().n_blocks).map_err(|name| missing(&name))?;
        Ok(Self {
            earlier: searches,
            latest: Begun { record, state },
            measured: measured_of(header)?,
        })
    }
}

const EARLIER: &str = "earlier";
const MEASURED: &str = "measured";

fn broken(path: &Path, reason: String) -> CheckpointError {
    let path = path.to_path_buf();
    CheckpointError::Broken { path, reason }
}

fn missing(name: &str) -> String {
    format!("tensor {name} is missing")
}

fn latent_name(idx: usize) -> String {
    format!("{EARLIER}.{idx}.latent")
}

fn read(path: &Path) -> Result<Vec<u8>, CheckpointError> {
    fs::read(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => CheckpointError::Nothing(path.to_path_buf()),
        _ => CheckpointError::File {
            verb: "read",
            path: path.to_path_buf(),
            source,
        },
    })
}

fn entry<'a>(header: &'a Header, name: &str) -> Result<&'a String, String> {
    let text = header.get(name);
    text.ok_or_else(|| format!("its header has no {name}"))
}

/// The settings of a file of our format.
fn saved_settings(header: &Header) -> Result<Settings, String> {
    let format = entry(header, "format")?;
    if format != FORMAT {
        return Err(format!("its format is {format:?}, expected {FORMAT:?}"));
    }
    serde_json::from_str(entry(header, "settings")?).map_err(|error| error.to_string())
}

fn record_of(text: &str) -> Result<SearchRecord, String> {
    let plan = CheckedPlan::parse(text).map_err(|error| error.to_string())?;
    let search = plan.search.ok_or("it holds no losses")?;
    Ok(search.record)
}

/// A file of before there were goals has none.
fn earlier_texts(header: &Header) -> Result<Vec<String>, String> {
    let text = header.get(EARLIER).map_or("[]", String::as_str);
    serde_json::from_str(text).map_err(|error| format!("{EARLIER}: {error}"))
}

fn measured_of(header: &Header) -> Result<Measured, String> {
    let text = header.get(MEASURED).map_or("{}", String::as_str);
    let texts: BTreeMap<String, String> =
        serde_json::from_str(text).map_err(|error| format!("{MEASURED}: {error}"))?;
    let measured = texts.into_iter().map(|(name, text)| {
        let value = text.parse().ok().filter(|value: &f64| value.is_finite());
        let value = value.ok_or_else(|| format!("{MEASURED}: {name} is {text:?}, no number"))?;
        Ok((name, value))
    });
    measured.collect()
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
