//! T5 against transformers, and what is said of spoiled folders.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use dfa_native_worker::text::{TextEncoder, TextError};
use dfa_tests::closeness::relative_l2;
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use super::{read_json, text_fixture};

/// T5's outputs, computed by both sides in f32 from the same f16 weights; only the order
/// of sums differs.
const TOLERANCE: f64 = 1e-4;

#[derive(Deserialize)]
struct Row {
    prompt: String,
    max_tokens: usize,
}

fn never() -> bool {
    false
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// A copy of the fixture's folder, to be changed.
struct Copy {
    folder: TempDir,
}

impl Copy {
    fn new() -> Self {
        let copy = Self {
            folder: TempDir::new().unwrap(),
        };
        for part in ["tokenizer", "text_encoder"] {
            std::fs::create_dir(copy.root().join(part)).unwrap();
            for entry in std::fs::read_dir(text_fixture("model").join(part)).unwrap() {
                let from = entry.unwrap().path();
                std::fs::copy(
                    &from,
                    copy.root().join(part).join(from.file_name().unwrap()),
                )
                .unwrap();
            }
        }
        copy
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn shards(&self) -> Vec<std::path::PathBuf> {
        let folder = self.root().join("text_encoder");
        let paths = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let mut shards: Vec<_> = paths
            .filter(|path| path.to_string_lossy().contains("model"))
            .collect();
        shards.retain(|path| path.is_file());
        shards.sort();
        shards
    }

    /// All tensors of the shards, which are removed.
    fn take_tensors(&self) -> HashMap<String, Tensor> {
        let mut tensors = HashMap::new();
        for path in self.shards() {
            if path
                .extension()
                .is_some_and(|ending| ending == "safetensors")
            {
                tensors.extend(candle_core::safetensors::load(&path, &Device::Cpu).unwrap());
            }
            std::fs::remove_file(path).unwrap();
        }
        tensors
    }

    fn save(&self, name: &str, tensors: &HashMap<String, Tensor>) {
        candle_core::safetensors::save(tensors, self.root().join("text_encoder").join(name))
            .unwrap();
    }

    fn set(&self, key: &str, value: Value) {
        let path = self.root().join("text_encoder/config.json");
        let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        config[key] = value;
        std::fs::write(path, config.to_string()).unwrap();
    }

    #[track_caller]
    fn assert_refused(&self, expected: &[&str]) {
        let error = TextEncoder::open(self.root()).unwrap_err().to_string();
        for part in expected {
            assert!(error.contains(part), "{part:?}: {error}");
        }
    }
}

#[test]
fn visible_tokens_equal_those_of_a_padded_and_masked_run() {
    let rows: Vec<Row> = read_json("encoded.json");
    let golden =
        candle_core::safetensors::load(text_fixture("embeds.safetensors"), &Device::Cpu).unwrap();
    let encoder = TextEncoder::open(&text_fixture("model")).unwrap();
    for (idx, row) in rows.iter().enumerate() {
        let found = encoder
            .encode(std::slice::from_ref(&row.prompt), row.max_tokens, &never)
            .unwrap();
        let expected = &golden[&format!("embeds.{idx}")];
        assert_eq!(found[0].embeds.dims(), expected.dims(), "{}", row.prompt);
        let difference = relative_l2(&values(expected), &values(&found[0].embeds));
        assert!(difference < TOLERANCE, "{}: {difference}", row.prompt);
    }
    // The last one does not fit.
    let last = rows.last().unwrap();
    let found = encoder
        .encode(std::slice::from_ref(&last.prompt), last.max_tokens, &never)
        .unwrap();
    assert!(found[0].n_tokens_cut > 0);
}

#[test]
fn prompts_together_are_what_they_are_alone() {
    let rows: Vec<Row> = read_json("encoded.json");
    let encoder = TextEncoder::open(&text_fixture("model")).unwrap();
    let mut prompts: Vec<String> = rows.into_iter().map(|row| row.prompt).collect();
    prompts.push(prompts[1].clone());
    let together = encoder.encode(&prompts, 50, &never).unwrap();
    assert_eq!(together.len(), prompts.len());
    for (prompt, found) in prompts.iter().zip(&together) {
        let alone = &encoder
            .encode(std::slice::from_ref(prompt), 50, &never)
            .unwrap()[0];
        assert_eq!(alone.n_tokens_cut, found.n_tokens_cut);
        let difference = relative_l2(&values(&alone.embeds), &values(&found.embeds));
        // The matrix multiply may sum in another order.
        assert!(difference < 1e-6, "{prompt}: {difference}");
    }
    assert!(encoder.encode(&[], 50, &never).unwrap().is_empty());
}

#[test]
fn files_of_every_layout_and_type_are_read() {
    let prompt = ["the gigantic dragon".to_owned()];
    let encode = |copy: &Copy| {
        let encoder = TextEncoder::open(copy.root()).unwrap();
        values(&encoder.encode(&prompt, 20, &never).unwrap()[0].embeds)
    };
    let expected = encode(&Copy::new());
    let table = |tensors: &mut HashMap<String, Tensor>| {
        let table = tensors
            .remove("shared.weight")
            .or_else(|| tensors.remove("encoder.embed_tokens.weight"));
        table.unwrap()
    };
    let as_f32 = |copy: &Copy| -> HashMap<String, Tensor> {
        let tensors = copy.take_tensors().into_iter();
        tensors
            .map(|(name, tensor)| (name, tensor.to_dtype(DType::F32).unwrap()))
            .collect()
    };

    // f16 widened beforehand is the same; so is the table by its other name, or by both.
    for names in [
        &["shared.weight"][..],
        &["encoder.embed_tokens.weight"],
        &["shared.weight", "encoder.embed_tokens.weight"],
    ] {
        let copy = Copy::new();
        let mut tensors = as_f32(&copy);
        let table = table(&mut tensors);
        for name in names {
            tensors.insert((*name).into(), table.clone());
        }
        tensors.insert("decoder.block.0.of.no.interest".into(), table.clone());
        copy.save("model.safetensors", &tensors);
        assert_eq!(encode(&copy), expected, "{names:?}");
    }
    let copy = Copy::new();
    let tensors = copy.take_tensors();
    copy.save("model.fp16.safetensors", &tensors);
    assert_eq!(encode(&copy), expected);

    // bf16 has other values; they must be those of the same values in f32.
    let (narrow, wide) = (Copy::new(), Copy::new());
    narrow.take_tensors();
    let rounded = |dtype: DType| -> HashMap<String, Tensor> {
        let tensors = as_f32(&Copy::new()).into_iter();
        let round = |tensor: Tensor| tensor.to_dtype(DType::BF16)?.to_dtype(dtype);
        tensors
            .map(|(name, tensor)| (name, round(tensor).unwrap()))
            .collect()
    };
    wide.take_tensors();
    narrow.save("model.safetensors", &rounded(DType::BF16));
    wide.save("model.safetensors", &rounded(DType::F32));
    assert_eq!(encode(&narrow), encode(&wide));
}

#[test]
fn it_stops_when_asked() {
    let encoder = TextEncoder::open(&text_fixture("model")).unwrap();
    let n_asked = std::cell::Cell::new(0);
    let stop = || {
        n_asked.set(n_asked.get() + 1);
        n_asked.get() > 2
    };
    let result = encoder.encode(&["a".to_owned()], 10, &stop);
    assert!(matches!(result, Err(TextError::Stopped)));
    assert_eq!(n_asked.get(), 3);
}

#[test]
fn it_says_what_memory_it_takes() {
    let encoder = TextEncoder::open(&text_fixture("model")).unwrap();
    let memory = encoder.memory(300);
    // Width 32, attention 24, feed-forward 40: four and three matrices and two norms.
    assert_eq!(memory.block_bytes, 4 * (4 * 32 * 24 + 3 * 32 * 40 + 2 * 32));
    let sizes = encoder
        .files()
        .iter()
        .map(|path| path.metadata().unwrap().len());
    assert_eq!(memory.weight_bytes, sizes.sum::<u64>());
    assert!(memory.pass_bytes > 4 * 3 * 300 * 300 * 4);
}

#[test]
fn spoiled_weights_are_refused_with_every_name() {
    let copy = Copy::new();
    let mut tensors = copy.take_tensors();
    tensors.remove("encoder.block.2.layer.1.DenseReluDense.wo.weight");
    tensors.remove("encoder.final_layer_norm.weight");
    let q = "encoder.block.1.layer.0.SelfAttention.q.weight";
    let turned = tensors[q].t().unwrap().contiguous().unwrap();
    tensors.insert(q.into(), turned);
    let k = "encoder.block.0.layer.0.SelfAttention.k.weight";
    let counted = tensors[k].to_dtype(DType::I64).unwrap();
    tensors.insert(k.into(), counted);
    copy.save("model.safetensors", &tensors);
    copy.assert_refused(&[
        "text_encoder",
        "encoder.block.2.layer.1.DenseReluDense.wo.weight: missing, expected [32, 40]",
        "encoder.final_layer_norm.weight: missing, expected [32]",
        "encoder.block.1.layer.0.SelfAttention.q.weight: expected [24, 32], found [32, 24]",
        "encoder.block.0.layer.0.SelfAttention.k.weight: expected [24, 32], found type I64",
    ]);

    for name in [
        "shared.weight",
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
    ] {
        let copy = Copy::new();
        let mut tensors = copy.take_tensors();
        tensors.retain(|found, _| {
            found != name && !(name == "shared.weight" && found.contains("embed_tokens"))
        });
        copy.save("model.safetensors", &tensors);
        copy.assert_refused(&[name, "missing"]);
    }
}

#[test]
fn spoiled_folders_are_refused() {
    let copy = Copy::new();
    std::fs::remove_file(
        copy.root()
            .join("text_encoder/model-00002-of-00003.safetensors"),
    )
    .unwrap();
    copy.assert_refused(&[
        "model-00002-of-00003.safetensors",
        "missing",
        "fetch it too",
    ]);

    let copy = Copy::new();
    let shard = copy
        .root()
        .join("text_encoder/model-00001-of-00003.safetensors");
    let bytes = std::fs::read(&shard).unwrap();
    std::fs::write(&shard, &bytes[..bytes.len() - 100]).unwrap();
    copy.assert_refused(&[
        "model-00001-of-00003.safetensors",
        "not a valid safetensors file",
    ]);

    let copy = Copy::new();
    copy.take_tensors();
    copy.assert_refused(&["model.safetensors", "missing"]);

    let copy = Copy::new();
    std::fs::remove_dir_all(copy.root().join("tokenizer")).unwrap();
    copy.assert_refused(&["no tokenizer", "tokenizer.json", "spiece.model", "download"]);

    let copy = Copy::new();
    std::fs::remove_file(copy.root().join("text_encoder/config.json")).unwrap();
    copy.assert_refused(&["text_encoder/config.json", "missing", "download"]);
}

#[test]
fn configurations_that_are_not_of_this_kind_are_refused() {
    let check = |key: &str, value: Value, expected: &str| {
        let copy = Copy::new();
        copy.set(key, value);
        copy.assert_refused(&["text_encoder/config.json", key, expected]);
    };
    check("model_type", "umt5".into(), "only \"t5\"");
    check("feed_forward_proj", "relu".into(), "gated-gelu");
    check("num_layers", 0.into(), "1 to");
    check("d_ff", (1u64 << 40).into(), "1 to");
    check("relative_attention_num_buckets", 18.into(), "multiple of 4");
    check("relative_attention_max_distance", 4.into(), "more than 4");
    check("layer_norm_epsilon", 0.into(), "between 0 and 1");
    let copy = Copy::new();
    copy.set("vocab_size", 1099.into());
    copy.assert_refused(&["tokenizer.json", "1100 tokens", "1099", "same model"]);
    let copy = Copy::new();
    copy.set("vocab_size", 1200.into());
    copy.assert_refused(&["shared.weight", "expected [1200, 32], found [1128, 32]"]);
}
