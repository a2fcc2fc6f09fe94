//! Names, shapes and configurations of what stands around a transformer: the image
//! autoencoder of Stable Diffusion and the encoder of T5 v1.1 XXL.

use serde_json::{Value, json};

use super::{TensorSpec, linear, tensor};

const LEVELS: [usize; 4] = [128, 256, 512, 512];
const LAYERS: usize = 2;
const LATENT: usize = 4;

pub(super) fn vae_config(scaling_factor: f64) -> Value {
    json!({
        "_class_name": "AutoencoderKL", "act_fn": "silu", "block_out_channels": LEVELS,
        "down_block_types": (["DownEncoderBlock2D"; 4]), "up_block_types": (["UpDecoderBlock2D"; 4]),
        "in_channels": 3, "out_channels": 3, "latent_channels": LATENT,
        "layers_per_block": LAYERS, "norm_num_groups": 32, "sample_size": 512,
        "scaling_factor": scaling_factor,
    })
}

pub(super) fn vae() -> Vec<TensorSpec> {
    let mut specs = Vec::new();
    let coarsest = LEVELS[LEVELS.len() - 1];
    specs.extend(conv("encoder.conv_in", LEVELS[0], 3, 3));
    for (idx, &outputs) in LEVELS.iter().enumerate() {
        let name = format!("encoder.down_blocks.{idx}");
        let inputs = LEVELS[idx.saturating_sub(1)];
        specs.extend(level(&name, inputs, outputs, LAYERS));
        if idx + 1 < LEVELS.len() {
            specs.extend(conv(
                &format!("{name}.downsamplers.0.conv"),
                outputs,
                outputs,
                3,
            ));
        }
    }
    specs.extend(coder_ends("encoder", coarsest, coarsest, 2 * LATENT));
    specs.extend(conv("decoder.conv_in", coarsest, LATENT, 3));
    for idx in 0..LEVELS.len() {
        let name = format!("decoder.up_blocks.{idx}");
        let of = |idx: usize| LEVELS[LEVELS.len() - 1 - idx];
        let (inputs, outputs) = (of(idx.saturating_sub(1)), of(idx));
        specs.extend(level(&name, inputs, outputs, LAYERS + 1));
        if idx + 1 < LEVELS.len() {
            specs.extend(conv(
                &format!("{name}.upsamplers.0.conv"),
                outputs,
                outputs,
                3,
            ));
        }
    }
    specs.extend(coder_ends("decoder", coarsest, LEVELS[0], 3));
    specs.extend(conv("quant_conv", 2 * LATENT, 2 * LATENT, 1));
    specs.extend(conv("post_quant_conv", LATENT, LATENT, 1));
    specs
}

fn conv(name: &str, outputs: usize, inputs: usize, side: usize) -> [TensorSpec; 2] {
    [
        tensor(format!("{name}.weight"), &[outputs, inputs, side, side]),
        tensor(format!("{name}.bias"), &[outputs]),
    ]
}

fn norm(name: &str, channels: usize) -> [TensorSpec; 2] {
    ["weight", "bias"].map(|part| tensor(format!("{name}.{part}"), &[channels]))
}

fn residual(name: &str, inputs: usize, outputs: usize) -> Vec<TensorSpec> {
    let mut specs = Vec::from(norm(&format!("{name}.norm1"), inputs));
    specs.extend(conv(&format!("{name}.conv1"), outputs, inputs, 3));
    specs.extend(norm(&format!("{name}.norm2"), outputs));
    specs.extend(conv(&format!("{name}.conv2"), outputs, outputs, 3));
    if inputs != outputs {
        specs.extend(conv(&format!("{name}.conv_shortcut"), outputs, inputs, 1));
    }
    specs
}

fn level(name: &str, inputs: usize, outputs: usize, n_layers: usize) -> Vec<TensorSpec> {
    let layers = (0..n_layers).flat_map(|idx| {
        let inputs = if idx == 0 { inputs } else { outputs };
        residual(&format!("{name}.resnets.{idx}"), inputs, outputs)
    });
    layers.collect()
}

/// The middle and the last layers.
fn coder_ends(name: &str, middle: usize, last: usize, outputs: usize) -> Vec<TensorSpec> {
    let attention = format!("{name}.mid_block.attentions.0");
    let mut specs = Vec::from(norm(&format!("{attention}.group_norm"), middle));
    for part in ["to_q", "to_k", "to_v", "to_out.0"] {
        specs.extend(linear(&format!("{attention}.{part}"), middle, middle));
    }
    for idx in 0..2 {
        specs.extend(residual(
            &format!("{name}.mid_block.resnets.{idx}"),
            middle,
            middle,
        ));
    }
    specs.extend(norm(&format!("{name}.conv_norm_out"), last));
    specs.extend(conv(&format!("{name}.conv_out"), outputs, last, 3));
    specs
}

pub(super) fn t5_config() -> Value {
    json!({
        "architectures": ["T5EncoderModel"], "model_type": "t5", "d_model": 4096,
        "d_kv": 64, "d_ff": 10240, "num_heads": 64, "num_layers": 24, "vocab_size": 32128,
        "feed_forward_proj": "gated-gelu", "dense_act_fn": "gelu_new", "is_gated_act": true,
        "layer_norm_epsilon": 1e-6, "relative_attention_num_buckets": 32,
        "relative_attention_max_distance": 128, "tie_word_embeddings": false,
    })
}

pub(super) fn t5() -> Vec<TensorSpec> {
    const D: usize = 4096;
    const INNER: usize = 10240;
    let mut specs = vec![tensor("shared.weight", &[32128, D])];
    for block in 0..24 {
        let layer =
            |idx: usize, name: &str| format!("encoder.block.{block}.layer.{idx}.{name}.weight");
        for part in ["q", "k", "v", "o"] {
            specs.push(tensor(layer(0, &format!("SelfAttention.{part}")), &[D, D]));
        }
        if block == 0 {
            specs.push(tensor(
                layer(0, "SelfAttention.relative_attention_bias"),
                &[32, 64],
            ));
        }
        specs.push(tensor(layer(0, "layer_norm"), &[D]));
        specs.push(tensor(layer(1, "DenseReluDense.wi_0"), &[INNER, D]));
        specs.push(tensor(layer(1, "DenseReluDense.wi_1"), &[INNER, D]));
        specs.push(tensor(layer(1, "DenseReluDense.wo"), &[D, INNER]));
        specs.push(tensor(layer(1, "layer_norm"), &[D]));
    }
    specs.push(tensor("encoder.final_layer_norm.weight", &[D]));
    specs
}
