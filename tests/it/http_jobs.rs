//! Jobs, plans, artifacts and images over HTTP, run by the shipped model.

use std::time::{Duration, Instant};

use dfa_tests::worker::{Answer, TestWorker};
use serde_json::{Value, json};

mod events;
mod images;
mod plans;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

fn generate(steps: u32) -> Value {
    json!({"kind": "generate", "model": "avatars-dit", "labels": [1], "n_images": 1, "steps": steps})
}

fn submitted(worker: &TestWorker, request: &Value) -> Value {
    let answer = worker.post("/v1/jobs", request);
    assert_eq!(answer.status, 202, "{request}: {}", answer.text());
    answer.json()
}

fn path_of(job: &Value) -> String {
    format!("/v1/jobs/{}", job["id"].as_str().unwrap())
}

/// The job when it has ended, whichever way.
fn ended(worker: &TestWorker, job: &Value) -> Value {
    let path = format!("{}?wait=60", path_of(job));
    worker.get(&path).json()
}

fn succeeded(worker: &TestWorker, request: &Value) -> Value {
    let job = ended(worker, &submitted(worker, request));
    assert_eq!(job["state"], "succeeded", "{job}");
    job
}

fn assert_code(answer: &Answer, status: u16, code: &str) {
    let found = (answer.status, answer.error_code());
    assert_eq!(found, (status, Some(code.into())), "{}", answer.text());
}

#[test]
fn a_job_goes_from_request_to_artifact_and_away() {
    let worker = TestWorker::start();
    let answer = worker.post("/v1/jobs", &generate(3));
    assert_eq!(answer.status, 202, "{}", answer.text());
    let path = path_of(&answer.json());
    assert_eq!(answer.header("location"), path);
    let links = json!({"self": path, "events": format!("{path}/events"), "cancel": format!("{path}/cancel")});
    assert_eq!(answer.json()["links"], links);
    let job = ended(&worker, &answer.json());
    assert_eq!(job["state"], "succeeded", "{job}");
    let href = job["result"]["artifacts"][0]["href"]
        .as_str()
        .unwrap()
        .to_owned();
    check_artifact(&worker, &href);
    assert_code(
        &worker.post(&format!("{path}/cancel"), &json!({})),
        409,
        "job_ended",
    );
    assert_eq!(worker.ask("DELETE", &path, &[], "").status, 204);
    assert_code(&worker.get(&path), 410, "job_gone");
    assert_code(&worker.get(&format!("{path}/events")), 410, "job_gone");
    assert_code(&worker.get(&href), 404, "artifact_not_found");
}

fn check_artifact(worker: &TestWorker, href: &str) {
    let whole = worker.get(href);
    assert_eq!(
        (whole.status, whole.header("content-type")),
        (200, "image/png")
    );
    assert!(whole.body.starts_with(PNG));
    assert_eq!(whole.header("x-content-type-options"), "nosniff");
    assert!(whole.header("cache-control").contains("immutable"));
    assert!(whole.header("content-disposition").contains("filename="));
    let etag = whole.header("etag");
    let same = worker.ask("GET", href, &[("if-none-match", etag)], "");
    assert_eq!((same.status, same.body.len()), (304, 0));
    let size = whole.body.len();
    let check = |range: &str, status: u16, expected: &[u8], shown: &str| {
        let part = worker.ask("GET", href, &[("range", range)], "");
        assert_eq!(part.status, status, "{range}");
        assert_eq!(part.header("content-range"), shown, "{range}");
        if status < 400 {
            assert_eq!(part.body, expected, "{range}");
        }
    };
    check("bytes=0-7", 206, PNG, &format!("bytes 0-7/{size}"));
    let last = &whole.body[size - 4..];
    check(
        "bytes=-4",
        206,
        last,
        &format!("bytes {}-{}/{size}", size - 4, size - 1),
    );
    check(
        &format!("bytes={size}-"),
        416,
        &[],
        &format!("bytes */{size}"),
    );
    check("bytes=0-1,3-4", 200, &whole.body, "");
    assert_eq!(
        worker.ask("HEAD", href, &[], "").header("content-length"),
        size.to_string()
    );
}

#[test]
fn the_same_key_makes_one_job() {
    let worker = TestWorker::start();
    let send = |key: &str, request: &Value| {
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", key),
        ];
        worker.ask("POST", "/v1/jobs", &headers, request.to_string())
    };
    let first = send("mine", &generate(2));
    let again = send("mine", &generate(2));
    assert_eq!((first.status, again.status), (202, 202), "{}", again.text());
    assert_eq!(first.json()["id"], again.json()["id"]);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_code(&send("mine", &generate(3)), 422, "idempotency_conflict");
    assert_code(
        &send(&"x".repeat(256), &generate(3)),
        400,
        "invalid_request",
    );
    let other = send("other", &generate(2)).json();
    assert_ne!(first.json()["id"], other["id"]);
}

#[test]
fn waiting_and_running_jobs_are_cancelled() {
    let worker = TestWorker::start();
    let running = submitted(&worker, &generate(500));
    let waiting = submitted(&worker, &generate(500));
    assert_code(
        &worker.ask("DELETE", &path_of(&waiting), &[], ""),
        409,
        "job_not_ended",
    );
    for job in [waiting, running] {
        let answer = worker.post(&format!("{}/cancel", path_of(&job)), &json!({}));
        assert_eq!(answer.status, 202, "{}", answer.text());
        let job = ended(&worker, &job);
        assert_eq!(
            (&job["state"], &job["error"]["code"]),
            (&json!("cancelled"), &json!("cancelled"))
        );
    }
}

#[test]
fn a_full_queue_a_full_disk_and_a_stopping_worker_refuse() {
    let full = TestWorker::start_with(|mut settings| {
        settings.jobs.limits.max_queued_jobs = 1;
        settings
    });
    // Which of them is the first too many depends on when the device takes the first.
    let mut answers = (0..20).map(|_| full.post("/v1/jobs", &generate(500)));
    let refused = answers.find(|answer| answer.status != 202).unwrap();
    assert_code(&refused, 429, "queue_full");
    assert!(
        refused
            .header("retry-after")
            .parse::<u64>()
            .is_ok_and(|secs| secs >= 1)
    );
    let no_room = TestWorker::start_with(|mut settings| {
        settings.jobs.disk.free_floor_bytes = u64::MAX;
        settings
    });
    assert_code(&no_room.post("/v1/jobs", &generate(2)), 507, "disk_full");
    let stopping = TestWorker::start();
    stopping.jobs.drain();
    let refused = stopping.post("/v1/jobs", &generate(2));
    assert_code(&refused, 503, "draining");
    assert_ne!(refused.header("retry-after"), "");
    assert_code(&stopping.get("/v2/health/ready"), 503, "draining");
    assert_eq!(stopping.get("/v2/health/live").status, 200);
}

#[test]
fn lists_come_in_pages() {
    let worker = TestWorker::start();
    let ids: Vec<Value> = (0..5)
        .map(|_| submitted(&worker, &generate(2))["id"].clone())
        .collect();
    let mut found = Vec::new();
    let mut path = "/v1/jobs?limit=2".to_owned();
    loop {
        let page = worker.get(&path).json();
        found.extend(
            page["jobs"]
                .as_array()
                .unwrap()
                .iter()
                .map(|job| job["id"].clone()),
        );
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/jobs?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    found.reverse();
    assert_eq!(found, ids, "newest first, each once");
    ids.iter()
        .for_each(|id| drop(ended(&worker, &json!({"id": id}))));
    let count = |query: &str| {
        worker.get(&format!("/v1/jobs?{query}")).json()["jobs"]
            .as_array()
            .map(Vec::len)
    };
    assert_eq!(count("status=succeeded"), Some(5));
    assert_eq!(count("status=queued"), Some(0));
    assert_eq!(count("kind=generate"), Some(5));
    assert_eq!(count("kind=compare"), Some(0));
}

#[test]
fn health_turns_bad_while_the_device_thread_is_stuck() {
    let worker = TestWorker::start_with(|mut settings| {
        settings.jobs.device.stuck_after = Duration::from_millis(200);
        settings
    });
    assert_eq!(worker.get("/health").status, 200);
    worker.jobs.make_device_deaf(Duration::from_secs(3));
    std::thread::sleep(Duration::from_millis(500));
    assert_code(&worker.get("/health"), 503, "device_unwell");
    assert_code(&worker.get("/v2/health/ready"), 503, "device_unwell");
    assert_eq!(worker.get("/v2/health/live").status, 200);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(worker.get("/health").status, 200, "it is well again");
}

#[test]
fn jobs_are_counted() {
    let worker = TestWorker::start();
    succeeded(&worker, &generate(3));
    succeeded(
        &worker,
        &json!({"kind": "calibrate", "model": "avatars-dit", "labels": [1], "n_images": 1, "steps": 2}),
    );
    let start = Instant::now();
    let expected = [
        "dfa_jobs_ended_total{kind=\"generate\",state=\"succeeded\"} 1",
        "dfa_jobs_ended_total{kind=\"calibrate\",state=\"succeeded\"} 1",
        "dfa_queue_duration_seconds_count 2",
        "dfa_attention_strategy_total{strategy=\"full\"}",
    ];
    loop {
        let text = worker.get("/metrics").text();
        let missing: Vec<_> = expected
            .iter()
            .filter(|line| !text.contains(**line))
            .collect();
        if missing.is_empty() {
            return;
        }
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{missing:?} in\n{text}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}
