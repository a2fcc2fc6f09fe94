//! Flags of `calibrate`, `generate` and `compare`: what is refused, with which exit code
//! and which advice, and that each is an environment variable too.

use dfa_tests::dfa_command::run_dfa;

use super::{Desk, assert_refused, done, json_of};

const MODEL: &str = "--model models/avatars-dit";

#[test]
fn impossible_requests_are_refused_with_advice() {
    let desk = Desk::empty();
    let check = |flags: &str, expected: &[&str]| {
        let refused = desk.run(&format!("generate {MODEL} {flags} -o @out"));
        assert_refused(&refused, 2, expected);
        assert!(!desk.path("out").exists(), "{flags}: nothing is made");
    };
    check("--guidance -1", &["guidance scale -1 is not usable"]);
    for scale in ["-1", "NaN", "inf", "1001"] {
        check(
            &format!("--guidance={scale}"),
            &["guidance scale", "give a number from 0 to 1000"],
        );
    }
    check("--guidance strong", &["strong", "--guidance"]);
    check(
        "--steps 0",
        &["--steps is 0, but it must be from 1 to 1000"],
    );
    check("--steps 1001", &["--steps is 1001", "from 1 to 1000"]);
    check("--steps 2.5", &["2.5", "--steps"]);
    check("--size 63x64", &["63", "a multiple of the patch, 4"]);
    check("--size 0x64", &["a multiple of the patch, 4"]);
    check("--size 8192x8192", &["8192", "at most 4096"]);
    check("--size 64", &["WIDTHxHEIGHT", "256x256"]);
    check("--labels 16", &["class 16", "classes 0 to 15"]);
    check(
        "--labels thumb",
        &["no class is named \"thumb\"; did you mean thumbs?"],
    );
    check(
        "--labels nobody",
        &["\"nobody\"", "`dfa models --model DIR` lists them"],
    );
    check("--labels=", &["no class is named \"\""]);
    check("-n 0", &["the number of images is 0", "from 1 to 4096"]);
    check("-n 4097", &["the number of images is 4097"]);
    check(
        "--labels 1,2,3 -n 2",
        &[
            "the number of labels is 3",
            "at most the number of images, 2",
        ],
    );
    check("--sampler euler", &["euler", "ddim", "dpm-solver++"]);
    check("--batch-size 0", &["--batch-size", "at least 1"]);
    check("--threads 0", &["--threads"]);
    check("--isa mmx", &["\"mmx\"", "this machine has portable"]);
    check("--residual-half third", &["third", "conditional", "first"]);
    check("--latents x.safetensors -n 3", &["cannot be used with"]);
    check(
        "--device gpu",
        &["\"gpu\" is no device", "cpu, cuda, cuda:N"],
    );
    check("--dtype int8", &["\"int8\"", "expected f32, f16 or bf16"]);
    check(
        "--device cpu --dtype bf16",
        &["--dtype bf16 needs --device cuda: the CPU computes in f32"],
    );
    check("--colour", &["--colour"]);
}

/// The program of the tests has no CUDA in it.
#[test]
fn a_program_without_cuda_says_where_to_get_one() {
    let desk = Desk::empty();
    let asked = format!("generate {MODEL} --steps 1 -n 1 -o @out");
    let refused = desk.run(&format!("{asked} --device cuda:1"));
    assert_refused(&refused, 1, &["built without CUDA: cargo xtask cuda"]);
    for device in ["auto", "cpu"] {
        let made = done(desk.run(&format!("{asked} --device {device} --dtype f32")));
        assert!(!made.stderr.contains("GPU"), "{device}: {made:?}");
    }
}

#[test]
fn impossible_searches_are_refused_with_advice() {
    let desk = Desk::empty();
    let check = |flags: &str, expected: &[&str]| {
        let refused = desk.run(&format!(
            "calibrate {MODEL} --steps 2 {flags} -o @plan.json"
        ));
        assert_refused(&refused, 2, expected);
        assert!(!desk.path("plan.json").exists(), "{flags}: nothing is made");
    };
    check("--threshold=NaN", &["--threshold", "D1 to D6"]);
    check("--threshold=-0.1", &["--threshold"]);
    check("--threshold D7", &["D7", "--threshold"]);
    check("--window x", &["--window", "1/8", "LEFT,RIGHT"]);
    check("--window 1/0", &["--window"]);
    check("--loss absolute", &["absolute", "relative_signed"]);
    check("--candidates ast,sparse", &["sparse", "wa_rs+asc"]);
    check("--candidates full", &["full"]);
    check("--candidates ast,ast", &["ast"]);
    check("--candidates asc --guidance 1", &["asc", "guidance"]);
    check("--search quick", &["quick", "exact", "record-all", "fast"]);
    check("--resume --restart", &["cannot be used with"]);
    check("--resume", &["plan.json.state", "without --resume"]);
}

#[test]
fn missing_files_are_failures() {
    let desk = Desk::empty();
    let check = |line: &str, expected: &[&str]| {
        assert_refused(&desk.run(line), 1, expected);
    };
    check(
        "generate --model @nowhere",
        &["nowhere is not a folder", "diffusers layout"],
    );
    check(
        &format!("generate {MODEL} --plan @nowhere.json"),
        &["nowhere.json", "check the path"],
    );
    check(
        &format!("compare {MODEL} --plan @nowhere.json"),
        &["nowhere.json", "check the path"],
    );
    check(
        &format!("generate {MODEL} --latents @nowhere.safetensors"),
        &["nowhere.safetensors", "check the path"],
    );
    desk.write("file", "");
    check(
        &format!("generate {MODEL} --steps 1 -o @file/out"),
        &["cannot make the folder", "file/out"],
    );
}

#[test]
fn commands_need_their_arguments() {
    for line in [
        "",
        "calibrate",
        "generate",
        "compare --model x",
        "plan",
        "nonsense",
    ] {
        let words: Vec<&str> = line.split_whitespace().collect();
        let refused = run_dfa(&words);
        assert_eq!(refused.code, Some(2), "{line}: {refused:?}");
        assert_eq!(refused.stdout, "", "{line}");
        assert!(refused.stderr.contains("Usage: dfa"), "{line}: {refused:?}");
    }
    for line in ["--help", "generate --help", "--version"] {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert!(!done(run_dfa(&words)).stdout.is_empty(), "{line}");
    }
}

#[test]
fn every_flag_is_an_environment_variable() {
    let commands = [
        "calibrate",
        "generate",
        "compare",
        "models",
        "doctor",
        "plan show",
        "plan diff",
        "plan validate",
        "plan convert",
        "plan redecide",
    ];
    for command in commands {
        let line = format!("{command} --help");
        let words: Vec<&str> = line.split_whitespace().collect();
        let help = done(run_dfa(&words)).stdout;
        let options = help.split("Options:").nth(1).unwrap();
        // A flag begins with its dashes and goes on until the next one does; a list of
        // possible values has dashes of its own.
        let mut flags: Vec<String> = Vec::new();
        for text in options.lines().map(str::trim) {
            if text.starts_with("--")
                || text.starts_with("-h")
                || text.starts_with("-n,")
                || text.starts_with("-o,")
            {
                flags.push(String::new());
            }
            if let Some(flag) = flags.last_mut() {
                *flag += text;
                *flag += " ";
            }
        }
        assert!(flags.len() >= 3, "{help}");
        for flag in flags.iter().filter(|flag| !flag.contains("--help")) {
            assert!(flag.contains("[env: DFA_"), "dfa {command}: {flag}");
        }
    }
}

#[test]
fn variables_stand_for_flags_and_flags_win() {
    let desk = Desk::empty();
    let out = desk.path("out");
    let variables = [
        ("DFA_MODEL", "models/avatars-dit"),
        ("DFA_LABELS", "thumbs,3"),
        ("DFA_STEPS", "0"),
        ("DFA_GUIDANCE", "1"),
        ("DFA_OUTPUT", out.to_str().unwrap()),
    ];
    let refused = desk.run_in(&variables, "generate");
    assert_refused(&refused, 2, &["--steps is 0"]);
    let made = done(desk.run_in(&variables, "generate --steps 1"));
    let names: Vec<_> = made.stdout.lines().collect();
    assert_eq!(names.len(), 2, "{made:?}");
    assert!(names[0].ends_with("out/000-thumbs.png"), "{made:?}");
    assert!(names[1].ends_with("out/001-croodles.png"), "{made:?}");
}

#[test]
fn switches_are_turned_on_and_off_by_variables() {
    let desk = Desk::empty();
    for (value, is_json) in [
        ("1", true),
        ("true", true),
        ("0", false),
        ("false", false),
        ("", false),
    ] {
        let models = done(desk.run_in(&[("DFA_JSON", value)], "models models/avatars-dit"));
        assert_eq!(
            models.stdout.starts_with('['),
            is_json,
            "{value:?}: {models:?}"
        );
    }
}

#[test]
fn results_as_json_are_one_value() {
    let desk = Desk::empty();
    let made = done(desk.run(&format!(
        "generate {MODEL} --labels 3 --steps 1 -o @out --json"
    )));
    let value = json_of(&made);
    assert_eq!(value["pictures"].as_array().map(Vec::len), Some(1));
    assert!(value["plan_hash"].is_null());
    assert!(value["total_secs"].as_f64().unwrap() > 0.0);
    assert_eq!(made.stderr, "", "no progress where no terminal is");
    let made = done(desk.run(&format!(
        "calibrate {MODEL} --labels 3 --steps 2 -o @plan.json --json"
    )));
    let value = json_of(&made);
    assert_eq!(value["threshold"], 0.05, "D2 unless told otherwise");
    assert!(value["n_losses"].as_u64().unwrap() > 0);
    assert!(desk.path("plan.json").exists());
    assert!(!desk.path("plan.json.state").exists());
}
