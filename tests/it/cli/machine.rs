//! `dfa models`, `dfa doctor` and `dfa completions`.

use dfa_tests::dfa_command::run_dfa;
use dfa_tests::fixtures::fixture;

use super::{Desk, assert_refused, done, json_of};

#[test]
fn models_and_doctor_know_the_shipped_model() {
    let models = run_dfa(&[
        "models",
        "--json",
        "--hash",
        "--model",
        "models/avatars-dit",
    ]);
    assert_eq!(models.code, Some(0), "{models:?}");
    let value = json_of(&models);
    assert_eq!(value[0]["n_tokens"], 256);
    assert_eq!(value[0]["class_names"][12]["name"], "pixel-art");
    let hash = value[0]["identity"]["weights_sha256"]
        .as_str()
        .map(str::len);
    assert_eq!(hash, Some(64));
    let doctor = run_dfa(&["doctor", "--json", "--model", "models/avatars-dit"]);
    assert_eq!(doctor.code, Some(0), "{doctor:?}");
    assert_eq!(json_of(&doctor)["healthy"], true);
    let ill = run_dfa(&["doctor", "--model", "tests"]);
    assert_eq!(ill.code, Some(1));
    assert!(ill.stdout.contains("fail  model folder"), "{ill:?}");
}

#[test]
fn damaged_weights_fail_the_doctor() {
    let desk = Desk::empty();
    let tiny = fixture("dit/tiny");
    for name in [
        "model_index.json",
        "transformer/config.json",
        "scheduler/scheduler_config.json",
    ] {
        std::fs::create_dir_all(desk.path(name).parent().unwrap()).unwrap();
        std::fs::copy(tiny.join(name), desk.path(name)).unwrap();
    }
    let weights = "transformer/diffusion_pytorch_model.safetensors";
    let bytes = std::fs::read(tiny.join(weights)).unwrap();
    let check = |bytes: &[u8], expected: &str| {
        std::fs::write(desk.path(weights), bytes).unwrap();
        let ill = desk.run("doctor --model @");
        assert_eq!(ill.code, Some(1), "{ill:?}");
        assert!(ill.stdout.contains(expected), "{expected}: {ill:?}");
    };
    check(&bytes[..bytes.len() - 4], "fetch it again");
    check(&bytes[..4], "fewer than 8 bytes");
    check(&[0xff; 64], "its header claims");
}

#[test]
fn models_are_described_for_people() {
    let models = done(run_dfa(&["models", "models/avatars-dit"]));
    for expected in [
        "avatars-dit (models/avatars-dit)",
        "6 blocks, 4 heads of 32, width 128",
        "3 channels, 64x64, patches of 4x4: 256 tokens",
        "16: 0 adventurer, 1 big-ears",
        "dpm-solver++, predicts velocity, linspace spacing, 1000 training timesteps",
    ] {
        assert!(models.stdout.contains(expected), "{expected}: {models:?}");
    }
}

#[test]
fn broken_models_below_a_folder_are_named() {
    let desk = Desk::empty();
    for name in ["b-broken", "a-broken"] {
        std::fs::create_dir(desk.path(name)).unwrap();
        desk.write(&format!("{name}/model_index.json"), "{}");
    }
    let broken = desk.run("models @ --json");
    assert_eq!(broken.code, Some(1), "{broken:?}");
    let value = json_of(&broken);
    let error = value[0]["error"].as_str().unwrap();
    assert!(error.contains("config.json is missing"), "{error}");
    assert!(broken.stderr.starts_with("warning: "), "{broken:?}");
    let names = value
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["path"].as_str().unwrap());
    let names: Vec<_> = names.map(|path| path.rsplit('/').next().unwrap()).collect();
    assert_eq!(
        names,
        ["a-broken", "b-broken"],
        "in the order of their names"
    );
}

#[test]
fn folders_without_models_are_said() {
    let desk = Desk::empty();
    let empty = done(desk.run("models @ --json"));
    assert_eq!(empty.stdout, "[]\n");
    assert!(
        empty
            .stderr
            .contains("a model folder has a model_index.json")
    );
    assert_refused(
        &desk.run("models @missing"),
        1,
        &["missing is not a folder"],
    );
}

#[test]
fn doctor_reports_findings_to_machines() {
    let doctor = done(run_dfa(&["doctor", "--json"]));
    let value = json_of(&doctor);
    assert_eq!(value["healthy"], true);
    let findings = value["findings"].as_array().unwrap();
    assert!(
        findings
            .iter()
            .any(|finding| finding["check"] == "attention self-test")
    );
    for finding in findings {
        let level = finding["level"].as_str().unwrap();
        assert!(["ok", "warn"].contains(&level), "{finding}");
    }
    let ill = run_dfa(&["doctor", "--json", "--model", "tests"]);
    assert_eq!(ill.code, Some(1), "{ill:?}");
    assert_eq!(json_of(&ill)["healthy"], false);
}

#[test]
fn another_instruction_set_can_be_chosen() {
    let doctor = done(run_dfa(&["doctor", "--json", "--isa", "portable"]));
    let value = json_of(&doctor);
    let findings = value["findings"].as_array().unwrap();
    let used = findings
        .iter()
        .find(|finding| finding["check"] == "instruction set")
        .unwrap();
    let text = used["text"].as_str().unwrap();
    assert!(text.starts_with("portable is used"), "{used}");
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = done(run_dfa(&["completions", shell]));
        for word in ["calibrate", "generate", "compare", "doctor"] {
            assert!(script.stdout.contains(word), "{shell} {word}");
        }
        let value = json_of(&done(run_dfa(&["completions", shell, "--json"])));
        assert_eq!(value["shell"], shell);
        assert_eq!(value["script"].as_str(), Some(script.stdout.trim_end()));
    }
    assert_refused(&run_dfa(&["completions", "tcsh"]), 2, &["tcsh", "bash"]);
}
