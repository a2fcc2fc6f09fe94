//! One component folder of the diffusers layout: its configuration, and its weights as
//! safetensors files, pickles, or shards of either with an index.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::weights_file::{WeightsFile, without_integers};
use super::{ConvertError, Draft};
use crate::torch_file::TorchFile;

/// Names of a component's weights without an ending, in diffusers and in transformers.
const STEMS: [&str; 2] = ["diffusion_pytorch_model", "pytorch_model"];
/// Endings of files that go along with weights.
const COPIED: [&str; 4] = ["json", "txt", "model", "md"];
/// Longest index that is read.
const MAX_INDEX_BYTES: u64 = 64 << 20;

/// Adds the files of `folder` under `prefix` (empty, or ending with `/`); says whether it
/// has weights.
pub(super) fn add(draft: &mut Draft, folder: &Path, prefix: &str) -> Result<bool, ConvertError> {
    let names = file_names(folder)?;
    for name in names.iter().filter(|name| is_copied(name)) {
        draft
            .copies
            .push((folder.join(name), format!("{prefix}{name}")));
    }
    let ready = names.iter().filter(|name| name.ends_with(".safetensors"));
    let ready: Vec<&String> = ready.collect();
    if !ready.is_empty() {
        for name in ready {
            draft
                .copies
                .push((folder.join(name), format!("{prefix}{name}")));
        }
        return Ok(true);
    }
    for stem in STEMS {
        let index = format!("{stem}.bin.index.json");
        if names.contains(&index) {
            add_shards(draft, folder, prefix, &index)?;
            return Ok(true);
        }
        for name in [format!("{stem}.bin"), format!("{stem}.fp16.bin")] {
            if names.contains(&name) {
                add_pickle(draft, folder, prefix, &name)?;
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Regular files of a folder (links are followed), by name; hidden ones are left out.
pub(super) fn file_names(folder: &Path) -> Result<BTreeSet<String>, ConvertError> {
    let entries = fs::read_dir(folder).map_err(ConvertError::file(folder))?;
    let names = entries.flatten().filter(|entry| entry.path().is_file());
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    Ok(names.filter(|name| !name.starts_with('.')).collect())
}

/// Configuration, vocabulary, licence; not the index of pickles.
fn is_copied(name: &str) -> bool {
    let ending = Path::new(name).extension().unwrap_or_default();
    let is_text = COPIED.iter().any(|copied| ending == *copied);
    (is_text || name.starts_with("LICENSE")) && !name.ends_with(".bin.index.json")
}

/// `pytorch_model-00001-of-00002.bin` → `model-00001-of-00002.safetensors`.
fn safetensors_name(pickle: &str) -> String {
    let stem = pickle.strip_suffix(".bin").unwrap_or(pickle);
    let stem = match stem.strip_prefix("pytorch_model") {
        Some(rest) => format!("model{rest}"),
        None => stem.to_owned(),
    };
    format!("{stem}.safetensors")
}

fn add_pickle(
    draft: &mut Draft,
    folder: &Path,
    prefix: &str,
    name: &str,
) -> Result<(), ConvertError> {
    let path = folder.join(name);
    let source = TorchFile::open(&path).map_err(ConvertError::pickle(&path))?;
    let tensors = source.tensors.clone();
    let entries = without_integers(tensors, &format!("{prefix}{name}"), &mut draft.notes);
    let name = format!("{prefix}{}", safetensors_name(name));
    let file = WeightsFile::new(name, &path, source, entries);
    draft.weights.push(file);
    Ok(())
}

/// Every shard becomes one, under a new index.
fn add_shards(
    draft: &mut Draft,
    folder: &Path,
    prefix: &str,
    index: &str,
) -> Result<(), ConvertError> {
    let promised = read_index(&folder.join(index))?;
    let shards: BTreeSet<&String> = promised.values().collect();
    let first = draft.weights.len();
    for shard in &shards {
        if !folder.join(shard).is_file() {
            return Err(ConvertError::input(
                &folder.join(shard),
                format!("missing, but {index} names it; fetch it too"),
            ));
        }
        add_pickle(draft, folder, prefix, shard)?;
        let shard_file = folder.join(shard);
        let open = draft.weights.last();
        let held = open.map(|file| file.source_names()).unwrap_or_default();
        let absent = promised
            .iter()
            .find(|(tensor, file)| file == shard && !held.contains(tensor.as_str()));
        if let Some((tensor, _)) = absent {
            return Err(ConvertError::input(
                &shard_file,
                format!("has no tensor {tensor:?}, but {index} says so; fetch both again"),
            ));
        }
    }
    let mut map = BTreeMap::new();
    let mut total = 0u64;
    for file in &draft.weights[first..] {
        let plain = file.name.strip_prefix(prefix).unwrap_or(&file.name);
        map.extend(file.names().map(|name| (name.to_owned(), plain.to_owned())));
        total = total.saturating_add(file.tensor_bytes());
    }
    let stem = index.strip_suffix(".bin.index.json").unwrap_or(index);
    let name = format!("{prefix}{}.index.json", safetensors_name(stem));
    draft.json(
        &name,
        &json!({"metadata": {"total_size": total}, "weight_map": map}),
    );
    Ok(())
}

/// Tensor → shard; a shard must lie in the folder itself.
fn read_index(path: &Path) -> Result<BTreeMap<String, String>, ConvertError> {
    let value = read_json(path)?;
    let map: BTreeMap<String, String> = serde_json::from_value(value["weight_map"].clone())
        .map_err(|_| ConvertError::input(path, "has no weight_map of names; fetch it again"))?;
    let is_plain = |name: &String| {
        Path::new(name)
            .file_name()
            .is_some_and(|file| file == name.as_str())
            && name.ends_with(".bin")
    };
    match map.values().find(|name| !is_plain(name)) {
        Some(name) => Err(ConvertError::input(
            path,
            format!("names the shard {name:?}; a shard must be a .bin file in the same folder"),
        )),
        None if map.is_empty() => Err(ConvertError::input(path, "names no tensor; fetch it again")),
        None => Ok(map),
    }
}

/// A small JSON file.
pub(super) fn read_json(path: &Path) -> Result<Value, ConvertError> {
    let found = fs::metadata(path).map_err(ConvertError::file(path))?;
    if found.len() > MAX_INDEX_BYTES {
        return Err(ConvertError::input(path, "is too long for its kind"));
    }
    let text = fs::read_to_string(path).map_err(ConvertError::file(path))?;
    serde_json::from_str(&text)
        .map_err(|error| ConvertError::input(path, format!("not JSON ({error}); fetch it again")))
}

/// Adds a VAE: a component folder, or the `vae/` of a pipeline's.
pub(super) fn add_vae(draft: &mut Draft, folder: &Path) -> Result<(), ConvertError> {
    let inner = folder.join("vae");
    let folder: PathBuf = if inner.is_dir() {
        inner
    } else {
        folder.to_path_buf()
    };
    let has_config = folder.join("config.json").is_file();
    if !folder.is_dir() || !has_config || !add(draft, &folder, "vae/")? {
        return Err(ConvertError::input(
            &folder,
            "not a VAE in the diffusers layout: config.json and weights are needed",
        ));
    }
    Ok(())
}
