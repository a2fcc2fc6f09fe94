//! The plan library over HTTP.

use dfa_tests::worker::{Answer, TestWorker};
use serde_json::{Value, json};

use super::{assert_code, succeeded};

#[test]
fn plans_are_made_brought_written_and_decided_again() {
    let worker = TestWorker::start();
    let calibrate = json!({"kind": "calibrate", "model": "avatars-dit", "labels": [1, 2], "n_images": 2,
        "steps": 4, "guidance_scale": 3, "threshold": "D6", "search": "record-all"});
    let job = succeeded(&worker, &calibrate);
    let id = job["result"]["plan"].as_str().unwrap().to_owned();
    let listed = worker.get("/v1/plans").json();
    assert_eq!(listed["plans"][0]["id"], json!(id));
    let path = format!("/v1/plans/{id}");
    check_decisions(&worker, &path);
    check_forms(&worker, &path);
    let compare = json!({"kind": "compare", "model": "avatars-dit", "plan": id, "labels": [1], "n_images": 1});
    let report = succeeded(&worker, &compare)["result"]["report"].clone();
    assert_eq!(report["format"], "dfa-report");
}

/// The plan in every form, and what happens when it is brought again.
fn check_forms(worker: &TestWorker, path: &str) {
    let file = worker.get(path);
    assert_eq!(file.json()["format"], "dfa-plan", "{}", file.text());
    assert_eq!(worker.get(&format!("{path}.xdit.json")).status, 200);
    let csv = worker.get(&format!("{path}.csv"));
    let media_type = csv.header("content-type");
    assert!(media_type.starts_with("text/csv"), "{}", csv.text());

    let assert_known = |answer: &Answer| {
        let found = (answer.status, answer.json()["is_new"].clone());
        assert_eq!(found, (200, json!(false)), "{}", answer.text());
    };
    assert_known(&worker.post("/v1/plans", &file.json()));
    let bring = || {
        let headers = [("content-type", "text/csv")];
        let csv = csv.body.clone();
        worker.ask("POST", "/v1/plans?n_tokens=256", &headers, csv)
    };
    let brought = bring();
    assert_eq!(brought.status, 201, "{}", brought.text());
    assert_known(&bring());
    let bare = brought.json()["plan"]["id"].as_str().unwrap().to_owned();
    let refused = decide(worker, &format!("/v1/plans/{bare}"), &json!(1));
    assert!([200, 409].contains(&refused.status), "{}", refused.text());
}

fn decide(worker: &TestWorker, path: &str, threshold: &Value) -> Answer {
    worker.post(
        &format!("{path}/redecide"),
        &json!({"threshold": threshold}),
    )
}

fn check_decisions(worker: &TestWorker, path: &str) {
    let exact = decide(worker, path, &json!("D6")).json();
    assert_eq!(exact["is_estimate"], false, "{exact}");
    assert_eq!(exact["changed"], json!([]), "{exact}");
    let all_full = decide(worker, path, &json!(0)).json();
    let edited_from = all_full["plan"]["edited_from"].as_str();
    assert_eq!(edited_from.map(str::len), Some(64), "{all_full}");
    for bad in [json!(-1), json!("D9"), json!(null), json!([1])] {
        assert_code(&decide(worker, path, &bad), 400, "invalid_request");
    }
}

#[test]
fn every_problem_of_a_plan_is_listed() {
    let worker = TestWorker::start();
    let broken = json!({"format": "dfa-plan", "version": 1, "window": {"left": 1, "right": 1},
        "strategies": [["ast", "full"], ["full", "full"]], "edited_from": "nothing"});
    let answer = worker.post("/v1/plans", &broken);
    assert_code(&answer, 400, "invalid_plan");
    let problems = answer.json()["error"]["problems"].as_array().map(Vec::len);
    assert!(problems >= Some(2), "{}", answer.text());
}
