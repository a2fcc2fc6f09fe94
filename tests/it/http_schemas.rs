//! The schemas that `/openapi.json` shows are written by hand; here they are compared with
//! the wire types, both ways: names, which of them are always there, kinds of values,
//! strings of enums.

use serde_json::Value;

use observed::Observed;

mod observed;
mod requests;
mod samples;

const SCHEMAS: &str = include_str!("../../native-worker/src/http/openapi/schemas.json");

#[test]
fn every_schema_is_its_wire_type() {
    let schemas = serde_json::from_str(SCHEMAS).unwrap();
    let mut observed = Observed::new(schemas);
    samples::see_answers(&mut observed);
    requests::see_requests(&mut observed);
    let differences = observed.differences();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The comparison itself: whatever a schema says wrongly is found.
#[test]
fn every_kind_of_difference_is_found() {
    let right = r#"{"T": {"type": "object", "required": ["a"], "properties": {
        "a": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "b": {"type": "array", "items": {"type": "string", "enum": ["x", "y"]}}}}}"#;
    let check = |from: &str, to: &str, n_expected: usize| {
        let schemas = right.replace(from, to);
        let mut observed = Observed::new(serde_json::from_str(&schemas).unwrap());
        for sample in [r#"{"a": 1, "b": ["x", "y"]}"#, r#"{"a": null}"#] {
            let sample: Value = serde_json::from_str(sample).unwrap();
            observed.see("T", &sample);
        }
        let found = observed.differences();
        assert_eq!(found.len(), n_expected, "{from} → {to}: {found:?}");
    };
    check("", "", 0);
    check(r#"["a"]"#, "[]", 1);
    check(r#"["a"]"#, r#"["a", "b"]"#, 1);
    check(r#""b": {"#, r#""c": {"#, 3);
    check("integer", "string", 2);
    check(r#", {"type": "null"}"#, "", 1);
    check(r#"["x", "y"]"#, r#"["x"]"#, 1);
    check(r#"["x", "y"]"#, r#"["x", "y", "z"]"#, 1);
    check(r#""T": {"#, r#""U": {"type": "string"}, "T": {"#, 1);
}
