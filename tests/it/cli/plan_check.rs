//! A plan is used for the run that it was made for, and pictures say how they were made.

use std::collections::HashMap;
use std::sync::OnceLock;

use dfa_core::wire::{CheckedPlan, plan_hash};
use dfa_native_worker::picture::read_png;

use super::{Desk, assert_refused, done};

impl Desk {
    /// With `plan.json` in it: the shipped model's, 4 steps, guidance 3.
    pub(super) fn calibrated() -> Self {
        static PLAN: OnceLock<String> = OnceLock::new();
        let plan = PLAN.get_or_init(|| {
            let desk = Self::empty();
            done(desk.run(
                "calibrate --model models/avatars-dit --labels 3,8 --steps 4 --guidance 3 \
                 --threshold D6 -o @plan.json",
            ));
            desk.read("plan.json")
        });
        let desk = Self::empty();
        desk.write("plan.json", plan);
        desk
    }

    pub(super) fn plan(&self) -> CheckedPlan {
        CheckedPlan::parse(&self.read("plan.json")).unwrap()
    }
}

const SHIPPED: &str = "--model models/avatars-dit --labels 3";

#[test]
fn a_plan_is_refused_for_another_run() {
    let desk = Desk::calibrated();
    let check = |flags: &str, field: &str, values: [&str; 2]| {
        let refused = desk.run(&format!("generate --plan @plan.json {flags} -o @out"));
        let [expected, found] = values;
        let mismatch = format!(
            "{field}: the plan was made for {expected} but this run has {found}; calibrate again"
        );
        let file = desk.path("plan.json");
        assert_refused(&refused, 2, &[file.to_str().unwrap(), &mismatch]);
        let remedy = format!("accept the difference with --allow-mismatch {field}");
        let can_be_allowed = !["n_steps", "n_blocks"].contains(&field);
        assert_eq!(
            refused.stderr.contains(&remedy),
            can_be_allowed,
            "{refused:?}"
        );
        assert!(!desk.path("out").exists(), "{flags}: nothing is made");
    };
    check(
        &format!("{SHIPPED} --guidance 5"),
        "guidance_scale",
        ["3", "5"],
    );
    check(&format!("{SHIPPED} --steps 5"), "n_steps", ["4", "5"]);
    check(
        &format!("{SHIPPED} --sampler ddim"),
        "sampler",
        ["dpm-solver++", "ddim"],
    );
    check(
        &format!("{SHIPPED} --size 32x32"),
        "n_tokens",
        ["256", "64"],
    );
    check(
        &format!("{SHIPPED} --residual-half first"),
        "residual_half",
        ["conditional", "first"],
    );
    check("--model tests/fixtures/dit/tiny", "n_blocks", ["6", "3"]);
}

#[test]
fn a_model_with_other_weights_is_refused() {
    let desk = Desk::calibrated();
    let text = desk.read("plan.json");
    let weights = desk.plan().fingerprint.unwrap().weights_sha256.to_string();
    let other = "0".repeat(64);
    desk.write("plan.json", &text.replace(&weights, &other));
    let refused = desk.run(&format!("generate --plan @plan.json {SHIPPED} -o @out"));
    assert_refused(
        &refused,
        2,
        &[
            "weights_sha256",
            &weights,
            &other,
            "--allow-mismatch weights_sha256",
        ],
    );
}

#[test]
fn a_difference_can_be_accepted_by_name() {
    let desk = Desk::calibrated();
    let run = |flags: &str| {
        desk.run(&format!(
            "generate --plan @plan.json {SHIPPED} {flags} -o @out"
        ))
    };
    done(run("--guidance 5 --allow-mismatch guidance_scale"));
    let both = run("--guidance 5 --sampler ddim --allow-mismatch guidance_scale");
    assert_refused(&both, 2, &["sampler: ", "timesteps: "]);
    assert!(!both.stderr.contains("guidance_scale: "), "{both:?}");
    done(run(
        "--guidance 5 --sampler ddim --allow-mismatch guidance_scale,sampler,timesteps",
    ));
    // A plan without these cells says nothing about them.
    assert_refused(
        &run("--steps 5 --allow-mismatch n_steps"),
        2,
        &["n_steps: "],
    );
    assert_refused(
        &run("--allow-mismatch colour"),
        2,
        &["colour", "guidance_scale"],
    );
    let variable = [("DFA_ALLOW_MISMATCH", "guidance_scale")];
    done(desk.run_in(
        &variable,
        &format!("generate --plan @plan.json {SHIPPED} --guidance 5 -o @out"),
    ));
}

#[test]
fn what_a_plan_leaves_open_comes_from_it() {
    let desk = Desk::calibrated();
    done(desk.run(&format!("generate --plan @plan.json {SHIPPED} -o @out")));
    let (_, text) = read_png(&desk.path("out").join("000-croodles.png")).unwrap();
    let text: HashMap<String, String> = text.into_iter().collect();
    assert_eq!(text["dfa:steps"], "4");
    assert_eq!(text["dfa:guidance_scale"], "3");
}

#[test]
fn pictures_say_how_they_were_made() {
    let desk = Desk::calibrated();
    let hash = plan_hash(&desk.plan().plan).to_string();
    let weights = desk.plan().fingerprint.unwrap().weights_sha256.to_string();
    let check = |plan: &str, expected: &str| {
        done(desk.run(&format!(
            "generate --model models/avatars-dit --labels 3,thumbs --seed 11 --steps 4 \
             --guidance 3 {plan} -o @out"
        )));
        let (_, text) = read_png(&desk.path("out").join("001-thumbs.png")).unwrap();
        let text: HashMap<String, String> = text.into_iter().collect();
        for (keyword, value) in [
            ("dfa:model", "avatars-dit"),
            ("dfa:weights_sha256", &weights),
            ("dfa:class", "14 thumbs"),
            ("dfa:seed", "11"),
            ("dfa:image_index", "1"),
            ("dfa:steps", "4"),
            ("dfa:sampler", "dpm-solver++"),
            ("dfa:guidance_scale", "3"),
            ("dfa:plan_hash", expected),
        ] {
            assert_eq!(
                text.get(keyword).map(String::as_str),
                Some(value),
                "{keyword}"
            );
        }
        assert!(text["Software"].starts_with("dfa "));
    };
    check("", "none");
    check("--plan @plan.json", &hash);
}

#[test]
fn plans_without_a_fingerprint_are_used_with_a_warning() {
    let desk = Desk::calibrated();
    let bare = CheckedPlan::bare(desk.plan().plan);
    desk.write("bare.json", &bare.to_json().unwrap());
    let made = done(desk.run(&format!(
        "generate --plan @bare.json {SHIPPED} --guidance 3 -o @out"
    )));
    assert!(made.stderr.contains("warning: "), "{made:?}");
    assert!(made.stderr.contains("using it unchecked"), "{made:?}");
    // What is checked even then: the grid fits, and branches are there to be shared.
    let run = |flags: &str| {
        desk.run(&format!(
            "generate --plan @bare.json {SHIPPED} {flags} -o @out"
        ))
    };
    let steps = run("--guidance 3 --steps 5");
    assert_eq!(steps.code, Some(2), "{steps:?}");
    assert!(steps.stderr.contains("4 steps × 6 blocks"), "{steps:?}");
    let unguided = run("--guidance 1");
    assert_eq!(unguided.code, Some(2), "{unguided:?}");
    assert!(
        unguided.stderr.contains("needs a guidance scale above 1"),
        "{unguided:?}"
    );
}
