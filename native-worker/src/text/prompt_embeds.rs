//! Embeddings of prompts that another program made (`--prompt-embeds`), for people without
//! the text encoder: a safetensors file with the tensors that diffusers' pipelines return
//! from `encode_prompt`.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use dfa_core::wire::ContentHash;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

/// The tensor that is meant where none is named.
const DEFAULT_TENSOR: &str = "prompt_embeds";

/// A file, and the tensor in it: `FILE` or `FILE:TENSOR`.
///
/// With a tensor `X_embeds` (or `X`) go the mask `X_attention_mask`, and `negative_X_embeds`
/// with `negative_X_attention_mask`; each may be absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptEmbedsFile {
    /// The file.
    pub path: PathBuf,
    /// Name of the tensor; `prompt_embeds` if not given.
    pub tensor: Option<String>,
}

/// What a file holds.
#[derive(Clone, Debug)]
pub struct PromptEmbeds {
    /// Per prompt the visible tokens, (L, E).
    pub prompts: Vec<Tensor>,
    /// The same of the negative prompts: as many as prompts, or none.
    pub negatives: Vec<Tensor>,
    /// Of everything above; where the values came from does not count.
    pub hash: ContentHash,
}

/// Why embeddings cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the prompt embeddings in {path}: {reason}")]
pub struct EmbedsError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong and what is expected.
    pub reason: String,
}

impl PromptEmbeds {
    /// Reads and checks a file. `channels`: E, the transformer's caption channels.
    ///
    /// # Errors
    /// [`EmbedsError`] for whatever is missing, misshapen, not finite or all padding.
    pub fn read(file: &PromptEmbedsFile, channels: usize) -> Result<Self, EmbedsError> {
        let read = || {
            let bytes = std::fs::read(&file.path)
                .map_err(|error| format!("cannot be read ({error}); check the path"))?;
            let name = file.tensor.as_deref().unwrap_or(DEFAULT_TENSOR);
            parse(&bytes, name, channels)
        };
        read().map_err(|reason| EmbedsError {
            path: Path::to_path_buf(&file.path),
            reason,
        })
    }
}

fn parse(bytes: &[u8], name: &str, channels: usize) -> Result<PromptEmbeds, String> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|error| format!("not a safetensors file ({error}); save it again"))?;
    let prompts = read_set(&file, name, channels)?;
    let prompts = prompts.ok_or_else(|| {
        let mut names = file.names();
        names.sort_unstable();
        format!("there is no tensor {name:?}; name the one that is meant as FILE:TENSOR, the file holds {names:?}")
    })?;
    let negative = format!("negative_{name}");
    let mut negatives = read_set(&file, &negative, channels)?.unwrap_or_default();
    if negatives.len() == 1 {
        negatives = vec![negatives.swap_remove(0); prompts.len()];
    }
    if !negatives.is_empty() && negatives.len() != prompts.len() {
        return Err(format!(
            "{negative:?} holds {} prompts, expected 1 or {}, as many as {name:?}",
            negatives.len(),
            prompts.len()
        ));
    }
    let hash = hash_of(&prompts, &negatives);
    let to_tensor = |rows: Vec<f32>| {
        let tensor = Tensor::from_vec(rows, ((), channels), &Device::Cpu);
        tensor.map_err(|error| error.to_string())
    };
    let to_tensors = |set: Vec<Vec<f32>>| {
        set.into_iter()
            .map(to_tensor)
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(PromptEmbeds {
        prompts: to_tensors(prompts)?,
        negatives: to_tensors(negatives)?,
        hash,
    })
}

/// Per prompt the values of the visible tokens; `None` if there is no such tensor.
fn read_set(
    file: &SafeTensors<'_>,
    name: &str,
    channels: usize,
) -> Result<Option<Vec<Vec<f32>>>, String> {
    let Ok(view) = file.tensor(name) else {
        return Ok(None);
    };
    let (n_prompts, length) = match *view.shape() {
        [n_prompts, length, width] if n_prompts > 0 && length > 0 && width == channels => {
            (n_prompts, length)
        }
        ref shape => {
            return Err(format!(
                "the shape of {name:?} is {shape:?}, expected [prompts, tokens, {channels}], {channels} being the \
                 transformer's caption_channels"
            ));
        }
    };
    let values = floats(name, &view)?;
    let mask_name = format!(
        "{}_attention_mask",
        name.strip_suffix("_embeds").unwrap_or(name)
    );
    let mask = match file.tensor(&mask_name) {
        Ok(mask) => read_mask(&mask_name, &mask, (n_prompts, length))?,
        Err(_) => vec![true; n_prompts * length],
    };
    let prompts = values
        .chunks_exact(length * channels)
        .zip(mask.chunks_exact(length));
    let visible = prompts.enumerate().map(|(idx, (values, mask))| {
        let tokens = values.chunks_exact(channels).zip(mask);
        let seen: Vec<f32> = tokens
            .filter(|(_, seen)| **seen)
            .flat_map(|(token, _)| token.to_vec())
            .collect();
        if seen.is_empty() {
            return Err(format!(
                "{mask_name:?} hides every token of prompt {idx}; a prompt has at least 1"
            ));
        }
        match seen.iter().position(|value| !value.is_finite()) {
            None => Ok(seen),
            Some(at) => Err(format!(
                "{name:?} holds {} in prompt {idx}, expected finite numbers",
                seen[at]
            )),
        }
    });
    visible.collect::<Result<_, _>>().map(Some)
}

fn floats(name: &str, view: &TensorView<'_>) -> Result<Vec<f32>, String> {
    let dtype = match view.dtype() {
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        other => {
            return Err(format!(
                "{name:?} is of type {other:?}, expected f32, f16 or bf16"
            ));
        }
    };
    let tensor = Tensor::from_raw_buffer(view.data(), dtype, view.shape(), &Device::Cpu);
    let values =
        tensor.and_then(|tensor| tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>());
    values.map_err(|error| format!("{name:?}: {error}"))
}

/// Whether a token is visible, (prompts, tokens). A mask of any type, as long as it says 0
/// and 1: an additive one (0 and -10000) means the opposite, and must not be taken for this.
fn read_mask(
    name: &str,
    view: &TensorView<'_>,
    (n_prompts, length): (usize, usize),
) -> Result<Vec<bool>, String> {
    if view.shape() != [n_prompts, length] {
        return Err(format!(
            "the shape of {name:?} is {:?}, expected [{n_prompts}, {length}]",
            view.shape()
        ));
    }
    let one: &[u8] = match view.dtype() {
        Dtype::BOOL | Dtype::U8 | Dtype::I8 => &[1],
        Dtype::I16 | Dtype::U16 => &1u16.to_le_bytes(),
        Dtype::I32 | Dtype::U32 => &1u32.to_le_bytes(),
        Dtype::I64 | Dtype::U64 => &1u64.to_le_bytes(),
        Dtype::F16 => &0x3c00u16.to_le_bytes(),
        Dtype::BF16 => &0x3f80u16.to_le_bytes(),
        Dtype::F32 => &1f32.to_le_bytes(),
        Dtype::F64 => &1f64.to_le_bytes(),
        other => {
            return Err(format!(
                "{name:?} is of type {other:?}, expected integers, floats or booleans"
            ));
        }
    };
    let visible = view
        .data()
        .chunks_exact(one.len())
        .map(|value| match value {
            value if value == one => Ok(true),
            value if value.iter().all(|&byte| byte == 0) => Ok(false),
            _ => Err(format!(
                "{name:?} holds something else than 0 (padding) and 1 (visible)"
            )),
        });
    visible.collect()
}

/// Lengths and values, so that no two sets share a hash.
fn hash_of(prompts: &[Vec<f32>], negatives: &[Vec<f32>]) -> ContentHash {
    let mut hasher = Sha256::new();
    for set in [prompts, negatives] {
        hasher.update((set.len() as u64).to_le_bytes());
        for values in set {
            hasher.update((values.len() as u64).to_le_bytes());
            for value in values {
                hasher.update(value.to_le_bytes());
            }
        }
    }
    ContentHash::from_bytes(hasher.finalize().into())
}
