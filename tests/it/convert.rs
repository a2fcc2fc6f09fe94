//! Files of torch.save: what is read from them, what is made of them, and what is refused.

use std::collections::HashMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use candle_core::{Device, IndexOp, Tensor};
use dfa_native_worker::convert::{ConvertError, ConvertObserver, ConvertRequest, convert};
use dfa_native_worker::device::Placement;
use dfa_native_worker::model::{Condition, LatentSize, StepInput};
use dfa_native_worker::model_folder::ModelFolder;
use dfa_native_worker::run_setup::load_transformer;
use dfa_native_worker::torch_file::TorchFile;
use dfa_tests::closeness::relative_l2;
use dfa_tests::family_run::full_forward;
use dfa_tests::fixtures::{fixture, tensors, values};
use serde_json::Value;

/// Relative L2, f32 against f32; as for DiT itself.
const TOLERANCE: f64 = 5e-5;

/// Counts bytes, and stops after some.
struct Watch {
    total: u64,
    seen: u64,
    stop_after: u64,
}

impl Watch {
    fn to_the_end() -> Self {
        Self {
            total: 0,
            seen: 0,
            stop_after: u64::MAX,
        }
    }
}

impl ConvertObserver for Watch {
    fn begin(&mut self, total_bytes: u64) {
        self.total = total_bytes;
    }

    fn wrote(&mut self, n_bytes: u64) {
        self.seen += n_bytes;
    }

    fn is_cancelled(&self) -> bool {
        self.seen >= self.stop_after
    }
}

fn request(from: impl Into<PathBuf>, to: &Path) -> ConvertRequest {
    ConvertRequest {
        from: from.into(),
        to: to.to_path_buf(),
        vae: None,
        n_heads: None,
        force: false,
    }
}

fn convert_fixture(name: &str, to: &Path) -> dfa_native_worker::convert::Converted {
    let mut request = request(fixture(&format!("convert/{name}")), to);
    request.n_heads = (name == "dit.pt").then_some(2);
    convert(&request, &mut Watch::to_the_end()).unwrap()
}

fn json_in(folder: &Path, name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap()
}

fn weights_in(path: &Path) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_pipeline_of_pickles_becomes_one_of_safetensors() {
    let desk = tempfile::tempdir().unwrap();
    let to = desk.path().join("made");
    let converted = convert_fixture("pipeline", &to);
    let expected = tensors("convert/expected.safetensors");
    let mut n_found = 0;
    for (part, files) in [
        (
            "transformer",
            vec!["diffusion_pytorch_model.safetensors".to_owned()],
        ),
        ("vae", vec!["diffusion_pytorch_model.safetensors".into()]),
        (
            "text_encoder",
            vec![
                "model-00001-of-00002.safetensors".into(),
                "model-00002-of-00002.safetensors".into(),
            ],
        ),
    ] {
        for file in files {
            for (name, found) in weights_in(&to.join(part).join(file)) {
                let want = &expected[&format!("{part}/{name}")];
                assert_eq!(want.dtype(), found.dtype(), "{part}/{name}");
                assert_eq!(want.dims(), found.dims(), "{part}/{name}");
                assert_eq!(values(want), values(&found), "{part}/{name}");
                n_found += 1;
            }
        }
    }
    assert_eq!(n_found, expected.len(), "every tensor is there");

    let index = json_in(&to, "text_encoder/model.safetensors.index.json");
    let of = |name: &str| index["weight_map"][name].as_str().unwrap().to_owned();
    assert_eq!(of("shared.weight"), "model-00001-of-00002.safetensors");
    assert_eq!(
        of("encoder.final_layer_norm.weight"),
        "model-00002-of-00002.safetensors"
    );
    // Twice a table of 4 × 3 and a vector of 3, f16.
    assert_eq!(index["metadata"]["total_size"], 54);
    assert_eq!(
        names_in(&to.join("text_encoder")),
        [
            "config.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json"
        ],
        "no pickle and no index of pickles"
    );
    for file in [
        "model_index.json",
        "scheduler/scheduler_config.json",
        "tokenizer/spiece.model",
        "vae/config.json",
    ] {
        let source = fixture("convert/pipeline").join(file);
        let same = std::fs::read(source).unwrap() == std::fs::read(to.join(file)).unwrap();
        assert!(same, "{file}");
    }
    let notes = converted.notes.join("\n");
    for dropped in ["position_ids", "num_batches_tracked", "mask"] {
        assert!(notes.contains(dropped), "{notes}");
    }
    for file in &converted.files {
        let found = std::fs::metadata(to.join(&file.name)).unwrap().len();
        assert_eq!(file.size_bytes, found, "{}", file.name);
    }
    assert_eq!(names_in(desk.path()), ["made"], "nothing else is left");
}

/// Weights of one component, as people download a VAE.
#[test]
fn a_component_is_converted_alone() {
    let desk = tempfile::tempdir().unwrap();
    let to = desk.path().join("vae");
    convert_fixture("pipeline/vae", &to);
    assert_eq!(
        names_in(&to),
        ["config.json", "diffusion_pytorch_model.safetensors"]
    );
}

#[test]
fn the_authors_dit_becomes_a_folder_that_computes_the_same() {
    let desk = tempfile::tempdir().unwrap();
    let to = desk.path().join("dit");
    let mut request = request(fixture("convert/dit.pt"), &to);
    request.n_heads = Some(2);
    request.vae = Some(fixture("convert/pipeline"));
    let mut watch = Watch::to_the_end();
    convert(&request, &mut watch).unwrap();
    assert_eq!(watch.seen, watch.total, "progress ends at the end");
    assert!(to.join("vae/diffusion_pytorch_model.safetensors").is_file());

    let folder = ModelFolder::open(&to).unwrap();
    let model = load_transformer(&folder, &Placement::cpu()).unwrap();
    let golden = tensors("convert/dit-golden.safetensors");
    for (image, label) in [(0, 3), (1, 5)] {
        let input = StepInput {
            timestep: 7,
            condition: &Condition::Classes(vec![label]),
            guided: false,
            size: LatentSize::image(6, 6),
            video: None,
        };
        let of_image = |name: &str| golden[name].i(image..=image).unwrap();
        let (output, _) = full_forward(model.as_ref(), &of_image("latent"), &input).unwrap();
        let error = relative_l2(&values(&of_image("output")), &values(&output));
        assert!(error < TOLERANCE, "image {image}: {error}");
        // Not the weights: the authors' own convention for the timestep's features.
        let original = relative_l2(&values(&of_image("original")), &values(&output));
        assert!((1e-4..0.1).contains(&original), "image {image}: {original}");
    }
}

#[test]
fn a_checkpoint_of_stdit_keeps_its_names() {
    let desk = tempfile::tempdir().unwrap();
    let to = desk.path().join("open-sora");
    convert_fixture("stdit.pth", &to);
    let found = weights_in(&to.join("transformer/model.safetensors"));
    let source = TorchFile::open(&fixture("convert/stdit.pth")).unwrap();
    assert_eq!(found.len(), source.tensors.len());
    assert_eq!(found["x_embedder.proj.weight"].dims(), [8, 4, 1, 2, 2]);
    assert_eq!(
        found["x_embedder.proj.weight"].dtype(),
        candle_core::DType::BF16
    );
    let config = json_in(&to, "transformer/config.json");
    for (key, expected) in [
        ("hidden_size", 8),
        ("num_heads", 2),
        ("depth", 1),
        ("model_max_length", 3),
        ("caption_channels", 5),
    ] {
        assert_eq!(config[key], expected, "{key}");
    }
    assert_eq!(config["pred_sigma"], true);
    assert_eq!(config["patch_size"], serde_json::json!([1, 2, 2]));
}

#[test]
fn the_moving_average_of_a_training_is_taken() {
    let file = TorchFile::open(&fixture("convert/wrapped.pt")).unwrap();
    assert_eq!(file.wrapper, Some("ema"));
    assert!(file.tensors.contains_key("pos_embed"));
    assert_eq!(file.tensors["one"].shape, [2]);
}

#[test]
fn what_a_file_should_not_hold_is_refused() {
    let check = |name: &str, expected: &str| {
        let path = fixture(&format!("convert/bad/{name}.bin"));
        let error = TorchFile::open(&path).map(drop).unwrap_err().to_string();
        assert!(error.contains(expected), "{name}: {error}");
    };
    check(
        "calls-system",
        "code in it: posix.system; nothing was executed",
    );
    check("calls-eval-protocol-4", "code in it: builtins.eval");
    check("whole-module", "code in it: torch.nn.modules.linear.Linear");
    check("legacy", "before 1.6");
    check("list", "no dictionary of tensors");
    check(
        "repeats",
        "tensor weight: shape [100] repeats the 1 numbers",
    );
    check("shape-beyond", "tensor weight: shape [65535]");
    check("shape-negative", "a size is not a whole number from 0");
    check("shape-overflows", "beyond its storage of 4 numbers");
    check("stride-beyond", "strides [9]");
    check(
        "storage-longer",
        "should have 5 numbers of 4 bytes, but the archive has 16 bytes",
    );
    check("storage-overflows", "but the archive has 16 bytes");
    check("storage-absent", "no member \"archive/data/9\"");
    check("rank-differs", "as many strides as dimensions");
    check("pickle-cut", "it ends in");
    check("compressed", "compressed or encrypted");
    check("big-endian", "byte order is big");
    check("no-pickle", "without a data.pkl");
}

/// Every length and every single changed byte of a file: an error or tensors, no panic, and
/// whatever is accepted can be read to its end.
#[test]
fn damaged_files_never_panic() {
    let whole = std::fs::read(fixture("convert/stdit.pth")).unwrap();
    let small = std::fs::read(fixture("convert/bad/repeats.bin")).unwrap();
    for len in 0..whole.len() {
        let cut = TorchFile::read(Cursor::new(&whole[..len]));
        assert!(cut.is_err(), "cut to {len} bytes");
    }
    let mut n_accepted = 0;
    for bytes in [&small, &whole] {
        for at in 0..bytes.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= change;
                let Ok(mut file) = TorchFile::read(Cursor::new(damaged)) else {
                    continue;
                };
                n_accepted += 1;
                let views: Vec<_> = file.tensors.values().cloned().collect();
                for view in views {
                    let mut out = Vec::new();
                    file.copy(&view, &mut out, &mut |_| true).unwrap();
                    if view.number.written().is_some() {
                        assert_eq!(out.len() as u64, view.written_bytes());
                    }
                }
            }
        }
    }
    assert!(n_accepted > 0, "some bytes are numbers of a tensor");
}

#[test]
fn a_conversion_that_fails_leaves_nothing() {
    let desk = tempfile::tempdir().unwrap();
    let to = desk.path().join("made");
    let mut watch = Watch {
        stop_after: 2000,
        ..Watch::to_the_end()
    };
    let mut dit = request(fixture("convert/dit.pt"), &to);
    dit.n_heads = Some(2);
    let stopped = convert(&dit, &mut watch).unwrap_err();
    assert!(matches!(stopped, ConvertError::Stopped), "{stopped}");
    assert!(names_in(desk.path()).is_empty());

    // A shard that is missing is met before anything is written.
    let source = desk.path().join("source");
    std::fs::create_dir(&source).unwrap();
    for name in ["config.json", "pytorch_model.bin.index.json"] {
        let from = fixture("convert/pipeline/text_encoder").join(name);
        std::fs::copy(from, source.join(name)).unwrap();
    }
    let missing = convert(&request(&source, &to), &mut Watch::to_the_end());
    let missing = missing.unwrap_err().to_string();
    assert!(
        missing.contains("pytorch_model-00001-of-00002.bin: missing"),
        "{missing}"
    );
    assert_eq!(names_in(desk.path()), ["source"]);
}

#[test]
fn what_cannot_be_a_dit_is_refused() {
    let desk = tempfile::tempdir().unwrap();
    let to = desk.path().join("made");
    let check = |request: &ConvertRequest, expected: &str| {
        let error = convert(request, &mut Watch::to_the_end()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!to.exists());
    };
    let dit = request(fixture("convert/dit.pt"), &to);
    check(&dit, "give it with --heads");
    let heads = |n_heads| ConvertRequest {
        n_heads: Some(n_heads),
        ..dit.clone()
    };
    check(&heads(3), "do not go together");
    let with_vae = ConvertRequest {
        vae: Some(fixture("convert/bad")),
        ..heads(2)
    };
    check(&with_vae, "not a VAE");
    check(
        &request(fixture("convert/wrapped.pt"), &to),
        "neither those of the authors' DiT",
    );
    check(
        &request(fixture("convert/no-such-file"), &to),
        "there is nothing here",
    );
    check(
        &request(fixture("dit/tiny"), &to),
        "safetensors files already",
    );
    check(
        &request(fixture("convert/bad"), &to),
        "neither a model folder",
    );
}

#[test]
fn only_a_model_folder_is_replaced_and_only_by_force() {
    let desk = tempfile::tempdir().unwrap();
    let to = desk.path().join("made");
    let from = fixture("convert/pipeline");
    let mut request = request(&from, &to);
    let run = |request: &ConvertRequest| convert(request, &mut Watch::to_the_end());
    std::fs::create_dir(&to).unwrap();
    run(&request).expect("an empty folder is as good as none");
    let error = run(&request).unwrap_err();
    assert!(
        error.is_usage() && error.to_string().contains("--force"),
        "{error}"
    );
    std::fs::write(to.join("old"), "").unwrap();
    request.force = true;
    run(&request).unwrap();
    assert!(!to.join("old").exists() && to.join("model_index.json").is_file());
    assert_eq!(names_in(desk.path()), ["made"]);

    let precious = desk.path().join("precious");
    std::fs::create_dir(&precious).unwrap();
    std::fs::write(precious.join("thesis.txt"), "").unwrap();
    request.to = precious.clone();
    let error = run(&request).unwrap_err();
    assert!(error.is_usage(), "{error}");
    assert_eq!(names_in(&precious), ["thesis.txt"]);

    for (from, to) in [(&to, to.clone()), (&to, to.join("inside"))] {
        request.from = from.clone();
        request.to = to;
        let error = run(&request).unwrap_err().to_string();
        assert!(error.contains("choose another folder"), "{error}");
    }
}
