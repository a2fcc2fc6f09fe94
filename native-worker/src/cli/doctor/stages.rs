//! What memory each stage of a run needs: encoding texts, denoising, decoding. The stages
//! follow one another, and none keeps what only another needs.

use std::path::PathBuf;

use dfa_core::liveness::CacheShape;

use crate::model::LatentSize;
use crate::model_folder::weights::{WeightStem, find_files};
use crate::model_folder::{Family, ModelFolder, VaeConfig};
use crate::report_html::bytes;
use crate::run_setup::sizes::{VIDEO_FRAMES, VIDEO_SIZE};
use crate::text::TextEncoder;

const F32_BYTES: usize = 4;
/// Tensors of a hidden state's size that a block holds at its widest: hidden state, normed
/// state, the MLP's inner layer of four times the width before and after GELU.
const STATES_IN_A_BLOCK: u64 = 10;

/// One stage.
pub(super) struct Stage {
    /// Its name in the report.
    pub(super) name: &'static str,
    /// What it needs at once, mapped weights included.
    pub(super) needed_bytes: u64,
    /// The parts.
    pub(super) in_words: String,
    /// What to do if there is less.
    pub(super) remedy: &'static str,
}

/// The stages of a guided run of `batch_size` images at the model's own size.
pub(super) fn stages(
    folder: &ModelFolder,
    encoder: Option<&TextEncoder>,
    batch_size: usize,
) -> Vec<Stage> {
    let mut stages = Vec::new();
    if let (Some(encoder), Some(facts)) = (encoder, folder.transformer.text_facts()) {
        stages.push(encoding(encoder, facts.max_tokens));
    }
    stages.push(denoising(folder, batch_size));
    if let Some(vae) = &folder.vae {
        stages.push(decoding(folder, vae));
    }
    stages
}

/// Texts go through the encoder one block at a time; the rest of the file is not in memory.
fn encoding(encoder: &TextEncoder, max_tokens: usize) -> Stage {
    let memory = encoder.memory(max_tokens);
    Stage {
        name: "memory: text",
        needed_bytes: memory.block_bytes.saturating_add(memory.pass_bytes),
        in_words: format!(
            "one block {}, its states {}; the file of {} is mapped and read block by block",
            bytes(memory.block_bytes),
            bytes(memory.pass_bytes),
            bytes(memory.weight_bytes)
        ),
        remedy: "give --prompt-embeds FILE, made elsewhere",
    }
}

fn denoising(folder: &ModelFolder, batch_size: usize) -> Stage {
    let weights = size_of(&folder.weight_files);
    let state = cache_shape(folder, batch_size).tensor_bytes(2);
    let batch = state.saturating_mul(STATES_IN_A_BLOCK);
    let n_blocks = folder.transformer.geometry().n_blocks as u64;
    // Every block keeps its output and its window residual, for both branches.
    let caches = state.saturating_mul(2).saturating_mul(n_blocks);
    Stage {
        name: "memory: denoising",
        needed_bytes: weights.saturating_add(batch).saturating_add(caches),
        in_words: format!(
            "weights {} (mapped), a guided batch of {batch_size} {}, layer caches at worst {} (a plan's own are in `dfa plan show`)",
            bytes(weights),
            bytes(batch),
            bytes(caches)
        ),
        remedy: "use a smaller batch",
    }
}

/// Pictures are decoded one at a time.
fn decoding(folder: &ModelFolder, vae: &VaeConfig) -> Stage {
    let (width, height) = pixels(folder);
    let weights =
        size_of(&find_files(&folder.path.join("vae"), WeightStem::Diffusers).unwrap_or_default());
    let needed_bytes = vae.decoding_bytes(width, height).saturating_add(weights);
    Stage {
        name: "memory: decoding",
        needed_bytes,
        in_words: format!(
            "weights {} (mapped), one picture of {width}x{height} at a time",
            bytes(weights)
        ),
        remedy: "make smaller pictures",
    }
}

fn size_of(files: &[PathBuf]) -> u64 {
    let sizes = files.iter().filter_map(|path| path.metadata().ok());
    sizes.map(|file| file.len()).sum()
}

/// Width and height of the model's own pictures.
fn pixels(folder: &ModelFolder) -> (usize, usize) {
    let native = own_size(folder);
    let factor = folder.vae_factor();
    (native.width * factor, native.height * factor)
}

/// The size of a latent where nobody says it.
fn own_size(folder: &ModelFolder) -> LatentSize {
    if folder.transformer.family() != Family::OpenSora {
        return folder.transformer.geometry().native_size;
    }
    let factor = folder.vae_factor();
    LatentSize {
        frames: Some(VIDEO_FRAMES),
        height: VIDEO_SIZE.1 / factor,
        width: VIDEO_SIZE.0 / factor,
    }
}

fn cache_shape(folder: &ModelFolder, batch_size: usize) -> CacheShape {
    let geometry = folder.transformer.geometry();
    let size = own_size(folder);
    CacheShape {
        batch: batch_size * size.n_sequences(),
        branches: 2,
        n_tokens: geometry.n_tokens(size),
        width: geometry.width(),
        bytes_per_element: F32_BYTES,
    }
}
