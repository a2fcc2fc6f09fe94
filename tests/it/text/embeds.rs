//! Embeddings that another program made.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use dfa_native_worker::text::{PromptEmbeds, PromptEmbedsFile};
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use tempfile::TempDir;

use super::text_fixture;

const CHANNELS: usize = 8;

fn tensors() -> HashMap<String, Tensor> {
    candle_core::safetensors::load(text_fixture("prompt_embeds.safetensors"), &Device::Cpu).unwrap()
}

/// Reads what is saved of `tensors`.
fn read(tensors: &HashMap<String, Tensor>, tensor: Option<&str>) -> Result<PromptEmbeds, String> {
    let folder = TempDir::new().unwrap();
    let file = PromptEmbedsFile {
        path: folder.path().join("embeds.safetensors"),
        tensor: tensor.map(str::to_owned),
    };
    candle_core::safetensors::save(tensors, &file.path).unwrap();
    PromptEmbeds::read(&file, CHANNELS).map_err(|error| error.to_string())
}

fn rows(tensor: &Tensor) -> Vec<Vec<f32>> {
    tensor.to_vec2().unwrap()
}

#[test]
fn only_visible_tokens_are_taken() {
    let tensors = tensors();
    let found = read(&tensors, None).unwrap();
    let all = tensors["prompt_embeds"].to_vec3::<f32>().unwrap();
    assert_eq!(rows(&found.prompts[0]), all[0][..3]);
    assert_eq!(rows(&found.prompts[1]), all[1]);
    let all = tensors["negative_prompt_embeds"].to_vec3::<f32>().unwrap();
    assert_eq!(rows(&found.negatives[0]), all[0][..1]);
    assert_eq!(rows(&found.negatives[1]), all[1][..2]);
}

#[test]
fn a_mask_may_be_of_any_type_and_have_holes() {
    let expected = read(&tensors(), None).unwrap().hash;
    let types = [
        DType::U8,
        DType::U32,
        DType::I64,
        DType::F16,
        DType::BF16,
        DType::F32,
        DType::F64,
    ];
    for dtype in types {
        let mut tensors = tensors();
        for name in ["prompt_attention_mask", "negative_prompt_attention_mask"] {
            let mask = tensors[name].to_dtype(dtype).unwrap();
            tensors.insert(name.into(), mask);
        }
        assert_eq!(read(&tensors, None).unwrap().hash, expected, "{dtype:?}");
    }
    let mut tensors = tensors();
    let mask = Tensor::new(&[[0u8, 1, 0, 0, 1], [1, 1, 1, 1, 1]], &Device::Cpu).unwrap();
    tensors.insert("prompt_attention_mask".into(), mask);
    let found = read(&tensors, None).unwrap();
    let all = tensors["prompt_embeds"].to_vec3::<f32>().unwrap();
    assert_eq!(
        rows(&found.prompts[0]),
        [all[0][1].clone(), all[0][4].clone()]
    );
    assert_ne!(found.hash, expected);
}

#[test]
fn booleans_are_a_mask() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("embeds.safetensors");
    let values = [0u8; 3 * CHANNELS * 4];
    let views = [
        (
            "prompt_embeds",
            TensorView::new(Dtype::F32, vec![1, 3, CHANNELS], &values).unwrap(),
        ),
        (
            "prompt_attention_mask",
            TensorView::new(Dtype::BOOL, vec![1, 3], &[1, 1, 0]).unwrap(),
        ),
    ];
    serialize_to_file(views, None, &path).unwrap();
    let found = PromptEmbeds::read(&PromptEmbedsFile { path, tensor: None }, CHANNELS).unwrap();
    assert_eq!(found.prompts[0].dims(), [2, CHANNELS]);
    assert!(found.negatives.is_empty());
}

#[test]
fn a_tensor_can_be_named_and_one_negative_serves_all() {
    let mut tensors = tensors();
    for (from, to) in [
        ("prompt_embeds", "cats_embeds"),
        ("prompt_attention_mask", "cats_attention_mask"),
    ] {
        let tensor = tensors.remove(from).unwrap();
        tensors.insert(to.into(), tensor);
    }
    let negative = tensors["negative_prompt_embeds"].narrow(0, 0, 1).unwrap();
    tensors.insert(
        "negative_cats_embeds".into(),
        negative.to_dtype(DType::F16).unwrap(),
    );
    let found = read(&tensors, Some("cats_embeds")).unwrap();
    assert_eq!(found.prompts[0].dims(), [3, CHANNELS]);
    assert_eq!(found.negatives.len(), 2);
    assert_eq!(rows(&found.negatives[0]), rows(&found.negatives[1]));
}

#[test]
fn what_is_wrong_is_said() {
    let check =
        |name: &str, spoil: &dyn Fn(&Tensor) -> candle_core::Result<Tensor>, expected: &[&str]| {
            let mut tensors = tensors();
            let spoiled = spoil(&tensors[name]).unwrap();
            tensors.insert(name.into(), spoiled);
            let error = read(&tensors, None).unwrap_err();
            for part in [&["embeds.safetensors"], expected].concat() {
                assert!(error.contains(part), "{part:?}: {error}");
            }
        };
    let embeds = "prompt_embeds";
    check(
        embeds,
        &|t| t.narrow(2, 0, 4),
        &["[2, 5, 4]", "[prompts, tokens, 8]", "caption_channels"],
    );
    check(embeds, &|t| t.get(0), &["[5, 8]", "expected [prompts"]);
    check(embeds, &|t| t.narrow(0, 0, 0), &["[0, 5, 8]"]);
    check(
        embeds,
        &|t| t.affine(f64::NAN, 0.0),
        &["NaN in prompt 0", "finite"],
    );
    check(
        embeds,
        &|t| t.to_dtype(DType::F64),
        &["type F64", "f32, f16 or bf16"],
    );
    let mask = "prompt_attention_mask";
    check(mask, &|t| t.narrow(1, 0, 4), &["[2, 4]", "expected [2, 5]"]);
    check(
        mask,
        &|t| t.zeros_like(),
        &["hides every token of prompt 0"],
    );
    check(
        mask,
        &|t| t.to_dtype(DType::F32)?.affine(10000.0, -10000.0),
        &["something else than 0"],
    );
    check(
        "negative_prompt_embeds",
        &|t| t.narrow(2, 0, 4),
        &["negative_prompt_embeds", "[2, 5, 4]"],
    );
    let three = |t: &Tensor| Tensor::cat(&[t, &t.narrow(0, 0, 1)?], 0);
    check(
        "negative_prompt_attention_mask",
        &three,
        &["[3, 5]", "expected [2, 5]"],
    );

    let error = read(&tensors(), Some("nothing")).unwrap_err();
    assert!(
        error.contains("no tensor \"nothing\"") && error.contains("prompt_embeds"),
        "{error}"
    );
}

#[test]
fn a_file_that_is_none_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("embeds.safetensors");
    let file = PromptEmbedsFile { path, tensor: None };
    let read = || PromptEmbeds::read(&file, CHANNELS).unwrap_err().to_string();
    assert!(read().contains("cannot be read"));
    std::fs::write(&file.path, b"hello").unwrap();
    assert!(read().contains("not a safetensors file"));
}
