//! STDiT2 of Open-Sora 1.1 against a PyTorch version of it that equals the authors' own
//! (tests/fixtures/open_sora/README.md), and its plans against the oracle.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use dfa_native_worker::model::{
    Condition, LatentSize, StepInput, TextCondition, Transformer, VideoFacts,
};
use dfa_native_worker::model_folder::{Family, ModelFolder};
use dfa_native_worker::run_setup::load_transformer;
use dfa_tests::closeness::relative_l2;
use dfa_tests::family_run::full_forward;
use dfa_tests::fixtures::{fixture, json, tensors, values};
use serde_json::Value;

/// Relative L2, f32 against f32; reached: 2e-6.
const TOLERANCE: f64 = 1e-4;

fn ints(array: &Value) -> Vec<usize> {
    let array = array.as_array().unwrap().iter();
    array.map(|value| value.as_u64().unwrap() as usize).collect()
}

fn video_of(facts: &Value) -> VideoFacts {
    let pixels = ints(&facts["pixels"]);
    VideoFacts {
        height: pixels[0],
        width: pixels[1],
        fps: facts["fps"].as_f64().unwrap(),
    }
}

fn size_of(latent: &Tensor) -> LatentSize {
    let (_, _, frames, height, width) = latent.dims5().unwrap();
    LatentSize {
        frames: Some(frames),
        height,
        width,
    }
}

fn texts(prompts: Vec<Tensor>) -> Condition {
    let negatives = Vec::new();
    Condition::Text(TextCondition { prompts, negatives })
}

/// A copy of a fixture's folder with some keys of its config set.
fn changed_folder(name: &str, changes: Option<&Value>) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let below = if name == "nested" { "transformer" } else { "" };
    std::fs::create_dir_all(copy.path().join(below)).unwrap();
    let from = fixture(&format!("open_sora/{name}")).join(below);
    let to = copy.path().join(below);
    std::fs::copy(from.join("model.safetensors"), to.join("model.safetensors")).unwrap();
    let text = std::fs::read_to_string(from.join("config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    for (key, value) in changes.and_then(Value::as_object).into_iter().flatten() {
        config[key] = value.clone();
    }
    std::fs::write(to.join("config.json"), config.to_string()).unwrap();
    copy
}

/// The texts of a case, stored one after the other.
fn prompts_of(joined: &Tensor, lengths: &[usize]) -> Vec<Tensor> {
    let mut start = 0;
    let texts = lengths.iter().map(|&n| {
        start += n;
        joined.narrow(0, start - n, n).unwrap()
    });
    texts.collect()
}

fn check_case(case: &Value, golden: &HashMap<String, Tensor>) {
    let name = case["name"].as_str().unwrap();
    let of_case = |part: &str| &golden[&format!("{name}.{part}")];
    let folder = changed_folder(case["model"].as_str().unwrap(), case.get("changes"));
    let folder = ModelFolder::open(folder.path()).unwrap();
    assert_eq!(folder.transformer.family(), Family::OpenSora, "{name}");
    let model = load_transformer(&folder).unwrap();
    let condition = texts(prompts_of(of_case("text"), &ints(&case["lengths"])));
    let input = StepInput {
        timestep: case["timestep"].as_u64().unwrap() as u32,
        condition: &condition,
        guided: false,
        size: size_of(of_case("latents")),
        video: Some(video_of(case)),
    };
    let (output, _) = full_forward(model.as_ref(), of_case("latents"), &input).unwrap();
    assert_eq!(output.dims(), of_case("output").dims(), "{name}");
    let error = relative_l2(&values(of_case("output")), &values(&output));
    assert!(error < TOLERANCE, "{name}: {error}");
}

/// One to four frames, odd sides, both orders of norm and rotation, no norm, both layouts
/// of a folder.
#[test]
fn every_case_equals_the_authors_network() {
    let golden = tensors("open_sora/golden.safetensors");
    let cases = json("open_sora/cases.json");
    let cases = cases["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 6);
    for case in cases {
        check_case(case, &golden);
    }
}

fn tiny() -> std::sync::Arc<dyn Transformer> {
    load_transformer(&ModelFolder::open(&fixture("open_sora/tiny")).unwrap()).unwrap()
}

fn noise(shape: &[usize], seed: f64) -> Tensor {
    let n: usize = shape.iter().product();
    let values: Vec<f32> = (0..n).map(|idx| ((idx as f64 + seed) * 12.9898).sin() as f32).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

const VIDEO: VideoFacts = VideoFacts {
    height: 48,
    width: 64,
    fps: 24.0,
};

fn output_for(model: &dyn Transformer, latent: &Tensor, size: LatentSize, guided: bool) -> Tensor {
    let condition = texts(vec![noise(&[5, 20], 0.5)]);
    let input = StepInput {
        timestep: 300,
        condition: &condition,
        guided,
        size,
        video: Some(VIDEO),
    };
    full_forward(model, latent, &input).unwrap().0
}

#[test]
fn an_image_is_a_video_of_one_frame() {
    let model = tiny();
    let latent = noise(&[1, 4, 5, 8], 0.0);
    let image = output_for(model.as_ref(), &latent, LatentSize::image(5, 8), false);
    assert_eq!(image.dims(), [1, 8, 5, 8]);
    let latent = latent.reshape((1, 4, 1, 5, 8)).unwrap();
    let video = output_for(model.as_ref(), &latent, size_of(&latent), false);
    assert_eq!(values(&image), values(&video));
}

/// The unconditional half is what the network makes of its learned text, as long as the
/// prompt.
#[test]
fn the_unconditional_text_is_learned() {
    let model = tiny();
    let latent = noise(&[1, 4, 2, 4, 6], 0.0);
    let size = size_of(&latent);
    let both = Tensor::cat(&[&latent, &latent], 0).unwrap();
    let guided = output_for(model.as_ref(), &both, size, true);
    let weights = tensors("open_sora/tiny/model.safetensors");
    let null = weights["y_embedder.y_embedding"].to_dtype(DType::F32).unwrap();
    let condition = texts(vec![null.narrow(0, 0, 5).unwrap()]);
    let input = StepInput {
        timestep: 300,
        condition: &condition,
        guided: false,
        size,
        video: Some(VIDEO),
    };
    let (alone, _) = full_forward(model.as_ref(), &latent, &input).unwrap();
    let uncond = guided.narrow(0, 1, 1).unwrap();
    assert!(relative_l2(&values(&alone), &values(&uncond)) < 1e-6);
    let cond = output_for(model.as_ref(), &latent, size, false);
    assert!(relative_l2(&values(&cond), &values(&uncond)) > 1e-2, "the branches differ");
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    let model = tiny();
    let size = LatentSize {
        frames: Some(2),
        height: 4,
        width: 4,
    };
    let check = |condition: Condition, video: Option<VideoFacts>, expected: &str| {
        let input = StepInput {
            timestep: 500,
            condition: &condition,
            guided: true,
            size,
            video,
        };
        let Err(error) = model.begin(&input) else {
            panic!("accepted, expected {expected:?}");
        };
        assert!(error.to_string().contains(expected), "{expected:?}: {error}");
    };
    check(Condition::Classes(vec![1]), Some(VIDEO), "draws texts, not classes");
    check(texts(vec![noise(&[3, 20], 0.0)]), None, "frames per second");
    check(texts(vec![noise(&[9, 20], 0.0)]), Some(VIDEO), "a prompt has 9 tokens");
    check(texts(vec![noise(&[3, 24], 0.0)]), Some(VIDEO), "expected [tokens, 20]");
}

#[test]
fn a_latent_of_another_size_is_refused() {
    let model = tiny();
    let condition = texts(vec![noise(&[3, 20], 0.0)]);
    let latent = noise(&[1, 4, 3, 4, 4], 0.0);
    let input = StepInput {
        timestep: 500,
        condition: &condition,
        guided: false,
        size: LatentSize {
            frames: Some(2),
            ..size_of(&latent)
        },
        video: Some(VIDEO),
    };
    let error = model.begin(&input).unwrap().embed(&latent).unwrap_err();
    assert!(error.to_string().contains("is not of size 4x4, 2 frames"), "{error}");
}
