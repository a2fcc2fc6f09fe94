//! `dfa serve` as a process: what survives kill -9, SIGTERM and lost connections, when it
//! does not start, and our own client of it.

use std::sync::OnceLock;

use dfa_tests::client::{Client, StreamEvent};
use dfa_tests::worker_process::WorkerProcess;
use serde_json::{Value, json};

mod client_commands;
mod killed_queue;
mod kills;
mod load;
mod refusals;
mod stopping;
mod streams;

fn generate(steps: u32, seed: u32) -> Value {
    json!({"kind": "generate", "model": "avatars-dit", "labels": [1], "n_images": 1, "steps": steps, "seed": seed})
}

fn calibrate(steps: u32) -> Value {
    json!({"kind": "calibrate", "model": "avatars-dit", "labels": [1], "n_images": 1, "steps": steps,
        "guidance_scale": 2, "threshold": 0.5})
}

/// The id of an accepted job.
fn submit(client: &Client, request: &Value) -> String {
    let answer = client.post("/v1/jobs", request);
    assert_eq!(answer.status, 202, "{request}: {}", answer.text());
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn job(client: &Client, id: &str) -> Value {
    let answer = client.get(&format!("/v1/jobs/{id}"));
    assert_eq!(answer.status, 200, "{id}: {}", answer.text());
    answer.json()
}

/// The job when it has ended, whichever way.
fn ended(client: &Client, id: &str) -> Value {
    let job = client.get(&format!("/v1/jobs/{id}?wait=60")).json();
    assert_ne!(job["finished_at"], Value::Null, "{job}");
    job
}

/// The hash of the plan that a calibration made.
fn plan_made(client: &Client, id: &str) -> String {
    let job = ended(client, id);
    assert_eq!(job["state"], "succeeded", "{job}");
    job["result"]["plan"].as_str().unwrap().to_owned()
}

/// Reads events until the job has decided a cell of this step.
fn until_decided(client: &Client, id: &str, step: u64) {
    let decided = |event: &StreamEvent| event.name == "decision" && event.data["step"] == step;
    let mut events = client.events(id, 0);
    assert!(events.any(|event| decided(&event)), "it ended before");
}

/// The steps of the calibration that is killed and stopped in the middle.
const N_STEPS: u32 = 4;

/// The plan of that calibration when nothing disturbs it.
fn undisturbed_plan() -> &'static str {
    static PLAN: OnceLock<String> = OnceLock::new();
    PLAN.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let worker = WorkerProcess::start(folder.path());
        let id = submit(&worker.client, &calibrate(N_STEPS));
        plan_made(&worker.client, &id)
    })
}
