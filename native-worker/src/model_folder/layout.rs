//! Which family a folder holds, and where its transformer lies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::weights::{WeightStem, find_files};
use super::{DitConfig, Family, FolderError, OpenSoraConfig, PixArtConfig, TransformerConfig};
use super::{parse_json, read_text};

/// What was found by looking at the small files.
pub(super) struct Layout {
    /// `model_index.json`, or nothing where an Open-Sora has none.
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

/// Open-Sora's folder on the hub is the transformer's; the other parts come from elsewhere
/// and lie in it, or it lies with them below transformer/.
pub(super) fn is_open_sora(path: &Path) -> bool {
    let configs = [
        path.join("config.json"),
        path.join("transformer/config.json"),
    ];
    configs.iter().any(|config| OpenSoraConfig::is_at(config))
}

impl Layout {
    pub(super) fn read(path: &Path) -> Result<Self, FolderError> {
        let below = path.join("transformer");
        for folder in [path, &below] {
            if OpenSoraConfig::is_at(&folder.join("config.json")) {
                return Self::of_open_sora(path, folder);
            }
        }
        let index = read_model_index(&path.join("model_index.json"))?;
        let config = below.join("config.json");
        let transformer = match family_of(&index, path, &config)? {
            Family::PixArt => TransformerConfig::PixArt(PixArtConfig::read(&config)?),
            _ => TransformerConfig::Dit(DitConfig::read(&config)?),
        };
        Ok(Self {
            index,
            transformer_folder: below,
            transformer,
        })
    }

    fn of_open_sora(path: &Path, folder: &Path) -> Result<Self, FolderError> {
        let index = path.join("model_index.json");
        let index = match index.exists() {
            true => read_model_index(&index)?,
            false => ModelIndex::default(),
        };
        let config = OpenSoraConfig::read(&folder.join("config.json"))?;
        Ok(Self {
            index,
            transformer_folder: folder.to_path_buf(),
            transformer: TransformerConfig::OpenSora(config),
        })
    }

    /// The transformer's weight files, in the order of their names.
    pub(super) fn weight_files(&self) -> Result<Vec<PathBuf>, FolderError> {
        let folder = &self.transformer_folder;
        if self.transformer.family() != Family::OpenSora {
            return find_files(folder, WeightStem::Diffusers);
        }
        // transformers wrote the hub's; whoever rearranged them may have used diffusers.
        let as_on_hub = find_files(folder, WeightStem::Model);
        as_on_hub.or_else(|error| find_files(folder, WeightStem::Diffusers).map_err(|_| error))
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
            expected: "only DiTPipeline and PixArtSigmaPipeline are built (and Open-Sora 1.1, whose config.json says STDiT2)"
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
