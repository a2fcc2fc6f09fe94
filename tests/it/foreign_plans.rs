//! Plans as other projects write them: read as plain data, refused where they are not.

use std::fs;

use dfa_core::wire::foreign::Imported;
use dfa_core::wire::reference::{ReferenceError, export_reference, import_reference};
use dfa_core::wire::xdit::{XditError, export_xdit, import_xdit};
use dfa_core::{CompressionPlan, Window};
use dfa_tests::fixtures::{fixture, json};

const WINDOW: Window = Window { left: 3, right: 4 };

fn bytes(name: &str) -> Vec<u8> {
    let path = fixture(&format!("foreign-plans/{name}"));
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn text(name: &str) -> String {
    String::from_utf8(bytes(name)).expect("a text file")
}

/// The fixture's plan in our own strings, `[step][block]`.
fn assert_is_expected(plan: &CompressionPlan, name: &str) {
    let expected = json("foreign-plans/expected.json");
    let found = plan.shape().steps().map(|step| {
        let row = plan.row(step).iter();
        row.map(|strategy| strategy.as_str()).collect::<Vec<_>>()
    });
    assert_eq!(expected[name], serde_json::json!(found.collect::<Vec<_>>()));
    assert_eq!(plan.window(), WINDOW);
}

fn import(name: &str) -> Result<Imported, ReferenceError> {
    import_reference(&bytes(name), WINDOW)
}

#[test]
fn a_plan_that_torch_saved_is_read() {
    let imported = import("reference.json").expect("a good file");
    assert_is_expected(&imported.plan, "reference");
    let early_releases = imported
        .warnings
        .iter()
        .any(|warning| warning.contains("[-w, w]"));
    assert!(early_releases, "{:?}", imported.warnings);
    let again = import_reference(&export_reference(&imported.plan), WINDOW);
    assert_eq!(again.expect("our own export").plan, imported.plan);
}

#[test]
fn hostile_and_damaged_reference_plans_are_refused() {
    let check = |name: &str, expected: &str| {
        let error = import(name).expect_err(name).to_string();
        assert!(error.contains(expected), "{name}: {error}");
    };
    check(
        "evil_global.json",
        "pickle contains code (GLOBAL __builtin__ print)",
    );
    check(
        "evil_stack_global.json",
        "pickle contains code (STACK_GLOBAL)",
    );
    check("bomb.json", "\"plan/data.pkl\" is compressed");
    check("deeply_nested.json", "\"plan/data.pkl\" is compressed");
    check("truncated.json", "not a zip archive");
    check("bare_pickle.json", "not a zip archive");
    check("xdit.json", "not a zip archive");
    check(
        "ragged.json",
        "step 9, block 3 is missing from a plan of 10 steps × 6 blocks",
    );
    check(
        "reference_without_residual.json",
        "unknown strategy \"residual_window_attn+cfg_attn_share+with",
    );
}

#[test]
fn xdit_plans_are_read_and_written() {
    for name in ["xdit.json", "xdit_sorted_keys.json"] {
        let imported = import_xdit(&text(name), WINDOW).expect(name);
        assert_is_expected(&imported.plan, "xdit");
        let written = export_xdit(&imported.plan).expect("strategies that xDiT has");
        assert_eq!(written, text("xdit.json"), "written as xDiT writes it");
    }
    let error = import_xdit(&text("expected.json"), WINDOW).expect_err("not xDiT's layout");
    assert!(matches!(error, XditError::NotReadable { .. }), "{error}");
}
