//! Checks of a model folder: what it is, what is missing, and what its runs will need.

use std::path::Path;

use super::Finding;
use super::machine::available_bytes;
use super::stages::{Stage, stages};
use crate::cli::models::weight_file::WeightFile;
use crate::device::Placement;
use crate::model::vae::Vae;
use crate::model_folder::ModelFolder;
use crate::report_html::bytes;
use crate::run_setup::load_transformer;
use crate::text::TextEncoder;

pub(super) fn findings(path: &Path, batch_size: usize) -> Vec<Finding> {
    let folder = match ModelFolder::open(path) {
        Ok(folder) => folder,
        Err(error) => return vec![Finding::fail("model folder", error.to_string())],
    };
    let family = folder.transformer.family();
    let mut findings = vec![Finding::ok(
        "model folder",
        format!(
            "{}: {}, configuration is readable",
            folder.model_id,
            family.name()
        ),
    )];
    if !family.takes_text() && folder.class_names.iter().next().is_none() {
        findings.push(Finding::warn(
            "classes",
            "model_index.json names no classes (id2label); use indices",
        ));
    }
    findings.push(weight_files(&folder));
    findings.push(tensors(&folder));
    let encoder = family.takes_text().then(|| TextEncoder::open(&folder.path));
    findings.extend(encoder.as_ref().map(|encoder| match encoder {
        Ok(encoder) => text_encoder(encoder, &folder),
        Err(error) => Finding::warn(
            "text encoder",
            format!("{error}; without it give --prompt-embeds FILE"),
        ),
    }));
    findings.push(vae(&folder));
    let encoder = encoder.and_then(Result::ok);
    let stages = stages(&folder, encoder.as_ref(), batch_size);
    findings.extend(stages.iter().map(memory));
    findings
}

/// Parameters, sizes and types of the transformer's files.
fn weight_files(folder: &ModelFolder) -> Finding {
    let files = folder
        .weight_files
        .iter()
        .map(|path| WeightFile::read(path));
    let files = match files.collect::<anyhow::Result<Vec<_>>>() {
        Ok(files) => files,
        Err(error) => return Finding::fail("weight files", format!("{error:#}")),
    };
    let sum = |of: fn(&WeightFile) -> u64| files.iter().map(of).fold(0u64, u64::saturating_add);
    let dtypes: Vec<String> = files.iter().map(WeightFile::dtypes_in_words).collect();
    let text = format!(
        "{} of {} in all, {} parameters, {}",
        files.len(),
        bytes(sum(|file| file.size_bytes)),
        sum(|file| file.n_parameters),
        dtypes.first().map_or("no", String::as_str),
    );
    Finding::ok("weight files", text)
}

/// Whether the tensors are those that the configuration asks for. Weights are mapped, so
/// this takes little memory even for a large model.
fn tensors(folder: &ModelFolder) -> Finding {
    match load_transformer(folder, &Placement::cpu()) {
        Ok(_) => Finding::ok("tensors", "every tensor is there and has its shape"),
        Err(error) => Finding::fail("tensors", error.to_string()),
    }
}

fn text_encoder(encoder: &TextEncoder, folder: &ModelFolder) -> Finding {
    let config = &encoder.config;
    let expected = folder.transformer.text_facts().map(|facts| facts.channels);
    if expected.is_some_and(|channels| channels != config.width) {
        return Finding::fail(
            "text encoder",
            format!(
                "makes vectors of {}, but the transformer takes {}: put this model's text encoder there",
                config.width,
                expected.unwrap_or_default()
            ),
        );
    }
    let text = format!(
        "T5 of {} blocks, width {}, every tensor is there; {} tokens from {}",
        config.n_blocks,
        config.width,
        encoder.tokenizer.n_tokens(),
        encoder.tokenizer.path.display()
    );
    Finding::ok("text encoder", text)
}

fn vae(folder: &ModelFolder) -> Finding {
    match &folder.vae {
        Some(config) => match Vae::load(&folder.path.join("vae"), config, &Placement::cpu()) {
            Ok(_) => Finding::ok("VAE", "every tensor is there and has its shape"),
            Err(error) => Finding::fail("VAE", error.to_string()),
        },
        None => match crate::made_files::why_no_pictures(folder) {
            None => Finding::ok("VAE", "none: the latent is the image"),
            Some(reason) => Finding::warn(
                "VAE",
                format!("{reason}; calibrate works, and --save-latents keeps the latents"),
            ),
        },
    }
}

/// What a stage needs, and whether this machine has it.
fn memory(stage: &Stage) -> Finding {
    let name = stage.name;
    let text = format!("about {}: {}", bytes(stage.needed_bytes), stage.in_words);
    match available_bytes() {
        Some(available) if stage.needed_bytes > available => Finding::warn(
            name,
            format!(
                "{text}; only {} is available: {}",
                bytes(available),
                stage.remedy
            ),
        ),
        _ => Finding::ok(name, text),
    }
}
