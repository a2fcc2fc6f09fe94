//! What a person does to a plan, what is shown then, and what is saved.

use super::*;
use crate::plan::examples;
use crate::plan::open_file::open_file;
use crate::plan::opened::Origin;
use crate::plan::share;
use dfa_core::search::{SearchMode, redecide};
use dfa_core::wire::{CheckedPlan, plan_hash};

const AST: Strategy = Strategy::ShareSteps;

fn bench() -> Workbench {
    Workbench::open(examples::searched(0.1, SearchMode::RecordAll)).unwrap()
}

fn delta(value: f64) -> Threshold {
    Threshold::new(value).unwrap()
}

/// Saves, checks and opens again.
fn reopened(bench: &Workbench) -> Workbench {
    let text = bench.to_json().unwrap();
    let checked = CheckedPlan::parse(&text).unwrap();
    assert_eq!(checked, bench.to_checked());
    Workbench::open(OpenPlan::new("again", Origin::File, checked)).unwrap()
}

#[test]
fn an_untouched_plan_is_exact_and_saved_as_it_was() {
    let bench = bench();
    let shown = bench.shown();
    assert_eq!(shown.plan, *bench.opened().plan());
    assert!(!shown.is_estimate);
    assert_eq!((shown.n_changed, shown.n_edited, shown.n_locked), (0, 0, 0));
    assert_eq!(bench.to_checked(), bench.opened().checked);
    assert!(!bench.is_modified());
}

#[test]
fn the_slider_decides_again_and_counts_what_could_differ() {
    let mut bench = bench();
    bench.set_threshold(delta(0.17)).unwrap();
    let shown = bench.shown();
    let record = bench.opened().record().unwrap();
    let expected = redecide(record, delta(0.17), examples::WINDOW).unwrap();
    assert_eq!(shown.plan, expected.plan);
    assert_eq!(shown.n_changed, expected.changed.len());
    let n_blocks = examples::SHAPE.n_blocks;
    let (step, block) = expected.changed[0];
    let first = step.0 * n_blocks + block.0;
    assert_eq!(shown.n_could_differ, examples::SHAPE.n_cells() - first - 1);
    assert!(!shown.states[first].could_differ && shown.states[first + 1].could_differ);
    assert!(shown.badge().unwrap().starts_with("Estimated"));
}

#[test]
fn a_plan_decided_again_says_so_in_its_file() {
    let mut bench = bench();
    bench.set_threshold(delta(0.17)).unwrap();
    let saved = bench.to_checked();
    assert_eq!(saved.edited_from, Some(plan_hash(bench.opened().plan())));
    let note = "re-decided at δ=0.17 from recorded losses, an estimate";
    assert_eq!(saved.notes.as_deref(), Some(note));
    let again = reopened(&bench);
    assert_eq!(again.threshold(), Some(delta(0.17)));
    assert_eq!(again.shown(), bench.shown());
}

#[test]
fn edits_survive_a_round_trip_and_the_slider() {
    let mut bench = bench();
    bench.set(Region::Block(Block(1)), AST).unwrap();
    bench.set_threshold(delta(0.03)).unwrap();
    let again = reopened(&bench);
    assert_eq!(again.plan(), bench.plan());
    assert_eq!(again.threshold(), bench.threshold());
    for step in examples::SHAPE.steps().skip(1) {
        assert_eq!(again.plan().strategy(step, Block(1)), AST);
    }
    // Saved once more, the lines about edits are not doubled.
    let mut again = again;
    again.set(Region::Cell(Step(3), Block(3)), AST).unwrap();
    let notes = again.to_checked().notes.unwrap();
    assert_eq!(notes.lines().count(), 2, "{notes}");
}

#[test]
fn changes_that_break_a_rule_are_refused_with_a_sentence() {
    let mut bench = bench();
    let before = bench.clone();
    let refused = |found: Result<String, Refusal>, expected: &str| {
        let text = found.unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
    };
    refused(bench.set(Region::Step(Step(0)), AST), "always full");
    refused(bench.set(Region::Step(Step(8)), AST), "8 steps × 5 blocks");
    refused(bench.clear(Region::Everything), "Nothing was set by hand");
    assert_eq!(bench, before);
    let mut unguided = Workbench::open(examples::unguided()).unwrap();
    let shared = unguided.set(Region::Everything, Strategy::ShareCfg);
    refused(shared, "without guidance");
    let mut foreign = Workbench::open(examples::foreign()).unwrap();
    assert!(foreign.set_threshold(delta(0.1)).is_err());
    assert!(foreign.shown().badge().is_none());
    foreign.set(Region::Step(Step(1)), AST).unwrap();
    assert!(!foreign.shown().is_estimate);
    reopened(&foreign);
}

#[test]
fn a_column_leaves_step_0_full_and_says_so() {
    let mut bench = bench();
    let said = bench.set(Region::Block(Block(2)), AST).unwrap();
    assert_eq!(said, "block 2 set to AST; step 0 stays full.");
    assert_eq!(bench.shown().n_edited, 7);
    bench.clear(Region::Block(Block(2))).unwrap();
    assert!(!bench.is_modified());
}

#[test]
fn locked_cells_stay_as_they_were() {
    let mut bench = bench();
    let row = bench.plan().row(Step(4)).to_vec();
    bench.toggle_lock(Region::Step(Step(4))).unwrap();
    bench.set_threshold(delta(0.0)).unwrap();
    let shown = bench.shown();
    assert_eq!(shown.plan.row(Step(4)), row);
    assert_eq!(shown.n_locked, 5);
    let compressed = row
        .iter()
        .filter(|&&strategy| strategy != Strategy::Full)
        .count();
    let n_full = shown.plan.count(Strategy::Full);
    assert_eq!(n_full, examples::SHAPE.n_cells() - compressed);
    bench.toggle_lock(Region::Step(Step(4))).unwrap();
    assert_eq!(bench.plan().count(Strategy::Full), 40);
    reopened(&bench);
}

#[test]
fn undo_and_redo_go_action_by_action() {
    let mut bench = bench();
    let start = bench.plan();
    for value in [0.11, 0.12, 0.13] {
        bench.set_threshold(delta(value)).unwrap();
    }
    bench.set(Region::Cell(Step(2), Block(2)), AST).unwrap();
    bench.set_threshold(delta(0.2)).unwrap();
    bench.settle();
    bench.set_threshold(delta(0.25)).unwrap();
    let end = bench.plan();
    assert_eq!(bench.undo().as_deref(), Some("Undone: δ moved to 0.25."));
    assert_eq!(bench.threshold(), Some(delta(0.2)));
    assert_eq!(bench.undo().as_deref(), Some("Undone: δ moved to 0.2."));
    assert!(bench.undo().unwrap().contains("step 2, block 2 set to AST"));
    assert_eq!(bench.undoable(), Some("δ moved to 0.13"));
    bench.undo().unwrap();
    assert_eq!((bench.plan(), bench.undo()), (start, None));
    while bench.redo().is_some() {}
    assert_eq!(bench.plan(), end);
    bench.undo().unwrap();
    bench.toggle_lock(Region::Everything).unwrap();
    assert_eq!(bench.redoable(), None);
}

#[test]
fn a_record_that_stopped_at_its_winners_has_unmeasured_cells() {
    let mut bench = Workbench::open(examples::searched(0.1, SearchMode::Exact)).unwrap();
    bench.set_threshold(delta(0.05)).unwrap();
    let shown = bench.shown();
    assert!(shown.n_unmeasured > 0);
    for ((_, _, strategy), state) in shown.plan.cells().zip(&shown.states) {
        assert!(!state.is_unmeasured || (strategy == Strategy::Full && state.could_differ));
    }
    reopened(&bench);
}

#[test]
fn files_are_named_after_the_plan() {
    let check = |name: &str, expected: &str| {
        let mut plan = examples::foreign();
        plan.name = name.into();
        let mut bench = Workbench::open(plan).unwrap();
        bench
            .set(Region::Step(Step(1)), Strategy::WindowOnly)
            .unwrap();
        assert_eq!(bench.file_name("json"), expected, "{name}");
    };
    check("plan.json", "plan-edited.json");
    check("plan-edited.json", "plan-edited.json");
    check("../../a b/c?.csv", "a-b-c-edited.json");
    check("", "plan-edited.json");
}

/// The shipped model's own calibration, as a person would open, move, edit and save it.
#[test]
fn a_real_calibration_survives_everything() {
    let text = include_bytes!("../../../../tests/wasm-golden/recorded/avatars-dit.json");
    let opened = open_file(text, "avatars-dit.json", Origin::File).unwrap();
    let mut bench = Workbench::open(opened).unwrap();
    assert!(!bench.shown().is_estimate && !bench.opened().stops_at_winner());
    let slider = bench.slider().unwrap();
    for idx in 0..=20 {
        let value = slider.end.value() * f64::from(idx) / 20.0;
        bench.set_threshold(delta(value)).unwrap();
        let shown = bench.shown();
        assert_eq!(shown.n_unmeasured, 0);
        let record = bench.opened().record().unwrap();
        let expected = redecide(record, delta(value), shown.plan.window()).unwrap();
        assert_eq!(shown.plan, expected.plan);
        reopened(&bench);
    }
    // From one change to the next, every δ that is named changes something.
    bench.set_threshold(slider.recorded).unwrap();
    for _ in 0..10 {
        let before = bench.plan();
        let next = bench.next_threshold(Direction::Up).unwrap();
        bench.set_threshold(next).unwrap();
        assert_ne!(bench.plan(), before);
    }
    let shared = share::to_text(&bench.plan(), bench.opened().layer_shape()).unwrap();
    assert_eq!(*share::from_text(&shared).unwrap().plan(), bench.plan());
}
