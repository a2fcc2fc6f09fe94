//! What the worker says about itself: `/openapi.json` and the capabilities.

use dfa_tests::worker::TestWorker;
use serde_json::{Value, json};

#[test]
fn the_description_has_every_route_and_no_loose_end() {
    let worker = TestWorker::start();
    let document = worker.get("/openapi.json").json();
    let paths = document["paths"].as_object().unwrap();
    let expected = [
        "/v1/jobs",
        "/v1/jobs/{id}",
        "/v1/jobs/{id}/cancel",
        "/v1/jobs/{id}/events",
        "/v1/artifacts/{hash}",
        "/v1/plans",
        "/v1/plans/{id}",
        "/v1/plans/{id}/redecide",
        "/v1/models",
        "/v1/models/{id}",
        "/v1/capabilities",
        "/v1/images/generations",
        "/health",
        "/v2/health/live",
        "/v2/health/ready",
        "/ping",
        "/info",
        "/metrics",
        "/openapi.json",
        "/login",
        "/logout",
    ];
    for path in expected {
        assert!(paths.contains_key(path), "{path}");
    }
    assert_eq!(paths.len(), expected.len());
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    for reference in references {
        let pointer = reference.trim_start_matches('#');
        assert!(
            document.pointer(pointer).is_some(),
            "{reference} leads nowhere"
        );
    }
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().unwrap() {
            check_operation(&format!("{method} {path}"), operation);
        }
    }
}

fn check_operation(name: &str, operation: &Value) {
    assert!(operation["description"].is_string(), "{name}");
    for (status, response) in operation["responses"].as_object().unwrap() {
        if status.starts_with(['4', '5']) {
            let code = &response["content"]["application/json"]["example"]["error"]["code"];
            assert!(code.is_string(), "{name} {status}");
        }
    }
}

fn collect_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(text) if name == "$ref" => found.push(text.into()),
                    _ => collect_references(value, found),
                }
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| collect_references(item, found)),
        _ => {}
    }
}

#[test]
fn capabilities_are_what_the_schema_says() {
    let worker = TestWorker::start();
    let capabilities = worker.get("/v1/capabilities").json();
    assert_eq!(
        capabilities["kinds"],
        json!(["calibrate", "generate", "compare"])
    );
    assert_eq!(capabilities["limits"]["max_json_depth"], 32);
    assert_eq!(capabilities["thresholds"].as_array().map(Vec::len), Some(6));
    let document = worker.get("/openapi.json").json();
    let schema = &document["components"]["schemas"];
    let check = |name: &str, value: &Value| {
        let required = schema[name]["required"].as_array().unwrap();
        let fields: Vec<&str> = required.iter().filter_map(Value::as_str).collect();
        let mut expected: Vec<&str> = value
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let mut found = fields;
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{name}");
    };
    check("Capabilities", &capabilities);
    check("ModelView", &capabilities["models"][0]);
    check("ModelList", &worker.get("/v1/models").json());
    check("WorkerInfo", &worker.get("/info").json());
}
