//! The authors' checkpoint of DiT (`DiT-XL-2-512x512.pt`) → a `DiTPipeline` folder.
//!
//! The mathematics is the same under other names: the three projections of an attention
//! layer are one matrix, and the embedders, of which diffusers keeps a copy in every block,
//! exist once. Shift comes before scale and heads lie one after the other in both. What
//! differs is not in the weights: diffusers divides the frequencies of the timestep by 127
//! instead of 128, and the epsilon of the norm before the MLP is ten times larger; the folder
//! made here says what the published one says.

use std::collections::BTreeMap;
use std::fs::File;

use serde_json::json;

use super::weights_file::{WeightsFile, without_integers};
use super::{ConvertError, ConvertRequest, Draft, component};
use crate::torch_file::{TorchFile, View};

/// Heads by width, for the sizes S, B, L and XL of the authors.
const HEADS: [(u64, u64); 4] = [(384, 6), (768, 12), (1024, 16), (1152, 16)];
/// Layers outside the blocks.
const OUTSIDE: [(&str, &str); 3] = [
    ("x_embedder.proj", "pos_embed.proj"),
    ("final_layer.adaLN_modulation.1", "proj_out_1"),
    ("final_layer.linear", "proj_out_2"),
];
/// Names in a block; the attention's first matrix is cut into three.
const INSIDE: [(&str, &str); 4] = [
    ("adaLN_modulation.1", "norm1.linear"),
    ("attn.proj", "attn1.to_out.0"),
    ("mlp.fc1", "ff.net.0.proj"),
    ("mlp.fc2", "ff.net.2"),
];
/// Embedders, which every block gets a copy of.
const COPIED: [(&str, &str); 2] = [
    ("t_embedder.mlp.0", "norm1.emb.timestep_embedder.linear_1"),
    ("t_embedder.mlp.2", "norm1.emb.timestep_embedder.linear_2"),
];
const CLASS_TABLE: &str = "y_embedder.embedding_table.weight";

/// Whether the names are those of the authors' DiT.
pub(super) fn is_it(tensors: &BTreeMap<String, View>) -> bool {
    tensors.contains_key(CLASS_TABLE) && tensors.contains_key("blocks.0.adaLN_modulation.1.weight")
}

/// Sizes, read off the shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sizes {
    n_blocks: u64,
    n_heads: u64,
    width: u64,
    in_channels: u64,
    out_channels: u64,
    patch: u64,
    /// Latent pixels a side.
    side: u64,
    n_classes: u64,
}

/// The folder of a checkpoint.
pub(super) fn draft(
    request: &ConvertRequest,
    file: TorchFile<File>,
) -> Result<Draft, ConvertError> {
    let wrong = |reason: String| ConvertError::input(&request.from, reason);
    let sizes = Sizes::of(&file.tensors, request.n_heads).map_err(wrong)?;
    let entries = diffusers_names(&file.tensors, sizes.n_blocks).map_err(wrong)?;
    let mut draft = Draft::new("DiT checkpoint");
    if let Some(wrapper) = file.wrapper {
        draft
            .notes
            .push(format!("the weights are those under {wrapper:?}"));
    }
    let name = "transformer/diffusion_pytorch_model.safetensors";
    let entries = without_integers(entries, name, &mut draft.notes);
    draft.json("transformer/config.json", &sizes.config());
    draft.json("scheduler/scheduler_config.json", &scheduler());
    draft.json("model_index.json", &model_index());
    let weights = WeightsFile::new(name.into(), &request.from, file, entries);
    draft.weights.push(weights);
    match &request.vae {
        Some(vae) => component::add_vae(&mut draft, vae)?,
        None => draft.notes.push(
            "vae/ is still missing: add stabilityai/sd-vae-ft-ema (config.json and diffusion_pytorch_model.safetensors) as vae/, or give it with --vae".into(),
        ),
    }
    draft
        .notes
        .push("the checkpoint holds no names of classes; give classes by number".into());
    Ok(draft)
}

impl Sizes {
    /// The error is what is wrong with the checkpoint.
    fn of(tensors: &BTreeMap<String, View>, n_heads: Option<u64>) -> Result<Self, String> {
        let shape = |name: &str| match tensors.get(name) {
            Some(view) => Ok(view.shape.as_slice()),
            None => Err(format!("tensor {name} is missing; fetch the file again")),
        };
        let wrong = |name: &str, shape: &[u64]| {
            Err(format!(
                "tensor {name} has shape {shape:?}, which no DiT has"
            ))
        };
        let &[width, in_channels, patch, _] = shape("x_embedder.proj.weight")? else {
            return wrong("x_embedder.proj.weight", shape("x_embedder.proj.weight")?);
        };
        let Some(&rows) = shape("final_layer.linear.weight")?.first() else {
            return wrong("final_layer.linear.weight", &[]);
        };
        let n_tokens = match shape("pos_embed")? {
            &[1, n_tokens, _] => n_tokens,
            other => return wrong("pos_embed", other),
        };
        let &[n_labels, _] = shape(CLASS_TABLE)? else {
            return wrong(CLASS_TABLE, shape(CLASS_TABLE)?);
        };
        let known = HEADS.iter().find(|(known, _)| *known == width);
        let Some(n_heads) = n_heads.or(known.map(|(_, heads)| *heads)) else {
            return Err(format!(
                "the number of attention heads is not in the checkpoint, and a width of {width} is none of the published models'; give it with --heads"
            ));
        };
        let divides = |n: u64, of: u64| n > 0 && of.is_multiple_of(n);
        let area = patch.saturating_mul(patch);
        if !divides(n_heads, width) || !divides(area, rows) || n_labels < 2 {
            return Err(format!(
                "a width of {width}, {n_heads} heads, patches of {patch}, {rows} outputs a patch and {n_labels} labels do not go together"
            ));
        }
        let blocks =
            (0..).take_while(|idx| tensors.contains_key(&format!("blocks.{idx}.attn.qkv.weight")));
        Ok(Self {
            n_blocks: blocks.count() as u64,
            n_heads,
            width,
            in_channels,
            out_channels: rows / area,
            patch,
            side: n_tokens.isqrt().saturating_mul(patch),
            n_classes: n_labels - 1,
        })
    }

    fn config(self) -> serde_json::Value {
        json!({
            "_class_name": "DiTTransformer2DModel",
            "activation_fn": "gelu-approximate",
            "attention_bias": true,
            "attention_head_dim": self.width / self.n_heads,
            "in_channels": self.in_channels,
            "norm_elementwise_affine": false,
            "norm_eps": 1e-5,
            "norm_type": "ada_norm_zero",
            "num_attention_heads": self.n_heads,
            "num_embeds_ada_norm": self.n_classes,
            "num_layers": self.n_blocks,
            "out_channels": self.out_channels,
            "patch_size": self.patch,
            "sample_size": self.side,
        })
    }
}

/// That of facebook/DiT-XL-2-256 and -512.
fn scheduler() -> serde_json::Value {
    json!({
        "_class_name": "DDIMScheduler",
        "beta_end": 0.02,
        "beta_schedule": "linear",
        "beta_start": 0.0001,
        "clip_sample": false,
        "num_train_timesteps": 1000,
        "prediction_type": "epsilon",
        "set_alpha_to_one": true,
        "steps_offset": 0,
    })
}

fn model_index() -> serde_json::Value {
    json!({
        "_class_name": "DiTPipeline",
        "scheduler": ["diffusers", "DDIMScheduler"],
        "transformer": ["diffusers", "DiTTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    })
}

/// Every tensor under diffusers' names; the error is what is missing or not known.
fn diffusers_names(
    tensors: &BTreeMap<String, View>,
    n_blocks: u64,
) -> Result<Vec<(String, View)>, String> {
    let mut naming = Naming {
        left: tensors.clone(),
        made: Vec::new(),
    };
    // Positions are computed.
    naming.left.remove("pos_embed");
    for (from, to) in OUTSIDE {
        naming.layer(from, to)?;
    }
    for idx in 0..n_blocks {
        let (from, to) = (format!("blocks.{idx}"), format!("transformer_blocks.{idx}"));
        for (inner, new) in INSIDE {
            naming.layer(&format!("{from}.{inner}"), &format!("{to}.{new}"))?;
        }
        naming.thirds(&format!("{from}.attn.qkv"), &format!("{to}.attn1"))?;
    }
    let shared = naming.embedders()?;
    for idx in 0..n_blocks {
        let copies = shared
            .iter()
            .map(|(name, view)| (format!("transformer_blocks.{idx}.{name}"), view.clone()));
        naming.made.extend(copies);
    }
    match naming.left.keys().next() {
        None => Ok(naming.made),
        Some(name) => Err(format!(
            "tensor {name} is none of the authors' DiT; this model is another one"
        )),
    }
}

/// Tensors on their way from old to new names.
struct Naming {
    left: BTreeMap<String, View>,
    made: Vec<(String, View)>,
}

impl Naming {
    fn take(&mut self, name: &str) -> Result<View, String> {
        let view = self.left.remove(name);
        view.ok_or_else(|| format!("tensor {name} is missing; fetch the file again"))
    }

    /// Weight and bias of a linear layer.
    fn layer(&mut self, from: &str, to: &str) -> Result<(), String> {
        for part in ["weight", "bias"] {
            let view = self.take(&format!("{from}.{part}"))?;
            self.made.push((format!("{to}.{part}"), view));
        }
        Ok(())
    }

    /// A layer whose rows are those of q, then of k, then of v.
    fn thirds(&mut self, from: &str, to: &str) -> Result<(), String> {
        for part in ["weight", "bias"] {
            let name = format!("{from}.{part}");
            let view = self.take(&name)?;
            let rows = view.shape.first().copied().unwrap_or(0);
            if !rows.is_multiple_of(3) {
                return Err(format!(
                    "tensor {name} has {rows} rows, which are not those of q, k and v"
                ));
            }
            let third = rows / 3;
            for (idx, letter) in ["q", "k", "v"].into_iter().enumerate() {
                let rows = view.rows(idx as u64 * third, third);
                self.made.push((format!("{to}.to_{letter}.{part}"), rows));
            }
        }
        Ok(())
    }

    /// What every block gets a copy of.
    fn embedders(&mut self) -> Result<Vec<(String, View)>, String> {
        let mut shared = Vec::new();
        for (from, to) in COPIED {
            for part in ["weight", "bias"] {
                let view = self.take(&format!("{from}.{part}"))?;
                shared.push((format!("{to}.{part}"), view));
            }
        }
        let table = self.take(CLASS_TABLE)?;
        shared.push((
            "norm1.emb.class_embedder.embedding_table.weight".into(),
            table,
        ));
        Ok(shared)
    }
}
