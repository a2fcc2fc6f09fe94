//! Jobs, plans, artifacts and images over HTTP, run by the shipped model.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use dfa_tests::worker::{Answer, TestWorker};
use serde_json::{Value, json};

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

/// Name and id of the events of a stream, until it ends.
fn events(worker: &TestWorker, path: &str, after: Option<&str>) -> Vec<(String, u64)> {
    let headers = after.map(|id| ("last-event-id", id));
    let answer = worker.ask("GET", &format!("{path}/events"), headers.as_slice(), "");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "text/event-stream");
    let text = answer.text();
    let frames = text.split("\n\n").filter(|frame| frame.contains("data: "));
    let field = |frame: &str, name: &str| {
        let found = frame.lines().find_map(|line| line.strip_prefix(name));
        found
            .unwrap_or_else(|| panic!("{frame} has no {name}"))
            .to_owned()
    };
    let named = frames.map(|frame| {
        (
            field(frame, "event: "),
            field(frame, "id: ").parse().unwrap(),
        )
    });
    named.collect()
}

#[test]
fn events_begin_with_a_snapshot_resume_and_end() {
    let worker = TestWorker::start();
    let calibrate = json!({"kind": "calibrate", "model": "avatars-dit", "labels": [1], "n_images": 1, "steps": 3});
    let job = submitted(&worker, &calibrate);
    let path = path_of(&job);
    let all = events(&worker, &path, None);
    assert_eq!(all[0], ("snapshot".into(), 0));
    let ids: Vec<u64> = all[1..].iter().map(|(_, id)| *id).collect();
    let expected: Vec<u64> = (1..=ids.len() as u64).collect();
    assert_eq!(ids, expected, "no event is lost, none comes twice");
    let n_decisions = all.iter().filter(|(name, _)| name == "decision").count();
    assert_eq!(n_decisions, 18, "3 steps of 6 blocks: {all:?}");
    assert_eq!(all[all.len() - 1].0, "status");
    let cut = all.len() / 2;
    let resumed = events(&worker, &path, Some(&all[cut].1.to_string()));
    assert_eq!(resumed[0], ("snapshot".into(), all[cut].1));
    assert_eq!(resumed[1..], all[cut + 1..], "the rest, from the log");
    let last = all[all.len() - 1].1.to_string();
    assert_eq!(
        events(&worker, &path, Some(&last)).len(),
        1,
        "only the snapshot"
    );
}

#[test]
fn streams_say_that_they_live() {
    let worker = TestWorker::start_with(|mut settings| {
        settings.http.ping_interval = Duration::from_millis(100);
        // A stream lasts longer than a head may take.
        settings.http.head_timeout = Duration::from_millis(200);
        settings
    });
    let long = submitted(&worker, &generate(500));
    let waiting = submitted(&worker, &generate(2));
    let mut stream = TcpStream::connect(worker.address).unwrap();
    let head = format!(
        "GET {}/events HTTP/1.1\r\nhost: localhost\r\n\r\n",
        path_of(&waiting)
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let mut pings = lines.by_ref().filter(|line| line == ": ping");
    assert!(pings.nth(4).is_some(), "no pings came");
    // A watcher that goes away cancels nothing.
    drop(lines);
    assert_eq!(worker.get(&path_of(&waiting)).json()["state"], "queued");
    worker.post(&format!("{}/cancel", path_of(&long)), &json!({}));
    assert_eq!(ended(&worker, &waiting)["state"], "succeeded");
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
fn plans_are_made_brought_written_and_decided_again() {
    let worker = TestWorker::start();
    let calibrate = json!({"kind": "calibrate", "model": "avatars-dit", "labels": [1, 2], "n_images": 2,
        "steps": 4, "guidance_scale": 3, "threshold": "D6", "search": "record-all"});
    let job = succeeded(&worker, &calibrate);
    let id = job["result"]["plan"].as_str().unwrap().to_owned();
    let path = format!("/v1/plans/{id}");
    let file = worker.get(&path);
    assert_eq!(
        (file.status, &file.json()["format"]),
        (200, &json!("dfa-plan"))
    );
    let csv = worker.get(&format!("{path}.csv"));
    assert!(
        csv.header("content-type").starts_with("text/csv"),
        "{}",
        csv.text()
    );
    assert_eq!(worker.get(&format!("{path}.xdit.json")).status, 200);
    let listed = worker.get("/v1/plans").json();
    assert_eq!(listed["plans"][0]["id"], json!(id));

    let same = worker.post("/v1/plans", &file.json());
    assert_eq!(
        (same.status, &same.json()["is_new"]),
        (200, &json!(false)),
        "the library has it already"
    );
    let as_csv = [("content-type", "text/csv")];
    let brought = worker.ask("POST", "/v1/plans?n_tokens=256", &as_csv, csv.body.clone());
    assert_eq!(brought.status, 201, "{}", brought.text());
    let again = worker.ask("POST", "/v1/plans?n_tokens=256", &as_csv, csv.body);
    assert_eq!(
        (again.status, &again.json()["is_new"]),
        (200, &json!(false))
    );

    let decide = |threshold: Value| {
        worker.post(
            &format!("{path}/redecide"),
            &json!({"threshold": threshold}),
        )
    };
    let exact = decide(json!("D6")).json();
    assert_eq!(
        (&exact["is_estimate"], &exact["changed"]),
        (&json!(false), &json!([])),
        "{exact}"
    );
    let all_full = decide(json!(0)).json();
    assert_eq!(
        all_full["plan"]["edited_from"].as_str().map(str::len),
        Some(64),
        "{all_full}"
    );
    for bad in [json!(-1), json!("D9"), json!(null), json!([1])] {
        assert_code(&decide(bad), 400, "invalid_request");
    }
    let bare = format!(
        "/v1/plans/{}/redecide",
        brought.json()["plan"]["id"].as_str().unwrap()
    );
    let refused = worker.post(&bare, &json!({"threshold": 1}));
    assert!([200, 409].contains(&refused.status), "{}", refused.text());

    let compare = json!({"kind": "compare", "model": "avatars-dit", "plan": id, "labels": [1], "n_images": 1});
    let report = succeeded(&worker, &compare)["result"]["report"].clone();
    assert_eq!(report["format"], "dfa-report");
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

#[test]
fn images_come_in_openais_shape() {
    let worker = TestWorker::start();
    let ask = |more: Value| {
        let mut body = json!({"prompt": "1", "num_inference_steps": 2, "seed": 7});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let answer = worker.post("/v1/images/generations", &body);
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        answer.json()
    };
    let by_url = ask(json!({}));
    assert_eq!(by_url["warnings"], json!([]));
    let url = by_url["data"][0]["url"].as_str().unwrap();
    let path = url.strip_prefix(&worker.url("")).unwrap();
    let picture = worker.get(path).body;
    assert!(picture.starts_with(PNG));
    let in_line = ask(
        json!({"response_format": "b64_json", "n": 2, "model": "avatars-dit", "quality": "high",
        "negative_prompt": "blur", "user": "me", "size": "auto", "plan": "none", "guidance_scale": 4}),
    );
    let images = in_line["data"].as_array().unwrap();
    let decoded: Vec<Vec<u8>> = images
        .iter()
        .map(|image| BASE64.decode(image["b64_json"].as_str().unwrap()).unwrap())
        .collect();
    assert_eq!(decoded[0], picture, "the same seed gives the same image");
    assert_ne!(decoded[1], picture);
    let warnings = in_line["warnings"].to_string();
    assert!(
        warnings.contains("quality") && warnings.contains("negative_prompt"),
        "{warnings}"
    );
}

#[test]
fn a_client_of_the_synchronous_route_that_goes_away_cancels() {
    let worker = TestWorker::start();
    let body = json!({"prompt": "1", "num_inference_steps": 500}).to_string();
    let mut stream = TcpStream::connect(worker.address).unwrap();
    let head = format!(
        "POST /v1/images/generations HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let start = Instant::now();
    let jobs = || worker.get("/v1/jobs").json()["jobs"].clone();
    while jobs()[0].is_null() {
        assert!(start.elapsed() < Duration::from_secs(10), "no job came");
        std::thread::sleep(Duration::from_millis(10));
    }
    stream
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    stream.read_exact(&mut [0]).unwrap_err();
    drop(stream);
    assert_eq!(ended(&worker, &jobs()[0])["state"], "cancelled");
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
