//! `docs/plan-format.md` and `docs/plan.schema.json` against the reader and the writer.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use dfa_core::wire::{CheckedPlan, ContentHash, plan_hash};
use serde_json::Value;

mod json_schema;

/// A file of the repository's `docs` folder.
fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The code blocks of a language in `plan-format.md`.
fn examples(language: &str) -> Vec<String> {
    let text = document("plan-format.md");
    let fence = format!("```{language}\n");
    let blocks = text.split(&fence).skip(1);
    let blocks = blocks.filter_map(|rest| rest.split_once("```"));
    blocks.map(|(block, _)| block.to_owned()).collect()
}

/// What the published schema finds wrong with a JSON text.
fn schema_errors(text: &str) -> Vec<String> {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
        serde_json::from_str(&document("plan.schema.json")).expect("a schema is JSON")
    });
    let value = serde_json::from_str(text).expect("JSON");
    json_schema::errors(&SCHEMA, &value)
}

pub(crate) fn assert_fits_schema(text: &str) {
    assert_eq!(schema_errors(text), [""; 0], "{text}");
}

#[test]
fn the_documents_examples_are_plans_as_we_write_them() {
    let examples = examples("json");
    assert_eq!(examples.len(), 2);
    for example in &examples {
        let plan = CheckedPlan::parse(example).expect("a good plan");
        assert_eq!(&plan.to_json().expect("a good plan"), example);
        assert_fits_schema(example);
    }
    let plan = CheckedPlan::parse(&examples[0]).expect("a good plan").plan;
    let hashed = &self::examples("text")[0];
    assert_eq!(plan_hash(&plan), ContentHash::of(hashed.as_bytes()));
}

#[test]
fn the_documents_rejections_are_the_readers() {
    let good = &examples("json")[0];
    let document = document("plan-format.md");
    let check = |from: &str, to: &str, message: &str| {
        assert!(
            document.contains(&format!("| `{message}` |")),
            "undocumented: {message}"
        );
        assert!(good.contains(from), "{from}");
        let error = CheckedPlan::parse(&good.replacen(from, to, 1)).expect_err(message);
        let error = error.to_string();
        assert!(error.lines().any(|line| line.trim() == message), "{error}");
    };
    let readable = "docs/plan-format.md describes the format";
    check(
        "{\n",
        "x\n",
        &format!("not a readable plan file: expected value at line 1 column 1; {readable}"),
    );
    check(
        "dfa-plan",
        "dfa-report",
        "not a plan file: its format is \"dfa-report\", expected \"dfa-plan\"",
    );
    check(
        "\"version\": 1",
        "\"version\": 2",
        "plan file version 2 is not known here (this program reads version 1); use a newer program or calibrate again",
    );
    check(
        "\"ast\"],",
        "\"AST\"],",
        "strategies[1][1]: unknown strategy \"AST\"; expected one of full, wa_rs, ast, asc, wa_rs+asc, wa",
    );
    check(
        "[\"wa_rs\",\"ast\"]",
        "[\"wa_rs\"]",
        "strategies[1]: must have 2 entries (one per block, as at step 0), found 1",
    );
    check(
        "[\"full\",\"full\"]",
        "[\"full\",\"ast\"]",
        "strategies: step 0 must be full attention in every block (nothing to reuse exists yet), but block 1 is ast",
    );
    check(
        "\"left\":32",
        "\"left\":257",
        "window.left: must be at most fingerprint.n_tokens = 256, found 257",
    );
    check(
        "[\"wa_rs\",\"ast\"]",
        "[\"asc\",\"ast\"]",
        "strategies[1][0] is asc, but by search.losses and the threshold it is wa_rs; a plan changed by hand must name the plan it comes from in edited_from",
    );
    check(
        "[{\"candidate\":\"ast\",\"loss\":0.19}]",
        "[]",
        "search.losses[1][1]: [] is not what the search measures there: mode exact measures up to the first loss under the budget, or all",
    );
    check(
        "\"loss\":0.5",
        "\"loss\":-0.5",
        "search.losses[1][0][0].loss: must be a number from 0 to 10, found -0.5",
    );
    check(
        "\"guidance_scale\": 4.0",
        "\"guidance_scale\": 1.0",
        "strategies[2][1]: wa_rs+asc shares the conditional branch, but fingerprint.guidance_scale of 1 or less means that there is only one branch",
    );
    check(
        "999.0,",
        "",
        "fingerprint.timesteps: must have 3 entries (one per row of strategies), found 2",
    );
}

#[test]
fn the_schema_refuses_what_it_can() {
    let good = &examples("json")[0];
    let check = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        let text = good.replacen(from, to, 1);
        assert!(
            !schema_errors(&text).is_empty(),
            "{from} → {to} fits the schema"
        );
        assert!(CheckedPlan::parse(&text).is_err(), "{from} → {to} is read");
    };
    check("dfa-plan", "dfa-report");
    check("\"version\": 1", "\"version\": 2");
    check("\"full\"", "\"FULL\"");
    check("[\"full\",\"full\"]", "[]");
    check("\"left\":32", "\"left\":-1");
    check("\"left\":32", "\"left\":32,\"middle\":1");
    check("\"threshold\": 0.2", "\"threshold\": -0.2");
    check("\"relative\"", "\"lpips\"");
    check("\"exact\"", "\"quick\"");
    check("\"loss\":0.5", "\"loss\":11");
    check("\"n_tokens\": 256", "\"n_tokens\": 0");
    check("\"labels\"", "\"tags\"");
    check("\"edited_from\": null", "\"edited_from\": \"abc\"");
    check("\"edited_from\"", "\"edited\"");
}
