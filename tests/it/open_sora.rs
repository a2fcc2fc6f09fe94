//! STDiT2 of Open-Sora 1.1 against a PyTorch version of it that equals the authors' own
//! (tests/fixtures/open_sora/README.md), and its plans against the oracle.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use dfa_native_worker::device::Placement;
use dfa_native_worker::diffusion::sampler_config::SamplerConfig;
use dfa_native_worker::generate::generate;
use dfa_native_worker::model::{
    Condition, LatentSize, StepInput, TextCondition, Transformer, VideoFacts,
};
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

fn ints(array: &Value) -> Vec<usize> {
    let array = array.as_array().unwrap().iter();
    array
        .map(|value| value.as_u64().unwrap() as usize)
        .collect()
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
    let model = load_transformer(&folder, &Placement::cpu()).unwrap();
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

/// Ten guided steps with given noise, guidance on three of the four channels.
#[test]
fn a_guided_run_equals_the_oracles() {
    let arrays = tensors("open_sora/run.safetensors");
    let facts = &json("open_sora/cases.json")["run"];
    let setting = Setting {
        n_steps: facts["n_steps"].as_u64().unwrap() as usize,
        guidance_scale: facts["guidance_scale"].as_f64().unwrap(),
        condition: texts(
            (0..2)
                .map(|idx| arrays[&format!("prompt.{idx}")].clone())
                .collect(),
        ),
        size: size_of(&arrays["latents"]),
        video: Some(video_of(facts)),
        step_noise: Some(arrays["step_noise"].clone()),
    };
    let run = FamilyRun::open(&fixture("open_sora/tiny"), setting);
    let made = generate(&run.denoiser(), None, &arrays["latents"], &mut Unobserved).unwrap();
    let error = relative_l2(&values(&arrays["final"]), &values(&made.latent));
    assert!(error < 1e-3, "final latents: {error}");
}

#[test]
fn its_plans_equal_the_oracles() {
    let oracle = json("oracle/open_sora.json");
    let arrays = tensors("oracle/open_sora.safetensors");
    let side = |name: &str| oracle["video"][name].as_u64().unwrap() as usize;
    let setting = Setting {
        n_steps: oracle["n_steps"].as_u64().unwrap() as usize,
        guidance_scale: oracle["guidance_scale"].as_f64().unwrap(),
        condition: texts(vec![arrays["prompt.0"].clone()]),
        size: size_of(&arrays["start"]),
        video: Some(VideoFacts {
            height: side("height"),
            width: side("width"),
            fps: oracle["video"]["fps"].as_f64().unwrap(),
        }),
        step_noise: Some(arrays["step_noise"].clone()),
    };
    check_runs(
        "open_sora",
        &FamilyRun::open(&fixture("open_sora/tiny"), setting).denoiser(),
    );
}

fn tiny() -> std::sync::Arc<dyn Transformer> {
    let folder = ModelFolder::open(&fixture("open_sora/tiny")).unwrap();
    load_transformer(&folder, &Placement::cpu()).unwrap()
}

fn noise(shape: &[usize], seed: f64) -> Tensor {
    let n: usize = shape.iter().product();
    let values: Vec<f32> = (0..n)
        .map(|idx| ((idx as f64 + seed) * 12.9898).sin() as f32)
        .collect();
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
    let null = weights["y_embedder.y_embedding"]
        .to_dtype(DType::F32)
        .unwrap();
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
    assert!(
        relative_l2(&values(&cond), &values(&uncond)) > 1e-2,
        "the branches differ"
    );
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
        assert!(
            error.to_string().contains(expected),
            "{expected:?}: {error}"
        );
    };
    check(
        Condition::Classes(vec![1]),
        Some(VIDEO),
        "draws texts, not classes",
    );
    check(texts(vec![noise(&[3, 20], 0.0)]), None, "frames per second");
    check(
        texts(vec![noise(&[9, 20], 0.0)]),
        Some(VIDEO),
        "a prompt has 9 tokens",
    );
    check(
        texts(vec![noise(&[3, 24], 0.0)]),
        Some(VIDEO),
        "expected [tokens, 20]",
    );
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
    assert!(
        error.to_string().contains("is not of size 4x4, 2 frames"),
        "{error}"
    );
}

#[test]
fn folders_that_lie_are_refused_by_key_or_tensor() {
    let check = |key: &str, value: Value, expected: &str| {
        let changes = Value::Object([(key.to_owned(), value.clone())].into_iter().collect());
        let folder = changed_folder("nested", Some(&changes));
        let opened = ModelFolder::open(folder.path());
        let Err(error) = opened.and_then(|folder| load_transformer(&folder, &Placement::cpu()))
        else {
            panic!("{key} {value} was accepted");
        };
        let message = error.to_string();
        assert!(message.contains(expected), "{expected:?}: {message}");
    };
    check("model_type", "STDiT3".into(), "model_index.json is missing");
    check(
        "patch_size",
        serde_json::json!([2, 2, 2]),
        "an STDiT2 has [1, p, p]",
    );
    check(
        "patch_size",
        serde_json::json!([]),
        "an STDiT2 has [1, p, p]",
    );
    check("depth", 0.into(), "depth is 0, but it must be 1 to");
    check("hidden_size", 32.into(), "it must be a multiple of 12");
    check("num_heads", 8.into(), "heads of even size");
    check("input_sq_size", 0.into(), "input_sq_size is 0");
    check("mlp_ratio", (-1).into(), "mlp_ratio is -1");
    check(
        "input_size",
        serde_json::json!([2, 0, 4]),
        "input_size is 0",
    );
    check(
        "depth",
        2.into(),
        "blocks.1.attn.qkv.weight: missing, expected [72, 24]",
    );
    check(
        "qk_norm",
        true.into(),
        "blocks.0.attn_temp.k_norm.weight: missing, expected [8]",
    );
    check(
        "pred_sigma",
        true.into(),
        "final_layer.linear.weight: expected [32, 24], found [16, 24]",
    );
}

/// What the folder does not say is what Open-Sora 1.1 does.
#[test]
fn a_folder_without_a_scheduler_is_sampled_as_open_sora_is() {
    let folder = ModelFolder::open(&fixture("open_sora/tiny")).unwrap();
    assert_eq!(folder.sampler, SamplerConfig::open_sora());
    let nested = ModelFolder::open(&fixture("open_sora/nested")).unwrap();
    let size = nested.transformer.geometry().native_size;
    assert_eq!(size.to_string(), "53x30, 16 frames");
    let given = folder.transformer.geometry().native_size;
    assert_eq!(given.to_string(), "8x8, 2 frames");
    let hashes = folder.identity().unwrap();
    assert_ne!(
        hashes.weights_sha256,
        nested.identity().unwrap().weights_sha256
    );
}
