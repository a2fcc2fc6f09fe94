//! PixArt-Sigma against diffusers' `PixArtTransformer2DModel` and `PixArtSigmaPipeline` on
//! the same weights, and its plans against the oracle.

use std::collections::HashMap;

use candle_core::{DType, IndexOp, Tensor};
use dfa_native_worker::device::Placement;
use dfa_native_worker::generate::generate;
use dfa_native_worker::model::{Condition, LatentSize, StepInput, TextCondition, Transformer};
use dfa_native_worker::model_folder::{Family, ModelFolder};
use dfa_native_worker::observer::Unobserved;
use dfa_native_worker::run_setup::load_transformer;
use dfa_tests::closeness::relative_l2;
use dfa_tests::family_run::{FamilyRun, Setting, full_forward};
use dfa_tests::fixtures::{fixture, json, tensors, values};
use serde_json::Value;

use crate::calibration::oracle::check_runs;

/// Relative L2, f32 against f32: what the project promises.
const TOLERANCE: f64 = 1e-4;

fn size_of(case: &Value) -> LatentSize {
    let side = |name: &str| case[name].as_u64().unwrap() as usize;
    LatentSize::image(side("height"), side("width"))
}

/// The tokens of a text (L, E) where the mask has a 1.
fn visible_tokens(text: &Tensor, mask: &[bool]) -> Tensor {
    let rows = (0u32..).zip(mask).filter(|(_, seen)| **seen);
    let rows: Vec<u32> = rows.map(|(row, _)| row).collect();
    let rows = Tensor::new(rows, text.device()).unwrap();
    text.index_select(&rows, 0).unwrap()
}

fn unguided(prompts: Vec<Tensor>) -> Condition {
    let negatives = Vec::new();
    Condition::Text(TextCondition { prompts, negatives })
}

/// diffusers is given padded texts, whose padding holds noise, and a mask; we are given the
/// visible tokens alone.
fn check_case(model: &dyn Transformer, case: &Value, golden: &HashMap<String, Tensor>) {
    let name = case["name"].as_str().unwrap();
    let of_case = |part: &str| golden.get(&format!("{name}.{part}"));
    let masks = case["visible"].as_array().unwrap().iter();
    let texts = masks.enumerate().map(|(sample, mask)| {
        let mask: Vec<bool> = mask
            .as_str()
            .unwrap()
            .chars()
            .map(|digit| digit == '1')
            .collect();
        visible_tokens(&of_case("text").unwrap().i(sample).unwrap(), &mask)
    });
    let condition = unguided(texts.collect());
    let input = StepInput {
        timestep: case["timestep"].as_u64().unwrap() as u32,
        condition: &condition,
        guided: false,
        size: size_of(case),
        video: None,
    };
    let (output, states) = full_forward(model, of_case("latents").unwrap(), &input).unwrap();
    for (block, state) in states.iter().enumerate() {
        if let Some(expected) = of_case(&format!("hidden.{block}")) {
            let state = state.i(..expected.dim(0).unwrap()).unwrap();
            let error = relative_l2(&values(expected), &values(&state));
            assert!(error < TOLERANCE, "{name}, block {block}: {error}");
        }
    }
    let error = relative_l2(&values(of_case("output").unwrap()), &values(&output));
    assert!(error < TOLERANCE, "{name}: {error}");
}

fn check_model(name: &str) {
    let folder = ModelFolder::open(&fixture(&format!("pixart/{name}"))).unwrap();
    assert_eq!(folder.transformer.family(), Family::PixArt);
    let model = load_transformer(&folder, &Placement::cpu()).unwrap();
    let golden = tensors("pixart/golden.safetensors");
    let cases = json("pixart/cases.json");
    let cases: Vec<&Value> = cases["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|case| case["model"] == name)
        .collect();
    assert!(cases.len() >= 2, "{name} has cases");
    for case in cases {
        check_case(model.as_ref(), case, &golden);
    }
}

#[test]
fn the_tiny_model_equals_diffusers() {
    check_model("tiny");
}

/// No biases, no caption projection, noise alone, a larger patch, f16, a former class name.
#[test]
fn the_plain_model_equals_diffusers() {
    check_model("plain");
}

/// Prompts, or negatives, of a pipeline's padded arrays.
fn texts_of(arrays: &HashMap<String, Tensor>, kind: &str) -> Vec<Tensor> {
    let texts = &arrays[&format!("{kind}_embeds")];
    let masks = arrays[&format!("{kind}_attention_mask")]
        .to_dtype(DType::I64)
        .unwrap();
    let masks = masks.to_vec2::<i64>().unwrap();
    let rows = masks.iter().enumerate();
    rows.map(|(sample, mask)| {
        let mask: Vec<bool> = mask.iter().map(|&digit| digit == 1).collect();
        visible_tokens(&texts.i(sample).unwrap(), &mask)
    })
    .collect()
}

/// Ten guided steps of diffusers' pipeline, which puts the unconditional half first.
#[test]
fn a_guided_run_equals_the_pipelines() {
    let arrays = tensors("pixart/run.safetensors");
    let facts = &json("pixart/cases.json")["run"];
    let (_, _, height, width) = arrays["latents"].dims4().unwrap();
    let setting = Setting {
        n_steps: facts["n_steps"].as_u64().unwrap() as usize,
        guidance_scale: facts["guidance_scale"].as_f64().unwrap(),
        condition: Condition::Text(TextCondition {
            prompts: texts_of(&arrays, "prompt"),
            negatives: texts_of(&arrays, "negative_prompt"),
        }),
        size: LatentSize::image(height, width),
        video: None,
        step_noise: None,
    };
    let run = FamilyRun::open(&fixture("pixart/tiny"), setting);
    let made = generate(&run.denoiser(), None, &arrays["latents"], &mut Unobserved).unwrap();
    let error = relative_l2(&values(&arrays["final"]), &values(&made.latent));
    assert!(error < 1e-3, "final latents: {error}");
}

#[test]
fn its_plans_equal_the_oracles() {
    let oracle = json("oracle/pixart.json");
    let arrays = tensors("oracle/pixart.safetensors");
    let (_, _, height, width) = arrays["start"].dims4().unwrap();
    let texts = |kind: &str| {
        (0..2)
            .map(|idx| arrays[&format!("{kind}.{idx}")].clone())
            .collect()
    };
    let setting = Setting {
        n_steps: oracle["n_steps"].as_u64().unwrap() as usize,
        guidance_scale: oracle["guidance_scale"].as_f64().unwrap(),
        condition: Condition::Text(TextCondition {
            prompts: texts("prompt"),
            negatives: texts("negative"),
        }),
        size: LatentSize::image(height, width),
        video: None,
        step_noise: None,
    };
    check_runs(
        "pixart",
        &FamilyRun::open(&fixture("pixart/tiny"), setting).denoiser(),
    );
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    let folder = ModelFolder::open(&fixture("pixart/tiny")).unwrap();
    let model = load_transformer(&folder, &Placement::cpu()).unwrap();
    let text = |n: usize, width: usize| {
        Tensor::zeros((n, width), DType::F32, &candle_core::Device::Cpu).unwrap()
    };
    let check = |condition: Condition, guided: bool, height: usize, expected: &str| {
        let input = StepInput {
            timestep: 500,
            condition: &condition,
            guided,
            size: LatentSize::image(height, 12),
            video: None,
        };
        let Err(error) = model.begin(&input) else {
            panic!("accepted, expected {expected:?}");
        };
        assert!(
            error.to_string().contains(expected),
            "{expected:?}: {error}"
        );
    };
    let good = || unguided(vec![text(3, 20)]);
    check(
        Condition::Classes(vec![1]),
        false,
        12,
        "draws texts, not classes",
    );
    check(unguided(Vec::new()), false, 12, "no text");
    check(
        unguided(vec![text(0, 20)]),
        false,
        12,
        "expected [tokens, 20]",
    );
    check(
        unguided(vec![text(3, 24)]),
        false,
        12,
        "text 0 is [3, 24], expected [tokens, 20]",
    );
    check(good(), true, 12, "0 for 1 images");
    check(good(), false, 13, "no multiples of the patch, 2");
}

/// A copy of the plain model's folder with one key of its config set.
fn plain_with(key: &str, value: Value) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let from = fixture("pixart/plain");
    let weights = "transformer/diffusion_pytorch_model.safetensors";
    for name in [
        "model_index.json",
        "scheduler/scheduler_config.json",
        weights,
    ] {
        let to = copy.path().join(name);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from.join(name), to).unwrap();
    }
    let mut config = json("pixart/plain/transformer/config.json");
    config[key] = value;
    let to = copy.path().join("transformer/config.json");
    std::fs::write(to, config.to_string()).unwrap();
    copy
}

#[test]
fn folders_that_lie_are_refused_by_key_or_tensor() {
    let check = |key: &str, value: Value, expected: &str| {
        let folder = plain_with(key, value.clone());
        let opened = ModelFolder::open(folder.path());
        let Err(error) = opened.and_then(|folder| load_transformer(&folder, &Placement::cpu()))
        else {
            panic!("{key} {value} was accepted");
        };
        let message = error.to_string();
        assert!(message.contains(expected), "{expected:?}: {message}");
    };
    check(
        "_class_name",
        "UNet2DConditionModel".into(),
        "_class_name is \"UNet2DConditionModel\"",
    );
    check(
        "norm_type",
        "layer_norm".into(),
        "a PixArt-Sigma has \"ada_norm_single\"",
    );
    check(
        "attention_type",
        "gated".into(),
        "a PixArt-Sigma has \"default\"",
    );
    check(
        "use_additional_conditions",
        true.into(),
        "PixArt-alpha at 1024 pixels",
    );
    check(
        "num_layers",
        0.into(),
        "num_layers is 0, but it must be 1 to",
    );
    check(
        "cross_attention_dim",
        Value::Null,
        "cross_attention_dim is 0",
    );
    check(
        "caption_channels",
        16.into(),
        "the caption projection ends in heads × head size, 40",
    );
    check("out_channels", 5.into(), "or twice that (learned variance)");
    check(
        "sample_size",
        10.into(),
        "it must be a multiple of patch_size, 3",
    );
    check(
        "interpolation_scale",
        0.into(),
        "it must be a positive number",
    );
    check("norm_eps", 2.into(), "it must be between 0 and 1");
    check(
        "num_layers",
        2.into(),
        "transformer_blocks.1.attn1.to_q.weight: missing, expected [40, 40]",
    );
    check(
        "attention_bias",
        true.into(),
        "transformer_blocks.0.attn2.to_k.bias: missing, expected [40]",
    );
    check(
        "cross_attention_dim",
        24.into(),
        "attn2.to_k.weight: expected [40, 24], found [40, 20]",
    );
}
