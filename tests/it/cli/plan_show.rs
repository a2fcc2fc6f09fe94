//! `dfa plan show` and `dfa plan diff`: what they print of a plan.

use dfa_core::wire::{CheckedPlan, plan_hash};
use dfa_core::{Block, Step, Strategy};
use dfa_tests::dfa_command::run_dfa;

use super::searched_plan::searched;
use super::{Desk, foreign, json_of};

#[test]
fn show_draws_letters_and_totals() {
    let desk = Desk::with_plan();
    let shown = desk.run("plan show @plan.json --width 128");
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let hash = plan_hash(&searched().plan).short();
    for expected in [
        "   block 0 FCF\n   block 1 FAA\n",
        "made for tiny",
        "256 tokens, ddim, guidance 4",
        "threshold 0.2 (relative loss), candidates ast,asc, 8 losses measured",
        "MACs kept: attention 58.3 %, whole layer with projections 58.3 %",
        hash.as_str(),
    ] {
        assert!(
            shown.stdout.contains(expected),
            "{expected}: {}",
            shown.stdout
        );
    }
    assert!(!shown.stdout.contains('\x1b'), "no colours into a pipe");
    assert_eq!(shown.stderr, "");
    let layer = |name: &str| {
        desk.run(&format!("plan show @plan.json --layer {name}"))
            .stdout
    };
    assert!(
        layer("loss").contains("block 0 ·2·\n   block 1 ·71\n"),
        "{}",
        layer("loss")
    );
    assert!(
        layer("margin").contains("block 0 ·5·\n   block 1 ·29\n"),
        "{}",
        layer("margin")
    );
}

#[test]
fn show_says_what_it_does_not_know() {
    let shown = run_dfa(&["plan", "show", &foreign("xdit.json")]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(
        shown.stdout.contains("attention not known"),
        "{}",
        shown.stdout
    );
    assert!(shown.stderr.starts_with("warning: "), "{}", shown.stderr);
    let shown = run_dfa(&["plan", "show", &foreign("xdit.json"), "--layer", "loss"]);
    assert_eq!(shown.code, Some(2));
    assert!(
        shown.stderr.contains("records no losses"),
        "{}",
        shown.stderr
    );
}

#[test]
fn show_as_json_holds_the_grid() {
    let desk = Desk::with_plan();
    let value = json_of(&desk.run("plan show @plan.json --json"));
    assert_eq!(value["grid"][1], serde_json::json!(["asc", "ast"]));
    assert_eq!(value["n_steps"], 3);
    assert_eq!(value["fingerprint"]["n_tokens"], 256);
    assert_eq!(
        value["strategies"][0],
        serde_json::json!({"strategy": "full", "count": 3, "share": 0.5})
    );
    assert!(value["layer_kept_share"].is_null());
    let kept = value["attention_kept_share"].as_f64().unwrap();
    assert!((kept - 3.5 / 6.0).abs() < 1e-12, "{kept}");
}

#[test]
fn a_nearly_full_plan_is_warned_of() {
    let desk = Desk::with_plan();
    let edited = (1..3).fold(searched(), |checked, step| {
        let full = |plan: CheckedPlan, block| {
            let changed = plan
                .plan
                .with_strategy(Step(step), Block(block), Strategy::Full);
            plan.with_edit(changed.unwrap())
        };
        full(full(checked, 0), 1)
    });
    desk.write("full.json", &edited.to_json().unwrap());
    let shown = desk.run("plan show @full.json");
    assert!(
        shown
            .stderr
            .contains("100 % of the cells are full attention"),
        "{shown:?}"
    );
}

#[test]
fn diff_says_where_plans_differ() {
    let desk = Desk::with_plan();
    let same = desk.run("plan diff @plan.json @plan.json");
    assert_eq!(same.code, Some(0), "{same:?}");
    assert!(same.stdout.contains("the strategies are equal"));
    let changed = searched()
        .plan
        .with_strategy(Step(2), Block(0), Strategy::ShareSteps);
    desk.write(
        "edited.json",
        &searched().with_edit(changed.unwrap()).to_json().unwrap(),
    );
    let differ = desk.run("plan diff @plan.json @edited.json");
    assert_eq!(differ.code, Some(1), "{differ:?}");
    for expected in [
        "1 of 6 cells differ",
        "block 0 ··A\n   block 1 ···\n",
        "full → ast, 1 cells (step:block):\n  2:0\n",
        "A: MACs kept: attention 58.3 %",
        "B: MACs kept: attention 41.7 %",
    ] {
        assert!(
            differ.stdout.contains(expected),
            "{expected}: {}",
            differ.stdout
        );
    }
    let value = json_of(&desk.run("plan diff @plan.json @edited.json --json"));
    assert_eq!(value["equal"], false);
    let cell = serde_json::json!([{"step": 2, "block": 0, "a": "full", "b": "ast"}]);
    assert_eq!(value["changed"], cell);
}

#[test]
fn diff_notices_shapes_and_windows() {
    let desk = Desk::with_plan();
    let shapes = desk.run(&format!("plan diff @plan.json {}", foreign("xdit.json")));
    assert_eq!(shapes.code, Some(1), "{shapes:?}");
    assert!(
        shapes
            .stdout
            .contains("different shapes: 3 steps × 2 blocks and 12 steps × 6 blocks")
    );
    let text = searched().to_json().unwrap();
    desk.write("window.json", &text.replace("\"left\":32", "\"left\":31"));
    let windows = desk.run("plan diff @plan.json @window.json");
    assert_eq!(windows.code, Some(1), "{windows:?}");
    assert!(
        windows.stdout.contains("the windows differ"),
        "{}",
        windows.stdout
    );
}
