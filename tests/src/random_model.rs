//! Model folders of the real families' sizes with random weights.
//!
//! - [`tensor_file`]: random tensors, streamed into a safetensors file.
//! - [`transformers`]: names and shapes of the transformers.
//! - [`companions`]: those of the autoencoder and of the text encoder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

pub mod companions;
pub mod tensor_file;
pub mod transformers;

use tensor_file::{StoredAs, write_tensors};

/// What can be written.
pub const KINDS: [&str; 5] = [
    "dit-xl-2-256",
    "dit-xl-2-512",
    "pixart-sigma-1024",
    "pixart-sigma-2k",
    "open-sora-240p",
];

/// A folder to write.
pub struct Order {
    /// One of [`KINDS`].
    pub kind: &'static str,
    /// Where; made if it is not there.
    pub folder: PathBuf,
    /// Type of the transformer's and the autoencoder's weights.
    pub stored_as: StoredAs,
    /// Whether a T5-XXL encoder is written too, in bf16: 9.5 GB.
    pub text_encoder: bool,
}

/// A tensor to make.
pub struct TensorSpec {
    /// Name in the file.
    pub name: String,
    /// Sides.
    pub shape: Vec<usize>,
}

/// `name` and `shape` as a spec.
pub(crate) fn tensor(name: impl Into<String>, shape: &[usize]) -> TensorSpec {
    TensorSpec {
        name: name.into(),
        shape: shape.to_vec(),
    }
}

/// Weight and bias of a linear layer.
pub(crate) fn linear(name: &str, outputs: usize, inputs: usize) -> [TensorSpec; 2] {
    [
        tensor(format!("{name}.weight"), &[outputs, inputs]),
        tensor(format!("{name}.bias"), &[outputs]),
    ]
}

/// Writes the whole folder.
///
/// # Errors
/// If the disk is full or the folder cannot be written.
pub fn write_folder(order: &Order) -> io::Result<()> {
    let folder = &order.folder;
    let stem = "diffusion_pytorch_model.safetensors";
    let (config, tensors, file) = match order.kind {
        "dit-xl-2-256" => (transformers::dit_config(32), transformers::dit(), stem),
        "dit-xl-2-512" => (transformers::dit_config(64), transformers::dit(), stem),
        "pixart-sigma-1024" => (
            transformers::pixart_config(128, 2),
            transformers::pixart(),
            stem,
        ),
        "pixart-sigma-2k" => (
            transformers::pixart_config(256, 4),
            transformers::pixart(),
            stem,
        ),
        _ => (
            transformers::open_sora_config(),
            transformers::open_sora(),
            "model.safetensors",
        ),
    };
    write_component(
        &folder.join("transformer"),
        &config,
        file,
        &tensors,
        order.stored_as,
    )?;
    let vae = companions::vae_config(if order.kind.starts_with("pixart") {
        0.13025
    } else {
        0.18215
    });
    write_component(
        &folder.join("vae"),
        &vae,
        stem,
        &companions::vae(),
        order.stored_as,
    )?;
    if order.kind != "open-sora-240p" {
        write_json(&folder.join("model_index.json"), &model_index(order.kind))?;
        let scheduler = folder.join("scheduler/scheduler_config.json");
        write_json(&scheduler, &scheduler_config(order.kind))?;
    }
    if order.text_encoder {
        write_component(
            &folder.join("text_encoder"),
            &companions::t5_config(),
            "model.safetensors",
            &companions::t5(),
            StoredAs::Bf16,
        )?;
    }
    Ok(())
}

fn write_component(
    folder: &Path,
    config: &Value,
    file: &str,
    tensors: &[TensorSpec],
    stored_as: StoredAs,
) -> io::Result<()> {
    write_json(&folder.join("config.json"), config)?;
    write_tensors(&folder.join(file), tensors, stored_as)
}

fn write_json(path: &Path, value: &Value) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, format!("{value:#}\n"))
}

fn model_index(kind: &str) -> Value {
    let is_pixart = kind.starts_with("pixart");
    let mut index = json!({
        "_class_name": if is_pixart { "PixArtSigmaPipeline" } else { "DiTPipeline" },
        "transformer": ["diffusers", "Transformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "scheduler": ["diffusers", "DDIMScheduler"],
    });
    if is_pixart {
        index["scheduler"] = json!(["diffusers", "DPMSolverMultistepScheduler"]);
        index["text_encoder"] = json!(["transformers", "T5EncoderModel"]);
        index["tokenizer"] = json!(["transformers", "T5Tokenizer"]);
    } else {
        let labels =
            (0..1000).map(|class| (class.to_string(), json!(format!("class number {class}"))));
        index["id2label"] = Value::Object(labels.collect());
    }
    index
}

fn scheduler_config(kind: &str) -> Value {
    let betas = json!({
        "beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear",
        "num_train_timesteps": 1000, "prediction_type": "epsilon",
    });
    let mut config = betas;
    if kind.starts_with("pixart") {
        config["_class_name"] = json!("DPMSolverMultistepScheduler");
        config["algorithm_type"] = json!("dpmsolver++");
        config["solver_order"] = json!(2);
        config["solver_type"] = json!("midpoint");
        config["lower_order_final"] = json!(true);
        config["timestep_spacing"] = json!("linspace");
    } else {
        config["_class_name"] = json!("DDIMScheduler");
        config["clip_sample"] = json!(false);
        config["set_alpha_to_one"] = json!(true);
        config["steps_offset"] = json!(0);
        config["timestep_spacing"] = json!("leading");
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of parameters that the authors' classes have at these sizes, in millions.
    #[test]
    fn every_network_has_its_number_of_tensors_and_parameters() {
        let check = |what: &str, specs: &[TensorSpec], n_tensors: usize, millions: f64| {
            let counts = specs
                .iter()
                .map(|spec| spec.shape.iter().product::<usize>());
            let found = counts.sum::<usize>() as f64 / 1e6;
            assert_eq!(specs.len(), n_tensors, "{what}");
            assert!((found - millions).abs() < 0.05, "{what}: {found}");
        };
        check("dit", &transformers::dit(), 538, 749.8);
        check("pixart", &transformers::pixart(), 603, 610.9);
        // The learned text of no prompt is stored, but is no parameter.
        let null_text = 200.0 * 4096.0 / 1e6;
        check(
            "open-sora",
            &transformers::open_sora(),
            707,
            767.5 + null_text,
        );
        check("vae", &companions::vae(), 248, 83.7);
        // Both names of the one table of words are in the count, one is in the file.
        check("t5", &companions::t5(), 219, 4762.3);
    }
}
