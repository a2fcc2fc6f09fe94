//! A checkpoint of Open-Sora's STDiT2 (`.pth`) → `transformer/` of a folder. Names stay.

use std::collections::BTreeMap;
use std::fs::File;

use serde_json::json;

use super::weights_file::{WeightsFile, without_integers};
use super::{ConvertError, ConvertRequest, Draft};
use crate::torch_file::{TorchFile, View};

/// Pixels a side at which positions are not scaled, for Open-Sora 1.1.
const INPUT_SQ_SIZE: u64 = 512;

/// Whether the names are those of STDiT2.
pub(super) fn is_it(tensors: &BTreeMap<String, View>) -> bool {
    tensors.contains_key("blocks.0.attn_temp.qkv.weight")
        && tensors.contains_key("t_block_temp.1.weight")
}

/// The folder of a checkpoint.
pub(super) fn draft(
    request: &ConvertRequest,
    file: TorchFile<File>,
) -> Result<Draft, ConvertError> {
    if request.vae.is_some() {
        return Err(ConvertError::Request(
            "--vae is for a checkpoint of DiT; put Open-Sora's VAE into vae/ of the new folder"
                .into(),
        ));
    }
    let mut draft = Draft::new("STDiT2 checkpoint");
    if let Some(wrapper) = file.wrapper {
        draft
            .notes
            .push(format!("the weights are those under {wrapper:?}"));
    }
    let beside = request.from.with_file_name("config.json");
    if beside.is_file() {
        draft
            .copies
            .push((beside, "transformer/config.json".into()));
    } else {
        let config = config(&file.tensors, request.n_heads)
            .map_err(|reason| ConvertError::input(&request.from, reason))?;
        draft.json("transformer/config.json", &config);
        draft.notes.push(format!(
            "transformer/config.json is made from the shapes, with Open-Sora 1.1's input_sq_size of {INPUT_SQ_SIZE}; if the model came with a config.json, use that"
        ));
    }
    let name = "transformer/model.safetensors";
    let tensors = file.tensors.clone();
    let entries = without_integers(tensors, name, &mut draft.notes);
    let weights = WeightsFile::new(name.into(), &request.from, file, entries);
    draft.weights.push(weights);
    draft.notes.push(
        "vae/, text_encoder/ and tokenizer/ are still missing; see docs/model-folder.md".into(),
    );
    Ok(draft)
}

/// The keys that Open-Sora's own config.json has, as far as shapes tell them.
fn config(
    tensors: &BTreeMap<String, View>,
    n_heads: Option<u64>,
) -> Result<serde_json::Value, String> {
    let size = |name: &str, axis: usize| {
        let view = tensors.get(name);
        let size = view.and_then(|view| view.shape.get(axis).copied());
        size.filter(|&size| size > 0)
            .ok_or_else(|| format!("tensor {name} is missing or misshapen; fetch the file again"))
    };
    let patch = "x_embedder.proj.weight";
    let width = size(patch, 0)?;
    let patches = [size(patch, 2)?, size(patch, 3)?, size(patch, 4)?];
    let in_channels = size(patch, 1)?;
    let outputs = size("final_layer.linear.weight", 0)?;
    let norm = "blocks.0.attn.q_norm.weight";
    let has_norm = tensors.contains_key(norm);
    let n_heads = match (n_heads, has_norm) {
        (Some(n_heads), _) => n_heads,
        (None, true) => width / size(norm, 0)?,
        (None, false) => {
            return Err(
                "the number of attention heads is not in the checkpoint; give it with --heads"
                    .into(),
            );
        }
    };
    let depth =
        (0..).take_while(|idx| tensors.contains_key(&format!("blocks.{idx}.attn_temp.qkv.weight")));
    Ok(json!({
        "architectures": ["STDiT2"],
        "caption_channels": size("y_embedder.y_proj.fc1.weight", 1)?,
        "depth": depth.count(),
        "hidden_size": width,
        "in_channels": in_channels,
        "input_sq_size": INPUT_SQ_SIZE,
        "mlp_ratio": size("blocks.0.mlp.fc1.weight", 0)? as f64 / width as f64,
        "model_max_length": size("y_embedder.y_embedding", 0)?,
        "model_type": "STDiT2",
        "num_heads": n_heads,
        "patch_size": patches,
        "pred_sigma": outputs == 2 * in_channels * patches.iter().product::<u64>(),
        "qk_norm": has_norm,
    }))
}
