//! A folder in the diffusers layout, whole or one component of it.

use std::path::Path;

use super::component::{self, file_names, read_json};
use super::{ConvertError, Draft};

const INDEX: &str = "model_index.json";

/// The folder with safetensors files in place of pickles.
pub(super) fn draft(folder: &Path) -> Result<Draft, ConvertError> {
    let draft = if folder.join(INDEX).is_file() {
        whole(folder)?
    } else {
        one_component(folder)?
    };
    if draft.weights.is_empty() {
        return Err(ConvertError::input(
            folder,
            "nothing to convert: its weights are safetensors files already",
        ));
    }
    Ok(draft)
}

fn one_component(folder: &Path) -> Result<Draft, ConvertError> {
    let mut draft = Draft::new("component");
    if component::add(&mut draft, folder, "")? {
        return Ok(draft);
    }
    Err(ConvertError::input(
        folder,
        "neither a model folder (model_index.json) nor a component with weights (diffusion_pytorch_model.bin, pytorch_model.bin or shards with an index)",
    ))
}

fn whole(folder: &Path) -> Result<Draft, ConvertError> {
    let mut draft = Draft::new("pipeline");
    for name in file_names(folder)? {
        let is_text =
            name.ends_with(".json") || name.ends_with(".md") || name.starts_with("LICENSE");
        if is_text {
            draft.copies.push((folder.join(&name), name));
        }
    }
    for name in components(&folder.join(INDEX))? {
        let part = folder.join(&name);
        if !part.is_dir() {
            draft.notes.push(format!(
                "{name}/ is missing, but {INDEX} names it; add it to the new folder"
            ));
            continue;
        }
        let has_weights = component::add(&mut draft, &part, &format!("{name}/"))?;
        if !has_weights && name == "transformer" {
            return Err(ConvertError::input(
                &part,
                "no weights here: neither safetensors files nor pickles; fetch them",
            ));
        }
    }
    Ok(draft)
}

/// The folders that the index names: entries of a library and a class.
fn components(index: &Path) -> Result<Vec<String>, ConvertError> {
    let value = read_json(index)?;
    let Some(entries) = value.as_object() else {
        return Err(ConvertError::input(index, "not a JSON object"));
    };
    let named = entries.iter().filter(|(name, value)| {
        let is_plain = Path::new(name)
            .file_name()
            .is_some_and(|file| file == name.as_str());
        let is_component = |value: &serde_json::Value| value[1].is_string();
        is_plain && value.is_array() && is_component(value)
    });
    Ok(named.map(|(name, _)| name.clone()).collect())
}
