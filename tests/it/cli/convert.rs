//! `dfa convert`: what it prints, how it ends, and that a model runs from what it made.

use dfa_tests::fixtures::fixture;

use super::{Desk, assert_refused, done, json_of};

fn path(name: &str) -> String {
    let path = fixture(&format!("convert/{name}"));
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_checkpoint_becomes_a_folder_that_models_knows() {
    let desk = Desk::empty();
    let line = format!("convert {} @dit --heads 2 --json", path("dit.pt"));
    let made = json_of(&done(desk.run(&line)));
    assert_eq!(made["kind"], "DiT checkpoint");
    let files = made["files"].as_array().unwrap();
    let names: Vec<&str> = files.iter().filter_map(|it| it["file"].as_str()).collect();
    assert_eq!(
        names,
        [
            "model_index.json",
            "scheduler/scheduler_config.json",
            "transformer/config.json",
            "transformer/diffusion_pytorch_model.safetensors"
        ]
    );
    let notes = made["notes"].to_string();
    assert!(notes.contains("vae/ is still missing"), "{notes}");
    let known = done(desk.run("models @dit --json"));
    let facts = &json_of(&known)[0];
    assert_eq!(facts["n_blocks"], 2);
    assert_eq!(facts["n_classes"], 5);
}

#[test]
fn people_see_the_files_and_what_is_missing() {
    let desk = Desk::empty();
    let finished = done(desk.run(&format!("convert {} @made", path("pipeline"))));
    let weights = "transformer/diffusion_pytorch_model.safetensors: ";
    assert!(finished.stdout.contains(weights), "{finished:?}");
    assert!(finished.stderr.contains("position_ids"), "{finished:?}");
}

#[test]
fn refusals_say_what_to_do() {
    let desk = Desk::empty();
    desk.write("file", "");
    let check = |line: &str, code, expected: &[&str]| {
        assert_refused(&desk.run(line), code, expected);
        assert!(!desk.path("made").exists(), "{line}");
    };
    let evil = path("bad/calls-system.bin");
    check(
        &format!("convert {evil} @made"),
        1,
        &["calls-system.bin", "posix.system", "nothing was executed"],
    );
    check("convert @nothing @made", 1, &["there is nothing here"]);
    check("convert @file @made", 1, &["not a zip archive"]);
    let dit = path("dit.pt");
    check(&format!("convert {dit} @made"), 1, &["--heads"]);
    check(&format!("convert {dit} @file"), 2, &["--force"]);
    check(&format!("convert {dit} @file --force"), 2, &["remove it"]);
    check(&format!("convert {dit} @no/made"), 2, &["make it first"]);
    check(
        &format!("convert {} @made --heads 2", path("pipeline")),
        2,
        &["single checkpoint"],
    );
    check(&format!("convert {dit} @made --heads 0"), 2, &["--heads"]);
}
