//! The image autoencoder against diffusers' `AutoencoderKL`, and what it refuses.

use std::path::Path;

use candle_core::{IndexOp, Tensor};
use dfa_native_worker::device::Placement;
use dfa_native_worker::model::vae::Vae;
use dfa_native_worker::model_folder::VaeConfig;
use dfa_tests::closeness::relative_l2;
use dfa_tests::fixtures::{fixture, json, tensors, values};
use serde_json::{Value, json};

mod conv;

const CASES: [&str; 4] = ["quantised", "bare", "old-convolutions", "old-matrices"];

/// Relative L2, f32 against f32: some twenty layers, each of which rounds to about 1e-7.
const TOLERANCE: f64 = 1e-5;

fn load(folder: &Path) -> Result<Vae, String> {
    let config = VaeConfig::read(&folder.join("config.json")).map_err(|error| error.to_string())?;
    Vae::load(folder, &config, &Placement::cpu()).map_err(|error| error.to_string())
}

fn assert_close(case: &str, what: &str, expected: &Tensor, found: &Tensor) {
    assert_eq!(found.dims(), expected.dims(), "{case}: {what}");
    let error = relative_l2(&values(expected), &values(found));
    assert!(error < TOLERANCE, "{case}: {what} is off by {error}");
}

#[test]
fn every_kind_of_folder_decodes_and_encodes_as_diffusers_does() {
    for case in CASES {
        let vae = load(&fixture("vae").join(case)).unwrap();
        let golden = tensors(&format!("vae/{case}/golden.safetensors"));
        let decoded = vae.decode(&golden["latents"]).unwrap();
        assert_close(case, "decoded", &golden["decoded"], &decoded);
        let encoded = vae.encode(&golden["image"]).unwrap();
        assert_close(case, "mean", &golden["mean"], &encoded.mean);
        assert_close(
            case,
            "log-variance",
            &golden["log_variance"],
            &encoded.log_variance,
        );
        let mean = vae.encode_mean(&golden["image"]).unwrap();
        assert_eq!(values(&mean), values(&encoded.mean), "{case}");
    }
}

#[test]
fn frames_are_decoded_one_by_one_in_order() {
    let vae = load(&fixture("vae/quantised")).unwrap();
    let golden = tensors("vae/quantised/golden.safetensors");
    let latents = &golden["latents"]; // (2, 4, 3, 5)
    // Two videos of three frames.
    let video = Tensor::stack(&[latents, latents, &latents.neg().unwrap()], 2).unwrap();
    let mut seen = Vec::new();
    let keep = |video: usize, frame: usize, image: Tensor| {
        let expected = vae.decode(&latents.i(video..=video)?)?;
        if frame < 2 {
            assert_eq!(values(&image), values(&expected), "{video} {frame}");
        } else {
            assert_ne!(values(&image), values(&expected), "{video} {frame}");
        }
        seen.push((video, frame));
        Ok(())
    };
    vae.decode_frames(&video, keep).unwrap();
    assert_eq!(seen, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]);
    let stopped = vae.decode_frames(&video, |_, frame, _| match frame {
        0 => Ok(()),
        _ => candle_core::bail!("stop"),
    });
    assert!(stopped.unwrap_err().to_string().starts_with("stop"));
}

#[test]
fn tensors_that_are_no_images_or_latents_are_refused() {
    let vae = load(&fixture("vae/quantised")).unwrap();
    let zeros = |dims: &[usize]| {
        let device = &candle_core::Device::Cpu;
        Tensor::zeros(dims, candle_core::DType::F32, device).unwrap()
    };
    let check = |refused: candle_core::Result<Tensor>, expected: &str| {
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(expected), "{expected}: {refused}");
    };
    check(
        vae.decode(&zeros(&[1, 3, 4, 4])),
        "latents of 4 channels, got 3",
    );
    check(vae.decode(&zeros(&[4, 4, 4])), "4");
    check(vae.decode(&zeros(&[1, 4, 0, 4])), "no pixels");
    check(
        vae.encode_mean(&zeros(&[1, 4, 8, 8])),
        "images of 3 channels, got 4",
    );
    check(
        vae.encode_mean(&zeros(&[1, 3, 3, 8])),
        "at least 4 x 4, got 3 x 8",
    );
    let nothing = vae.decode(&zeros(&[0, 4, 3, 5])).unwrap();
    assert_eq!(nothing.dims(), [0, 3, 12, 20]);
}

/// A copy of a case whose files may be changed.
fn copy_of(case: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in ["config.json", "diffusion_pytorch_model.safetensors"] {
        std::fs::copy(fixture("vae").join(case).join(name), copy.path().join(name)).unwrap();
    }
    copy
}

#[test]
fn configurations_that_are_not_supported_are_refused_by_name() {
    let check = |key: &str, value: Value, expected: &[&str]| {
        let copy = copy_of("quantised");
        let mut config = json("vae/quantised/config.json");
        config[key] = value;
        std::fs::write(copy.path().join("config.json"), config.to_string()).unwrap();
        let refused = load(copy.path()).err().unwrap_or_default();
        for part in expected {
            assert!(refused.contains(part), "{key}, {part:?}: {refused}");
        }
    };
    check(
        "_class_name",
        json!("AutoencoderKLWan"),
        &["_class_name", "only AutoencoderKL"],
    );
    check(
        "act_fn",
        json!("relu"),
        &["act_fn is \"relu\"", "only silu"],
    );
    let down = json!([
        "DownEncoderBlock2D",
        "AttnDownEncoderBlock2D",
        "DownEncoderBlock2D"
    ]);
    check(
        "down_block_types",
        down,
        &["\"AttnDownEncoderBlock2D\"", "only DownEncoderBlock2D"],
    );
    check(
        "up_block_types",
        json!(["UpDecoderBlock2D"]),
        &["a list of 1", "3 levels"],
    );
    check(
        "block_out_channels",
        json!([4, 8, 6]),
        &["block_out_channels is 6", "norm_num_groups = 4"],
    );
    check(
        "block_out_channels",
        json!([4, 8]),
        &["down_block_types", "2 levels"],
    );
    check(
        "block_out_channels",
        json!([4, 0, 8]),
        &["block_out_channels is 0"],
    );
    check("norm_num_groups", json!(0), &["norm_num_groups is 0"]);
    check(
        "layers_per_block",
        json!(1_000_000),
        &["layers_per_block is 1000000", "1 to 64"],
    );
    check("latents_mean", json!([0.0]), &["latents_mean", "only null"]);
    check(
        "scaling_factor",
        json!(0.0),
        &["scaling_factor is 0", "other than 0"],
    );
    check(
        "scaling_factor",
        json!("big"),
        &["config.json", "is not the JSON it should be"],
    );
    // The weights belong to another configuration.
    check(
        "layers_per_block",
        json!(2),
        &["do not fit its config.json", "missing, expected"],
    );
    check("use_quant_conv", json!(false), &[]);
}

#[test]
fn missing_weights_are_refused_in_words() {
    let copy = copy_of("old-matrices");
    let weights = copy.path().join("diffusion_pytorch_model.safetensors");
    std::fs::rename(&weights, copy.path().join("diffusion_pytorch_model.bin")).unwrap();
    let refused = load(copy.path()).err().unwrap();
    assert!(
        refused.contains("only a pickle") && refused.contains("dfa convert"),
        "{refused}"
    );
}
