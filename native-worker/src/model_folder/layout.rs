//! Which family a folder holds, and where its transformer lies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{DitConfig, Family, FolderError, PixArtConfig, TransformerConfig};
use super::{parse_json, read_text};

/// What was found by looking at the small files.
pub(super) struct Layout {
    /// `model_index.json`.
    pub(super) index: ModelIndex,
    /// Where the transformer's `config.json` and weights are.
    pub(super) transformer_folder: PathBuf,
    /// The checked `config.json`.
    pub(super) transformer: TransformerConfig,
}

/// The part of `model_index.json` that we read.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ModelIndex {
    #[serde(rename = "_class_name")]
    class_name: Option<String>,
    pub(super) id2label: BTreeMap<String, String>,
    pub(super) vae: (Option<String>, Option<String>),
}

/// The part of a transformer's `config.json` that tells a family.
#[derive(Deserialize)]
struct FamilyTraits {
    norm_type: Option<String>,
}

impl Layout {
    pub(super) fn read(path: &Path) -> Result<Self, FolderError> {
        let index = read_model_index(&path.join("model_index.json"))?;
        let transformer_folder = path.join("transformer");
        let config = transformer_folder.join("config.json");
        let transformer = match family_of(&index, path, &config)? {
            Family::PixArt => TransformerConfig::PixArt(PixArtConfig::read(&config)?),
            _ => TransformerConfig::Dit(DitConfig::read(&config)?),
        };
        Ok(Self {
            index,
            transformer_folder,
            transformer,
        })
    }
}

fn read_model_index(path: &Path) -> Result<ModelIndex, FolderError> {
    let hint = "a diffusers pipeline folder has one; is this the folder above transformer/?";
    parse_json(path, &read_text(path, hint)?)
}

/// By the pipeline's name; where there is none, by the transformer's kind of norm.
fn family_of(index: &ModelIndex, path: &Path, config: &Path) -> Result<Family, FolderError> {
    match index.class_name.as_deref() {
        Some("DiTPipeline") => Ok(Family::Dit),
        Some("PixArtSigmaPipeline") => Ok(Family::PixArt),
        Some(other) => Err(FolderError::Unsupported {
            path: path.join("model_index.json"),
            key: "_class_name",
            found: format!("{other:?}"),
            expected: "only DiTPipeline and PixArtSigmaPipeline are built (Open-Sora is to follow)"
                .into(),
        }),
        None => {
            let text = read_text(config, "the transformer's configuration is needed")?;
            let traits: FamilyTraits = parse_json(config, &text)?;
            match traits.norm_type.as_deref() {
                Some("ada_norm_single") => Ok(Family::PixArt),
                _ => Ok(Family::Dit),
            }
        }
    }
}
