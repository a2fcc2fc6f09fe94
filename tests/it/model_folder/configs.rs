//! The small JSON files, missing, broken or absurd.

use dfa_native_worker::diffusion::sampler_config::{SamplerConfig, SamplerRule};
use dfa_native_worker::model_folder::ModelFolder;
use dfa_tests::dfa_command::run_dfa;
use serde_json::{Value, json};

use super::{CONFIG, FolderCopy, SCHEDULER, WEIGHTS};

#[test]
fn missing_files_are_named_with_what_they_are_for() {
    let check = |name: &str, expected: &[&str]| {
        let copy = FolderCopy::new();
        copy.remove(name);
        let file = copy.path(name);
        copy.assert_refused(&[file.to_str().unwrap(), "is missing"]);
        copy.assert_refused(expected);
    };
    check(
        "model_index.json",
        &["is this the folder above transformer/?"],
    );
    check(CONFIG, &["the transformer's configuration is needed"]);
    check(SCHEDULER, &["betas and prediction type are needed"]);
    check(
        WEIGHTS,
        &["the weights are needed (one file, or shards with an index)"],
    );
}

#[test]
fn broken_json_is_named_with_the_place() {
    let files = ["model_index.json", CONFIG, SCHEDULER];
    let check = |bytes: &[u8]| {
        for name in files {
            let copy = FolderCopy::new();
            copy.write(name, bytes);
            copy.assert_refused(&[copy.path(name).to_str().unwrap()]);
        }
    };
    check(b"");
    check(b"{");
    check(b"[1, 2]");
    check(b"{\"_class_name\": 3}");
    check(b"\xff\xfe{}");
    check("[".repeat(100_000).as_bytes());
    check(&b"{\"a\":".repeat(100_000));
}

#[test]
fn other_families_are_refused_by_name() {
    let check = |file: &str, name: &str, expected: &str| {
        let copy = FolderCopy::new();
        copy.set(file, "_class_name", json!(name));
        copy.assert_refused(&[
            copy.path(file).to_str().unwrap(),
            "_class_name",
            name,
            expected,
        ]);
    };
    check(
        "model_index.json",
        "PixArtAlphaPipeline",
        "only DiTPipeline and PixArtSigmaPipeline are built",
    );
    check(
        CONFIG,
        "PixArtTransformer2DModel",
        "only DiTTransformer2DModel",
    );
    check(
        SCHEDULER,
        "EulerDiscreteScheduler",
        "DDIMScheduler, DPMSolverMultistepScheduler",
    );
    let former = FolderCopy::new();
    former.set(CONFIG, "_class_name", json!("Transformer2DModel"));
    former.open().unwrap();
}

#[test]
fn absurd_shapes_are_refused_before_anything_is_made() {
    let check = |key: &str, value: Value, expected: &str| {
        let copy = FolderCopy::new();
        copy.set(CONFIG, key, value.clone());
        let file = copy.path(CONFIG);
        let text = value.to_string();
        copy.assert_refused(&[file.to_str().unwrap(), text.trim_matches('"'), expected]);
    };
    for key in [
        "num_layers",
        "num_attention_heads",
        "attention_head_dim",
        "in_channels",
        "patch_size",
    ] {
        check(key, json!(0), &format!("{key} is 0, but it must be 1 to"));
        check(
            key,
            json!(1_000_000_000),
            &format!("{key} is 1000000000, but it must be 1 to"),
        );
        check(key, json!(-1), "expected usize");
        check(key, json!(1e300), "expected usize");
        check(key, json!("three"), "expected usize");
    }
    check("num_embeds_ada_norm", json!(0), "it must be 1 to");
    check("sample_size", json!(1_u64 << 40), "it must be 1 to");
    check(
        "sample_size",
        json!(13),
        "must be a multiple of patch_size, 2",
    );
    check(
        "attention_head_dim",
        json!(5),
        "heads × head size must be a multiple of 4",
    );
    check(
        "out_channels",
        json!(7),
        "it must be in_channels, or twice that",
    );
    check("norm_eps", json!(0), "it must be between 0 and 1");
    check("norm_eps", json!(2), "it must be between 0 and 1");
    check(
        "norm_type",
        json!("layer_norm"),
        "a DiT has \"ada_norm_zero\"",
    );
    check(
        "activation_fn",
        json!("geglu"),
        "a DiT has \"gelu-approximate\"",
    );
    check("norm_elementwise_affine", json!(true), "a DiT has false");
}

#[test]
fn sizes_that_are_allowed_but_not_stored_take_no_memory() {
    // Together these would ask for tens of terabytes.
    let copy = FolderCopy::new();
    copy.set(CONFIG, "num_attention_heads", json!(1024));
    copy.set(CONFIG, "attention_head_dim", json!(1024));
    copy.set(CONFIG, "num_embeds_ada_norm", json!(1 << 24));
    copy.set(CONFIG, "patch_size", json!(1024));
    copy.set(CONFIG, "sample_size", json!(2048));
    copy.assert_refused(&[
        "pos_embed.proj.weight: expected [1048576, 4, 1024, 1024], found [24, 4, 2, 2]",
        "more",
        "correct its config.json",
    ]);
}

#[test]
fn schedulers_are_read_as_python_writes_them() {
    let copy = FolderCopy::new();
    let dpm =
        json!({"_class_name": "DPMSolverMultistepScheduler", "nobody_knows": [1, {"a": "NaN"}]});
    copy.write(SCHEDULER, dpm.to_string().as_bytes());
    let plain = ModelFolder::open(copy.root()).unwrap().sampler;
    let text = dpm
        .to_string()
        .replacen('{', "{\"lambda_min_clipped\": -Infinity, ", 1);
    assert!(
        serde_json::from_str::<Value>(&text).is_err(),
        "it is no JSON"
    );
    copy.write(SCHEDULER, text.as_bytes());
    let infinite = ModelFolder::open(copy.root()).unwrap().sampler;
    assert_eq!(plain, infinite);
    let SamplerRule::DpmSolver(rule) = infinite.rule else {
        panic!("{infinite:?}");
    };
    assert_eq!(rule.lambda_min, f64::NEG_INFINITY);
    copy.write(SCHEDULER, text.replace("-Infinity", "-5.1").as_bytes());
    let clipped: SamplerConfig = ModelFolder::open(copy.root()).unwrap().sampler;
    assert_ne!(plain, clipped);
}

#[test]
fn schedulers_that_make_no_sense_are_refused() {
    let check = |key: &str, value: Value, expected: &str| {
        let copy = FolderCopy::new();
        copy.set(SCHEDULER, key, value.clone());
        let found = format!("{key} = {value}");
        copy.assert_refused(&[copy.path(SCHEDULER).to_str().unwrap(), &found, expected]);
    };
    check("num_train_timesteps", json!(0), "2 to 1000000");
    check("num_train_timesteps", json!(1_u64 << 50), "2 to 1000000");
    check("beta_start", json!(-1), "supported: ");
    check("beta_end", json!("much"), "supported: ");
    check(
        "beta_schedule",
        json!("squaredcos_cap_v2"),
        "linear, scaled_linear",
    );
    check(
        "prediction_type",
        json!("flow"),
        "epsilon, sample, v_prediction",
    );
    check(
        "timestep_spacing",
        json!("random"),
        "linspace, leading, trailing",
    );
    check("rescale_betas_zero_snr", json!(true), "false");
    check("trained_betas", json!([0.1]), "null");
    let copy = FolderCopy::new();
    let text = std::fs::read_to_string(copy.path(SCHEDULER)).unwrap();
    let infinite = text.replace("\"beta_end\": 0.02", "\"beta_end\": Infinity");
    assert_ne!(text, infinite);
    copy.write(SCHEDULER, infinite.as_bytes());
    copy.assert_refused(&["beta_end", "inf"]);
}

#[test]
fn spoiled_folders_are_failures_of_the_command() {
    let copy = FolderCopy::new();
    copy.remove(SCHEDULER);
    let folder = copy.root().to_str().unwrap();
    let plan = copy.path("plan.json");
    let commands: [&[&str]; 2] = [
        &["generate", "--model", folder],
        &["calibrate", "--model", folder, "-o", plan.to_str().unwrap()],
    ];
    for command in commands {
        let refused = run_dfa(command);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert_eq!(refused.stdout, "");
        assert!(
            refused.stderr.contains("scheduler_config.json is missing"),
            "{refused:?}"
        );
    }
    let doctor = run_dfa(&["doctor", "--model", folder]);
    assert_eq!(doctor.code, Some(1), "{doctor:?}");
    assert!(doctor.stdout.contains("fail  model folder: "), "{doctor:?}");
}
