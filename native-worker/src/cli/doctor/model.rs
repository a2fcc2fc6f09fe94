//! Checks of a model folder, and what it will need.

use std::path::Path;

use dfa_core::liveness::CacheShape;

use super::Finding;
use super::machine::available_bytes;
use crate::cli::models::native_tokens;
use crate::cli::models::weight_file::WeightFile;
use crate::model_folder::ModelFolder;
use crate::report_html::bytes;
use crate::run_setup::load_transformer;

const F32_BYTES: usize = 4;

pub(super) fn findings(path: &Path, batch_size: usize) -> Vec<Finding> {
    let folder = match ModelFolder::open(path) {
        Ok(folder) => folder,
        Err(error) => return vec![Finding::fail("model folder", error.to_string())],
    };
    let mut findings = vec![Finding::ok(
        "model folder",
        format!("{}, configuration is readable", folder.model_id),
    )];
    if folder.class_names.iter().next().is_none() {
        findings.push(Finding::warn(
            "classes",
            "model_index.json names no classes (id2label); use indices",
        ));
    }
    if folder.has_vae {
        findings.push(Finding::warn(
            "VAE",
            "latents are not decoded to pictures yet; --save-latents keeps them",
        ));
    }
    match weight_files(&folder) {
        Ok((n_parameters, finding)) => {
            findings.push(finding);
            findings.extend(needs(&folder, n_parameters, batch_size));
        }
        Err(error) => findings.push(Finding::fail("weight files", format!("{error:#}"))),
    }
    findings
}

/// Parameters of all files.
fn weight_files(folder: &ModelFolder) -> anyhow::Result<(u64, Finding)> {
    let files = folder
        .weight_files
        .iter()
        .map(|path| WeightFile::read(path));
    let files = files.collect::<anyhow::Result<Vec<_>>>()?;
    let n_parameters = files
        .iter()
        .fold(0u64, |sum, file| sum.saturating_add(file.n_parameters));
    let size = files
        .iter()
        .fold(0u64, |sum, file| sum.saturating_add(file.size_bytes));
    let dtypes: Vec<String> = files.iter().map(WeightFile::dtypes_in_words).collect();
    let text = format!(
        "{} of {} in all, {n_parameters} parameters, {}",
        files.len(),
        bytes(size),
        dtypes.first().map_or("no", String::as_str),
    );
    Ok((n_parameters, Finding::ok("weight files", text)))
}

/// Memory, and whether the tensors are those that the configuration asks for.
fn needs(folder: &ModelFolder, n_parameters: u64, batch_size: usize) -> Vec<Finding> {
    let weights = n_parameters.saturating_mul(F32_BYTES as u64);
    let batch = batch_bytes(folder, batch_size);
    let caches = worst_cache_bytes(folder, batch_size);
    let total = weights.saturating_add(batch).saturating_add(caches);
    let text = format!(
        "about {}: weights {}, a guided batch of {batch_size} {}, layer caches at worst {}",
        bytes(total),
        bytes(weights),
        bytes(batch),
        bytes(caches),
    );
    let available = available_bytes();
    let memory = match available {
        Some(available) if total > available => Finding::warn(
            "memory needed",
            format!(
                "{text}; only {} is available, use a smaller batch",
                bytes(available)
            ),
        ),
        _ => Finding::ok("memory needed", text),
    };
    let tensors = if available.is_some_and(|available| weights > available / 2) {
        Finding::warn(
            "tensors",
            "not checked: the weights would take more than half of the memory",
        )
    } else {
        match load_transformer(folder) {
            Ok(_) => Finding::ok("tensors", "every tensor is there and has its shape"),
            Err(error) => Finding::fail("tensors", error.to_string()),
        }
    };
    vec![memory, tensors]
}

/// Activations of one block of a guided batch, roughly: the hidden state, q, k, v, the
/// attention's output and the MLP's inner layer of four times the width.
fn batch_bytes(folder: &ModelFolder, batch_size: usize) -> u64 {
    cache_shape(folder, batch_size)
        .tensor_bytes(2)
        .saturating_mul(10)
}

/// Every block keeps its output and its window residual, for both branches.
fn worst_cache_bytes(folder: &ModelFolder, batch_size: usize) -> u64 {
    let of_a_block = cache_shape(folder, batch_size)
        .tensor_bytes(2)
        .saturating_mul(2);
    of_a_block.saturating_mul(folder.transformer.geometry().n_blocks as u64)
}

fn cache_shape(folder: &ModelFolder, batch_size: usize) -> CacheShape {
    CacheShape {
        batch: batch_size,
        branches: 2,
        n_tokens: native_tokens(folder),
        width: folder.transformer.geometry().width(),
        bytes_per_element: F32_BYTES,
    }
}
