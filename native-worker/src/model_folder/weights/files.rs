//! Which files hold a component's weights: one file, shards with an index, or the
//! half-precision variant of either. Only names and the index are read here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::model_folder::{FolderError, parse_json, read_text};

/// How a component's weight files are called, before the first dot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightStem {
    /// `diffusion_pytorch_model`: transformers and VAEs as diffusers saves them.
    Diffusers,
    /// `model`: text encoders as transformers saves them, and Open-Sora's transformer.
    Model,
}

/// Endings of files that PyTorch pickles.
const PICKLE_ENDINGS: [&str; 4] = ["bin", "pt", "pth", "ckpt"];

impl WeightStem {
    fn text(self) -> &'static str {
        match self {
            Self::Diffusers => "diffusion_pytorch_model",
            Self::Model => "model",
        }
    }

    fn single(self) -> String {
        format!("{}.safetensors", self.text())
    }

    /// Names of whole files and of indices, in the order in which they are looked for.
    /// The libraries that write them put the variant's name in three different places.
    fn candidates(self) -> [(String, bool); 6] {
        let stem = self.text();
        [
            (self.single(), false),
            (format!("{stem}.safetensors.index.json"), true),
            (format!("{stem}.fp16.safetensors"), false),
            (format!("{stem}.fp16.safetensors.index.json"), true),
            (format!("{stem}.safetensors.index.fp16.json"), true),
            (format!("{stem}.safetensors.fp16.index.json"), true),
        ]
    }
}

#[derive(Deserialize)]
struct ShardIndex {
    weight_map: BTreeMap<String, String>,
}

/// The weight files of a component folder, in the order of their names.
///
/// # Errors
/// [`FolderError`] if there is none, if an index is broken, or if a shard is missing.
pub fn find_files(folder: &Path, stem: WeightStem) -> Result<Vec<PathBuf>, FolderError> {
    for (name, is_index) in stem.candidates() {
        let path = folder.join(name);
        if path.is_file() {
            return if is_index {
                shards(folder, &path)
            } else {
                Ok(vec![path])
            };
        }
    }
    let hint = if holds_pickle(folder) {
        "only a pickle is here, which is never executed; `dfa convert` reads it as data and \
         writes a folder with safetensors"
    } else {
        "the weights are needed (one file, or shards with an index)"
    };
    Err(FolderError::Missing {
        path: folder.join(stem.single()),
        hint,
    })
}

fn holds_pickle(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut endings =
        entries.filter_map(|entry| entry.path().extension()?.to_str().map(str::to_owned));
    endings.any(|ending| PICKLE_ENDINGS.contains(&ending.as_str()))
}

fn shards(folder: &Path, path: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let index: ShardIndex = parse_json(path, &read_text(path, "")?)?;
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    if names.is_empty() {
        return Err(unusable_index(
            path,
            "empty".into(),
            "it names no shard; fetch the index again",
        ));
    }
    names.iter().map(|name| shard(folder, path, name)).collect()
}

fn unusable_index(path: &Path, found: String, expected: &str) -> FolderError {
    FolderError::Unsupported {
        path: path.to_path_buf(),
        key: "weight_map",
        found,
        expected: expected.into(),
    }
}

/// One shard named by an index: it must lie in the folder itself.
fn shard(folder: &Path, index: &Path, name: &str) -> Result<PathBuf, FolderError> {
    let is_plain = Path::new(name).file_name().is_some_and(|file| file == name);
    if !is_plain {
        return Err(unusable_index(
            index,
            format!("{name:?}"),
            "a shard must be a file in the same folder",
        ));
    }
    let path = folder.join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(FolderError::Missing {
        path,
        hint: "the index names this shard; fetch it too",
    })
}
