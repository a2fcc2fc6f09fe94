//! `dfa calibrate --target`: goals that are reached, goals that cannot be, and what is no
//! goal. And `--search fast`.

use dfa_core::cost::PlanCost;
use dfa_core::search::SearchMode;
use dfa_core::wire::CheckedPlan;

use super::{Desk, assert_refused, done, json_of};

/// A quarter of the model's tokens and few steps, to be quick.
const CALIBRATE: &str = "calibrate --model models/avatars-dit --labels 3,8 --size 32x32 --steps 5 \
                         --guidance 3 --json -o @plan.json";

fn kept_share(plan: &CheckedPlan) -> f64 {
    let shape = dfa_core::cost::LayerShape {
        n_tokens: plan.fingerprint.as_ref().unwrap().n_tokens,
        width: plan.provenance.as_ref().unwrap().width.unwrap(),
    };
    PlanCost::of(&plan.plan, shape, true).attention_kept_share()
}

#[test]
fn a_goal_finds_its_threshold() {
    let check = |goal: &str, words: &str| {
        let desk = Desk::empty();
        let printed = done(desk.run(&format!("{CALIBRATE} --target {goal}")));
        let plan = desk.plan();
        let notes = plan.notes.clone().unwrap();
        assert!(
            notes.starts_with("target ") && notes.contains(words),
            "{notes}"
        );
        let settings = plan.search.as_ref().unwrap().record.settings().clone();
        assert_eq!(settings.mode, SearchMode::Exact, "{goal}: confirmed");
        let printed = json_of(&printed);
        assert_eq!(printed["threshold"], settings.threshold.value());
        assert!(!desk.path("plan.json.state").exists());
        plan
    };
    let plan = check("macs=60%", "of the attention MACs kept");
    assert!(kept_share(&plan) <= 0.6);
    assert!(
        kept_share(&plan) > 0.3,
        "no more is given up than is asked for"
    );
    check("speedup=1.05", "a predicted speedup of 1.");
    check("psnr>=30", "dB");
}

#[test]
fn a_goal_that_cannot_be_reached_is_said_with_the_nearest() {
    let desk = Desk::empty();
    let refused = desk.run(&format!("{CALIBRATE} --target macs=1%"));
    assert_refused(
        &refused,
        1,
        &["macs=1% not reached in 2 searches", "the nearest is 20."],
    );
    // Step 0 is a fifth of five steps.
    assert!((kept_share(&desk.plan()) - 0.2).abs() < 0.01);
}

#[test]
fn what_is_no_goal_is_refused() {
    let desk = Desk::empty();
    let check = |flags: &str, expected: &[&str]| {
        let refused = desk.run(&format!("{CALIBRATE} {flags}"));
        assert_refused(&refused, 2, expected);
        assert!(!desk.path("plan.json").exists(), "{flags}: nothing is made");
    };
    check("--target macs=50% --threshold D2", &["cannot be used with"]);
    check("--target fid=3", &["fid=3", "macs=50%", "psnr>=30"]);
    check("--target macs=50", &["macs", "50% or 0.5"]);
    check("--target speedup=0.5", &["speedup", "1 to 1000"]);
}

#[test]
fn a_first_look_says_what_it_is() {
    let desk = Desk::empty();
    let line = CALIBRATE.replace("--json ", "");
    let looked = desk.run(&format!("{line} --threshold D4 --search fast"));
    assert_eq!(looked.code, Some(0), "{looked:?}");
    assert!(looked.stderr.contains("a first look"), "{looked:?}");
    let plan = desk.plan();
    let settings = plan.search.unwrap().record.settings().clone();
    assert_eq!(settings.mode, SearchMode::Fast);

    done(desk.run(&format!("{line} --threshold D4 --restart").replace("@plan", "@exact")));
    let diff = desk.run("plan diff @plan.json @exact.json --json");
    let diff = json_of(&diff);
    let agree = diff["equal_share"].as_f64().unwrap();
    let n_changed = diff["changed"].as_array().unwrap().len();
    assert!(
        (agree - (1.0 - n_changed as f64 / 24.0)).abs() < 1e-12,
        "{diff}"
    );
}
