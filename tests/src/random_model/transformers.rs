//! Names, shapes and configurations of the three families' transformers at their real
//! sizes: 28 blocks of width 1152.

use serde_json::{Value, json};

use super::{TensorSpec, linear, tensor};

const D: usize = 1152;
const BLOCKS: usize = 28;
const TEXT: usize = 4096;
const HEAD: usize = 72;

fn transformer_config(sample_size: usize, norm_type: &str, norm_eps: f64) -> Value {
    json!({
        "_class_name": "Transformer2DModel", "num_attention_heads": 16,
        "attention_head_dim": HEAD, "in_channels": 4, "out_channels": 8, "num_layers": BLOCKS,
        "sample_size": sample_size, "patch_size": 2, "num_embeds_ada_norm": 1000,
        "norm_type": norm_type, "norm_eps": norm_eps, "norm_elementwise_affine": false,
        "attention_bias": true, "activation_fn": "gelu-approximate", "dropout": 0.0,
    })
}

pub(super) fn dit_config(sample_size: usize) -> Value {
    transformer_config(sample_size, "ada_norm_zero", 1e-5)
}

pub(super) fn pixart_config(sample_size: usize, interpolation_scale: usize) -> Value {
    let mut config = transformer_config(sample_size, "ada_norm_single", 1e-6);
    config["caption_channels"] = json!(TEXT);
    config["cross_attention_dim"] = json!(D);
    config["interpolation_scale"] = json!(interpolation_scale);
    config["use_additional_conditions"] = json!(false);
    config
}

pub(super) fn open_sora_config() -> Value {
    json!({
        "model_type": "STDiT2", "architectures": ["STDiT2"], "depth": BLOCKS,
        "hidden_size": D, "num_heads": 16, "mlp_ratio": 4.0, "in_channels": 4,
        "patch_size": [1, 2, 2], "input_size": [null, null, null], "input_sq_size": 512,
        "caption_channels": TEXT, "model_max_length": 200, "pred_sigma": true,
        "qk_norm": true, "class_dropout_prob": 0.1, "drop_path": 0.0,
        "no_temporal_pos_emb": false,
    })
}

pub(super) fn dit() -> Vec<TensorSpec> {
    let mut specs = patch_embed("pos_embed.proj", &[D, 4, 2, 2]);
    for block in 0..BLOCKS {
        let name = format!("transformer_blocks.{block}");
        let emb = format!("{name}.norm1.emb");
        specs.extend(linear(&format!("{emb}.timestep_embedder.linear_1"), D, 256));
        specs.extend(linear(&format!("{emb}.timestep_embedder.linear_2"), D, D));
        let table = format!("{emb}.class_embedder.embedding_table.weight");
        specs.push(tensor(table, &[1001, D]));
        specs.extend(linear(&format!("{name}.norm1.linear"), 6 * D, D));
        specs.extend(diffusers_attention(&format!("{name}.attn1")));
        specs.extend(diffusers_mlp(&name));
    }
    specs.extend(linear("proj_out_1", 2 * D, D));
    specs.extend(linear("proj_out_2", 32, D));
    specs
}

pub(super) fn pixart() -> Vec<TensorSpec> {
    let mut specs = vec![tensor("scale_shift_table", &[2, D])];
    specs.extend(patch_embed("pos_embed.proj", &[D, 4, 2, 2]));
    for block in 0..BLOCKS {
        let name = format!("transformer_blocks.{block}");
        specs.push(tensor(format!("{name}.scale_shift_table"), &[6, D]));
        specs.extend(diffusers_attention(&format!("{name}.attn1")));
        specs.extend(diffusers_attention(&format!("{name}.attn2")));
        specs.extend(diffusers_mlp(&name));
    }
    specs.extend(linear("proj_out", 32, D));
    specs.extend(linear(
        "adaln_single.emb.timestep_embedder.linear_1",
        D,
        256,
    ));
    specs.extend(linear("adaln_single.emb.timestep_embedder.linear_2", D, D));
    specs.extend(linear("adaln_single.linear", 6 * D, D));
    specs.extend(linear("caption_projection.linear_1", D, TEXT));
    specs.extend(linear("caption_projection.linear_2", D, D));
    specs
}

pub(super) fn open_sora() -> Vec<TensorSpec> {
    let mut specs = patch_embed("x_embedder.proj", &[D, 4, 1, 2, 2]);
    specs.extend(mlp_embedder("t_embedder", D));
    specs.extend(linear("t_block.1", 6 * D, D));
    specs.extend(linear("t_block_temp.1", 3 * D, D));
    specs.push(tensor("y_embedder.y_embedding", &[200, TEXT]));
    specs.extend(linear("y_embedder.y_proj.fc1", D, TEXT));
    specs.extend(linear("y_embedder.y_proj.fc2", D, D));
    specs.push(tensor("rope.freqs", &[HEAD / 2]));
    for block in 0..BLOCKS {
        specs.extend(open_sora_block(&format!("blocks.{block}")));
    }
    specs.push(tensor("final_layer.scale_shift_table", &[2, D]));
    specs.extend(linear("final_layer.linear", 32, D));
    specs.extend(mlp_embedder("csize_embedder", D / 3));
    specs.extend(mlp_embedder("ar_embedder", D / 3));
    specs.extend(mlp_embedder("fl_embedder", D));
    specs.extend(mlp_embedder("fps_embedder", D));
    specs
}

fn open_sora_block(name: &str) -> Vec<TensorSpec> {
    let mut specs = vec![
        tensor(format!("{name}.scale_shift_table"), &[6, D]),
        tensor(format!("{name}.scale_shift_table_temporal"), &[3, D]),
    ];
    for attention in ["attn", "attn_temp"] {
        specs.extend(linear(&format!("{name}.{attention}.qkv"), 3 * D, D));
        specs.push(tensor(format!("{name}.{attention}.q_norm.weight"), &[HEAD]));
        specs.push(tensor(format!("{name}.{attention}.k_norm.weight"), &[HEAD]));
        specs.extend(linear(&format!("{name}.{attention}.proj"), D, D));
    }
    specs.extend(linear(&format!("{name}.cross_attn.q_linear"), D, D));
    specs.extend(linear(&format!("{name}.cross_attn.kv_linear"), 2 * D, D));
    specs.extend(linear(&format!("{name}.cross_attn.proj"), D, D));
    specs.extend(linear(&format!("{name}.mlp.fc1"), 4 * D, D));
    specs.extend(linear(&format!("{name}.mlp.fc2"), D, 4 * D));
    specs
}

fn patch_embed(name: &str, shape: &[usize]) -> Vec<TensorSpec> {
    vec![
        tensor(format!("{name}.weight"), shape),
        tensor(format!("{name}.bias"), &[D]),
    ]
}

fn diffusers_attention(name: &str) -> Vec<TensorSpec> {
    let parts = ["to_q", "to_k", "to_v", "to_out.0"];
    parts
        .iter()
        .flat_map(|part| linear(&format!("{name}.{part}"), D, D))
        .collect()
}

fn diffusers_mlp(block: &str) -> Vec<TensorSpec> {
    let mut specs = Vec::from(linear(&format!("{block}.ff.net.0.proj"), 4 * D, D));
    specs.extend(linear(&format!("{block}.ff.net.2"), D, 4 * D));
    specs
}

fn mlp_embedder(name: &str, width: usize) -> Vec<TensorSpec> {
    let mut specs = Vec::from(linear(&format!("{name}.mlp.0"), width, 256));
    specs.extend(linear(&format!("{name}.mlp.2"), width, width));
    specs
}
