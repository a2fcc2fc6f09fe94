//! Whatever is sent, the answer is no 5xx, and a refusal is in the envelope.

use std::sync::LazyLock;

use dfa_tests::worker::TestWorker;
use proptest::prelude::*;
use serde_json::{Map, Value};

static WORKER: LazyLock<TestWorker> = LazyLock::new(TestWorker::start);

const POSTS: [&str; 5] = [
    "/v1/jobs",
    "/v1/plans",
    "/v1/images/generations",
    "/login",
    "/v1/plans/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08/redecide",
];

/// Names that requests have, so that values reach the checks behind the names.
const NAMES: [&str; 22] = [
    "kind",
    "model",
    "labels",
    "n_images",
    "size",
    "steps",
    "sampler",
    "guidance_scale",
    "seed",
    "residual_half",
    "threshold",
    "window",
    "loss",
    "candidates",
    "search",
    "plan",
    "allow_mismatch",
    "batch_size",
    "prompt",
    "n",
    "response_format",
    "api_key",
];

fn any_json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("calibrate".to_owned()),
        Just("generate".to_owned()),
        Just("compare".to_owned()),
        Just("0x0".to_owned()),
        Just("1/0".to_owned()),
        Just("NaN".to_owned()),
        Just("../../etc/passwd".to_owned()),
        Just("99999999999999999999x1".to_owned()),
        ".{0,12}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        let name = prop_oneof![4 => prop::sample::select(&NAMES[..]).prop_map(str::to_owned), 1 => ".{0,6}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..8)
                .prop_map(|fields| Value::Object(Map::from_iter(fields))),
        ]
    })
}

fn assert_refused_well(path: &str, media_type: &str, body: &[u8]) {
    let answer = WORKER.ask("POST", path, &[("content-type", media_type)], body);
    let shown = String::from_utf8_lossy(body).into_owned();
    assert!(answer.status < 500, "{path} {shown}: {}", answer.text());
    if answer.status >= 400 {
        assert!(
            answer.error_code().is_some(),
            "{path} {shown}: {}",
            answer.text()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(path in prop::sample::select(&POSTS[..]), body in prop::collection::vec(any::<u8>(), 0..300)) {
        assert_refused_well(path, "application/json", &body);
    }

    #[test]
    fn any_json_without_a_model(path in prop::sample::select(&POSTS[..]), body in any_json()) {
        assert_refused_well(path, "application/json", body.to_string().as_bytes());
    }

    #[test]
    fn any_csv(body in "[a-z0-9,\n._+-]{0,200}") {
        assert_refused_well("/v1/plans?n_tokens=36", "text/csv", body.as_bytes());
    }

    #[test]
    fn any_path_and_query(path in "/[a-z0-9/%._-]{0,40}", query in "[a-z0-9=&%+._-]{0,40}") {
        let head = format!("GET {path}?{query} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let answer = WORKER.raw(head.as_bytes());
        prop_assert!(!answer.starts_with("HTTP/1.1 5"), "{head}{answer}");
    }
}
