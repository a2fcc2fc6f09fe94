//! `dfa plan validate`, `convert` and `redecide`: plan files read, written and refused.

use std::path::Path;

use dfa_core::wire::csv::import_csv;
use dfa_core::wire::{CheckedPlan, plan_hash};
use dfa_core::{Block, Step, Strategy, Window};
use dfa_tests::dfa_command::run_dfa;
use dfa_tests::fixtures::fixture;

use super::searched_plan::searched;
use super::{Desk, foreign, json_of};

#[test]
fn validate_reports_every_problem_of_every_file() {
    let desk = Desk::with_plan();
    let text = searched().to_json().unwrap();
    let bad = text
        .replace("[\"asc\",\"ast\"]", "[\"ASC\",\"AST\"]")
        .replace("\"ddim\"", "\"euler\"");
    desk.write("bad.json", &bad);
    let good = desk.run("plan validate @plan.json");
    assert_eq!(good.code, Some(0), "{good:?}");
    assert!(
        good.stdout.contains("plan.json: ok, 3 steps × 2 blocks"),
        "{}",
        good.stdout
    );
    let all = desk.run("plan validate @plan.json @bad.json @missing.json");
    assert_eq!(all.code, Some(1), "{all:?}");
    for expected in [
        "plan.json: ok",
        "bad.json: 3 problems",
        "strategies[1][0]: unknown strategy \"ASC\"",
        "strategies[1][1]: unknown strategy \"AST\"",
        "fingerprint.sampler: unknown sampler \"euler\"",
        "missing.json: 1 problem\n",
    ] {
        assert!(all.stdout.contains(expected), "{expected}: {}", all.stdout);
    }
    let value = json_of(&desk.run("plan validate @plan.json @bad.json --json"));
    assert_eq!(value[0]["valid"], true);
    assert_eq!(value[1]["problems"].as_array().map(Vec::len), Some(3));
}

#[test]
fn code_in_a_foreign_plan_is_refused_and_not_run() {
    for name in ["evil_global.json", "evil_stack_global.json"] {
        let desk = Desk::with_plan();
        let refused = desk.run(&format!(
            "plan convert {} @out.json --to json --window 3",
            foreign(name)
        ));
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(
            refused.stderr.contains("pickle contains code"),
            "{}",
            refused.stderr
        );
        assert!(refused.stderr.contains(name), "{}", refused.stderr);
        assert_eq!(refused.stdout, "");
        assert!(!desk.path("out.json").exists());
    }
    for name in [
        "bomb.json",
        "deeply_nested.json",
        "truncated.json",
        "ragged.json",
        "bare_pickle.json",
    ] {
        let refused = run_dfa(&["plan", "validate", &foreign(name)]);
        assert_eq!(refused.code, Some(1), "{name}: {refused:?}");
        assert!(!refused.stderr.contains("panicked"), "{name}: {refused:?}");
    }
}

#[test]
fn conversions_keep_the_strategies() {
    let desk = Desk::with_plan();
    let converted = desk.run(&format!(
        "plan convert {} @ours.json --to json --window 3,4",
        foreign("reference.json")
    ));
    assert_eq!(converted.code, Some(0), "{converted:?}");
    assert!(
        converted.stderr.contains("warning: "),
        "{}",
        converted.stderr
    );
    let ours = CheckedPlan::parse(&desk.read("ours.json")).unwrap();
    assert_eq!(ours.plan.window(), Window { left: 3, right: 4 });
    for to in ["csv", "xdit", "reference"] {
        let there = desk.run(&format!("plan convert @ours.json @there.{to} --to {to}"));
        assert_eq!(there.code, Some(0), "{there:?}");
        assert!(
            there.stderr.contains("does not hold the window"),
            "{there:?}"
        );
        let back = desk.run(&format!(
            "plan convert @there.{to} @back.json --to json --window 3,4"
        ));
        assert_eq!(back.code, Some(0), "{back:?}");
        let back = CheckedPlan::parse(&desk.read("back.json")).unwrap();
        assert_eq!(back.plan, ours.plan, "{to}");
    }
}

#[test]
fn conversions_ask_for_the_window_they_need() {
    let desk = Desk::with_plan();
    let convert = |words: &str| desk.run(&format!("plan convert {} {words}", foreign("xdit.json")));
    let without = convert("@out.json --to json");
    assert_eq!(without.code, Some(2), "{without:?}");
    assert!(without.stderr.contains("--window"), "{}", without.stderr);
    assert_eq!(convert("@out.json --to json --window 1/8").code, Some(2));
    assert_eq!(convert("@out.json --to json --window x").code, Some(2));
    assert_eq!(
        convert("@out.json --to json --window 1/8 --tokens 256").code,
        Some(0)
    );
    let plan = CheckedPlan::parse(&desk.read("out.json")).unwrap().plan;
    assert_eq!(plan.window(), Window::eighth_of(256));
    let piped = convert("- --to csv");
    assert_eq!(piped.code, Some(0), "{piped:?}");
    assert_eq!(import_csv(&piped.stdout, plan.window()).unwrap().plan, plan);
}

#[test]
fn a_reference_file_may_name_its_window() {
    let desk = Desk::with_plan();
    let name = "model_50_8_0.05_False_[5, 6]_4.json";
    std::fs::copy(fixture("foreign-plans/reference.json"), desk.path(name)).unwrap();
    let (from, to) = (desk.path(name), desk.path("out.json"));
    let words = [
        Path::new("plan"),
        Path::new("convert"),
        &from,
        &to,
        Path::new("--to"),
        Path::new("json"),
    ];
    let converted = run_dfa(&words);
    assert_eq!(converted.code, Some(0), "{converted:?}");
    let plan = CheckedPlan::parse(&desk.read("out.json")).unwrap().plan;
    assert_eq!(plan.window(), Window { left: 5, right: 6 });
}

#[test]
fn redecided_plans_are_marked() {
    let desk = Desk::with_plan();
    // Budgets 0.2 and 0.4: cell (1, 0) stays asc, (2, 0) has 0.25 and stays full; at 0.6
    // budgets are 0.3 and 0.6, and (2, 0) takes asc.
    let same = desk.run("plan redecide @plan.json --threshold 0.2 -o @same.json");
    assert_eq!(same.code, Some(0), "{same:?}");
    let plan = CheckedPlan::parse(&desk.read("same.json")).unwrap();
    assert_eq!((plan.edited_from, plan.plan), (None, searched().plan));
    let other = desk.run("plan redecide @plan.json --threshold 0.6 -o @other.json --json");
    let value = json_of(&other);
    assert_eq!(value["n_changed"], 1);
    assert_eq!(value["is_estimate"], true);
    let plan = CheckedPlan::parse(&desk.read("other.json")).unwrap();
    assert_eq!(plan.plan.strategy(Step(2), Block(0)), Strategy::ShareCfg);
    assert_eq!(plan.edited_from, Some(plan_hash(&searched().plan)));
    assert!(
        plan.notes
            .unwrap()
            .starts_with("estimate: decided again at threshold 0.6")
    );
    // Deciding the estimate again goes back to the recorded losses, not to the estimate.
    desk.run("plan redecide @other.json --threshold 0.2 -o @back.json");
    let back = CheckedPlan::parse(&desk.read("back.json")).unwrap();
    assert_eq!((back.edited_from, back.plan), (None, searched().plan));
}

#[test]
fn what_cannot_be_decided_again_is_said() {
    let desk = Desk::with_plan();
    let bare = CheckedPlan::bare(searched().plan);
    desk.write("bare.json", &bare.to_json().unwrap());
    let refused = desk.run("plan redecide @bare.json --threshold 0.3 -o @out.json");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("--search record-all"),
        "{}",
        refused.stderr
    );
    for threshold in ["NaN", "-1", "D7"] {
        let refused = desk.run(&format!(
            "plan redecide @plan.json --threshold={threshold} -o @out.json"
        ));
        assert_eq!(refused.code, Some(2), "{refused:?}");
    }
    assert!(!desk.path("out.json").exists());
}

#[test]
fn missing_files_and_wrong_usage_have_their_exit_codes() {
    let desk = Desk::with_plan();
    let check = |words: &str, code: i32, expected: &str| {
        let finished = desk.run(words);
        assert_eq!(finished.code, Some(code), "{words}: {finished:?}");
        assert!(finished.stderr.contains(expected), "{words}: {finished:?}");
        assert!(
            !finished.stderr.contains("panicked"),
            "{words}: {finished:?}"
        );
    };
    check("plan show @missing.json", 1, "missing.json; check the path");
    check("plan show @plan.json --layer colour", 2, "--layer");
    check("plan show @plan.json --width 0", 2, "--width");
    check("plan", 2, "Usage");
    check("plan validate", 2, "FILE");
    check(
        "plan convert @plan.json @no-folder/out.csv --to csv",
        1,
        "cannot write",
    );
    check("plan diff @plan.json", 2, "<B>");
    check("models @missing", 1, "is not a folder");
}
