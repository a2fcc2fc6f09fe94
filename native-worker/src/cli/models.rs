//! `dfa models`: what a model folder is, or which ones lie below a folder.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;
use serde_json::{Value, json};

use super::terminal::{note, print_result, warn};
use super::{Failure, GlobalFlags};
use crate::model_folder::{FolderError, ModelFolder, ModelIdentity};
use crate::report_html::bytes;

pub(crate) mod weight_file;

use weight_file::WeightFile;

/// Folders below a folder that are looked at.
const MAX_ENTRIES: usize = 10_000;

/// Say what model folders are.
#[derive(Debug, Args)]
pub(crate) struct ModelsArgs {
    /// Model folders, or folders that hold model folders [default: models].
    #[arg(value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// A model folder.
    #[arg(long, env = "DFA_MODEL", value_name = "DIR")]
    model: Option<PathBuf>,
    /// Also hash the weights and the configuration; reads every byte.
    #[arg(long, env = "DFA_HASH", value_parser = super::switch())]
    hash: bool,
}

pub(crate) fn run(args: &ModelsArgs, global: GlobalFlags) -> Result<ExitCode, Failure> {
    let mut is_good = true;
    let mut values = Vec::new();
    for path in model_folders(args)? {
        match describe(&path, args.hash) {
            Ok(facts) if global.json => values.push(facts.json()),
            Ok(facts) => print_result(&facts.text())?,
            Err(error) => {
                is_good = false;
                warn(&format!("{error:#}"));
                values.push(json!({"path": path.to_string_lossy(), "error": format!("{error:#}")}));
            }
        }
    }
    if global.json {
        print_result(&Value::from(values).to_string())?;
    }
    Ok(ExitCode::from(u8::from(!is_good)))
}

/// The folders asked for, and the model folders below those that are none themselves.
fn model_folders(args: &ModelsArgs) -> Result<Vec<PathBuf>, Failure> {
    let mut asked: Vec<PathBuf> = args.folders.clone();
    if asked.is_empty() {
        asked.push(args.model.clone().unwrap_or_else(|| "models".into()));
    }
    let mut found = Vec::new();
    for folder in asked {
        if !folder.is_dir() {
            return Err(Failure::Failed(anyhow!(
                "{} is not a folder; give a model folder, or one above them",
                folder.display()
            )));
        }
        let below = if is_model(&folder) {
            vec![folder.clone()]
        } else {
            models_below(&folder)
        };
        if below.is_empty() {
            note(&format!(
                "no model folder in {}: a model folder has a model_index.json, or is Open-Sora's with its config.json",
                folder.display()
            ));
        }
        found.extend(below);
    }
    Ok(found)
}

fn is_model(folder: &Path) -> bool {
    ModelFolder::is_at(folder)
}

/// Model folders right below `folder`, by name.
fn models_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.take(MAX_ENTRIES).map(|entry| entry.path());
    let mut models: Vec<PathBuf> = paths.filter(|path| is_model(path)).collect();
    models.sort();
    models
}

/// A model folder and its weight files.
struct ModelFacts {
    folder: ModelFolder,
    weights: Vec<(String, WeightFile)>,
    identity: Option<ModelIdentity>,
}

fn describe(path: &Path, is_hashed: bool) -> anyhow::Result<ModelFacts> {
    let folder = ModelFolder::open(path)?;
    let weights = folder.weight_files.iter().map(|file| {
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Ok((name, WeightFile::read(file)?))
    });
    let weights = weights.collect::<anyhow::Result<Vec<_>>>()?;
    let identity = is_hashed.then(|| folder.identity());
    Ok(ModelFacts {
        weights,
        identity: identity
            .transpose()
            .map_err(|error: FolderError| anyhow!(error))?,
        folder,
    })
}

impl ModelFacts {
    fn n_tokens(&self) -> usize {
        native_tokens(&self.folder)
    }

    fn json(&self) -> Value {
        let config = self.folder.transformer.geometry();
        let weights = self.weights.iter().map(|(name, file)| {
            json!({
                "file": name, "size_bytes": file.size_bytes, "n_tensors": file.n_tensors,
                "n_parameters": file.n_parameters, "dtypes": file.dtypes,
            })
        });
        let identity = self.identity.map(|identity| {
            json!({
                "weights_sha256": identity.weights_sha256,
                "config_sha256": identity.config_sha256,
                "scheduler_sha256": identity.scheduler_sha256,
            })
        });
        let classes: Vec<Value> = self
            .folder
            .class_names
            .iter()
            .map(|(index, name)| json!({"index": index, "name": name}))
            .collect();
        json!({
            "path": self.folder.path.to_string_lossy(),
            "model_id": self.folder.model_id,
            "family": self.folder.transformer.family().name(),
            "n_blocks": config.n_blocks,
            "n_heads": config.n_heads,
            "head_size": config.head_size,
            "width": config.width(),
            "in_channels": config.in_channels,
            "patch_size": config.patch_size,
            "sample_size": config.native_size.height,
            "n_tokens": self.n_tokens(),
            "n_classes": self.folder.transformer.n_classes(),
            "class_names": classes,
            "has_vae": self.folder.has_vae,
            "sampler": self.folder.sampler.kind().as_str(),
            "weights": weights.collect::<Vec<_>>(),
            "identity": identity,
        })
    }

    fn text(&self) -> String {
        let folder = &self.folder;
        let mut text = format!("{} ({})\n", folder.model_id, folder.path.display());
        self.write_network(&mut text);
        let sampler = &folder.sampler;
        let _ = writeln!(
            text,
            "  sampler  {}, predicts {}, {} spacing, {} training timesteps",
            sampler.kind(),
            format!("{:?}", sampler.prediction).to_lowercase(),
            format!("{:?}", sampler.spacing).to_lowercase(),
            sampler.betas.n_timesteps,
        );
        self.write_weights(&mut text);
        text
    }

    fn write_network(&self, text: &mut String) {
        let config = self.folder.transformer.geometry();
        let family = self.folder.transformer.family();
        let space = if self.folder.has_vae {
            "with a VAE"
        } else {
            "in pixel space (no VAE)"
        };
        let takes = if family.takes_text() {
            "draws what a text says"
        } else {
            "class-conditional"
        };
        let _ = writeln!(text, "  family   {}, {takes}, {space}", family.name());
        let _ = writeln!(
            text,
            "  network  {} blocks, {} heads of {}, width {}",
            config.n_blocks,
            config.n_heads,
            config.head_size,
            config.width()
        );
        let _ = writeln!(
            text,
            "  latent   {} channels, {}, patches of {patch}x{patch}: {} tokens",
            config.in_channels,
            config.native_size,
            self.n_tokens(),
            patch = config.patch_size,
        );
        if let Some(n_classes) = self.folder.transformer.n_classes() {
            let names = self.class_names();
            let _ = writeln!(text, "  classes  {n_classes}{names}");
        }
    }

    fn write_weights(&self, text: &mut String) {
        for (name, file) in &self.weights {
            let _ = writeln!(
                text,
                "  weights  {name}: {}, {} parameters in {} tensors, {}",
                bytes(file.size_bytes),
                file.n_parameters,
                file.n_tensors,
                file.dtypes_in_words(),
            );
        }
        if let Some(identity) = self.identity {
            let _ = writeln!(text, "  hashes   weights {}", identity.weights_sha256);
            let _ = writeln!(text, "           config {}", identity.config_sha256);
            let _ = writeln!(text, "           scheduler {}", identity.scheduler_sha256);
        }
    }

    /// `: 0 adventurer, 1 big-ears, …`, at most twenty.
    fn class_names(&self) -> String {
        let mut names = self
            .folder
            .class_names
            .iter()
            .map(|(index, name)| format!("{index} {name}"));
        let shown: Vec<String> = names.by_ref().take(20).collect();
        let rest = names.count();
        match (shown.is_empty(), rest) {
            (true, _) => " (without names)".into(),
            (false, 0) => format!(": {}", shown.join(", ")),
            (false, rest) => format!(": {}, and {rest} more (--json lists all)", shown.join(", ")),
        }
    }
}

/// N at the size that the model was trained for.
pub(crate) fn native_tokens(folder: &ModelFolder) -> usize {
    let geometry = folder.transformer.geometry();
    geometry.n_tokens(geometry.native_size)
}
