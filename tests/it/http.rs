//! The worker over HTTP, without running anything: who may ask, what is refused and how,
//! and the routes for operations. Each test is a table over the real router.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use dfa_tests::worker::{Answer, TestWorker};
use serde_json::json;

mod description;
mod refusals;

const JSON: (&str, &str) = ("content-type", "application/json");

fn assert_refused(answer: &Answer, status: u16, code: &str, row: &str) {
    let found = (answer.status, answer.error_code());
    assert_eq!(
        found,
        (status, Some(code.into())),
        "{row}: {}",
        answer.text()
    );
}
#[test]
fn methods_that_are_there_are_named() {
    let answer = TestWorker::start().ask("PATCH", "/v1/jobs", &[], "");
    assert_eq!(answer.status, 405);
    let allowed = answer.header("allow");
    assert!(
        allowed.contains("GET") && allowed.contains("POST"),
        "{allowed:?}"
    );
}

#[test]
fn bodies_are_limited_before_they_are_kept() {
    let worker = TestWorker::start_with(|mut settings| {
        settings.http.payload_limit_bytes = 1000;
        settings.http.request_timeout = Duration::from_millis(500);
        settings
    });
    let large = "x".repeat(1001);
    let answer = worker.ask("POST", "/v1/jobs", &[JSON], large.as_str());
    assert_refused(&answer, 413, "body_too_large", "announced");
    let head = "POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let chunked = format!(
        "{head}transfer-encoding: chunked\r\nconnection: close\r\n\r\n3e9\r\n{large}\r\n0\r\n\r\n"
    );
    let answer = worker.raw(chunked.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let announced = format!("{head}content-length: 99999999999\r\nconnection: close\r\n\r\n");
    let answer = worker.raw(announced.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    // A body that never comes.
    let never = format!("{head}content-length: 10\r\nconnection: close\r\n\r\n{{");
    let answer = worker.raw(never.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("request_timeout"), "{answer}");
}

#[test]
fn a_head_that_never_ends_is_not_waited_for() {
    let worker = TestWorker::start_with(|mut settings| {
        settings.http.head_timeout = Duration::from_millis(300);
        settings
    });
    for part in ["", "GET /ping HTTP/1.1\r\nhost: local"] {
        let mut stream = TcpStream::connect(worker.address).unwrap();
        let patience = Duration::from_secs(10);
        stream.set_read_timeout(Some(patience)).unwrap();
        stream.write_all(part.as_bytes()).unwrap();
        // The worker closes; a read that times out is an error.
        stream.read_to_end(&mut Vec::new()).unwrap();
    }
    assert_eq!(worker.get("/ping").status, 200, "a new connection is taken");
}

#[test]
fn keys_are_needed_where_there_are_some() {
    let worker = TestWorker::start_with(|settings| settings.with_keys(&["first", "second"]));
    let check = |path: &str, key: Option<&str>, expected: u16| {
        let bearer = key.map(|key| ("authorization", key));
        let answer = worker.ask("GET", path, bearer.as_slice(), "");
        assert_eq!(answer.status, expected, "{path} {key:?}: {}", answer.text());
        if expected == 401 {
            assert_refused(&answer, 401, "invalid_api_key", path);
            assert!(answer.header("www-authenticate").starts_with("Bearer"));
        }
    };
    check("/v1/models", None, 401);
    check("/v1/models", Some("Bearer wrong"), 401);
    check("/v1/models", Some("Bearer "), 401);
    check("/v1/models", Some("Basic first"), 401);
    check("/v1/models", Some("first"), 401);
    check("/v1/models", Some("Bearer first"), 200);
    check("/v1/models", Some("bearer second"), 200);
    check("/nothing", None, 401);
    check("/info", None, 401);
    for open in [
        "/health",
        "/v2/health/live",
        "/ping",
        "/openapi.json",
        "/docs/",
    ] {
        check(open, None, 200);
    }
}

#[test]
fn a_key_is_exchanged_for_a_cookie() {
    let worker = TestWorker::start_with(|settings| settings.with_keys(&["secret"]));
    let wrong = worker.post("/login", &json!({"api_key": "guess"}));
    assert_refused(&wrong, 401, "invalid_api_key", "wrong key");
    let login = worker.post("/login", &json!({"api_key": "secret"}));
    assert_eq!(login.status, 204, "{}", login.text());
    let cookie = login.header("set-cookie").to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("secret"), "{cookie}");
    let pair = cookie.split(';').next().unwrap_or_default().to_owned();
    let ask = |path: &str, method: &str| worker.ask(method, path, &[("cookie", &pair)], "");
    assert_eq!(ask("/v1/models", "GET").status, 200);
    assert_eq!(ask("/logout", "POST").status, 204);
    assert_eq!(ask("/v1/models", "GET").status, 401);
}

#[test]
fn other_names_and_other_pages_are_refused() {
    let worker = TestWorker::start();
    let port = worker.address.port();
    let check = |method: &str, host: &str, more: &str, expected: &str| {
        let head =
            format!("{method} /logout HTTP/1.1\r\nhost: {host}\r\n{more}connection: close\r\n\r\n");
        let answer = worker.raw(head.as_bytes());
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {expected}")),
            "{head}{answer}"
        );
    };
    check("POST", "localhost", "", "204");
    check("POST", &format!("127.0.0.1:{port}"), "", "204");
    check("POST", "LOCALHOST:1", "", "204");
    check("POST", "evil.example", "", "403");
    check("GET", "evil.example", "", "403");
    check("POST", "localhost.evil.example", "", "403");
    check("POST", "localhost", "host: evil.example\r\n", "400");
    check(
        "POST",
        "localhost:1",
        "origin: http://localhost:1\r\n",
        "204",
    );
    check(
        "POST",
        "localhost:1",
        "origin: http://localhost:2\r\n",
        "403",
    );
    check(
        "POST",
        "localhost",
        "origin: https://evil.example\r\n",
        "403",
    );
    check("POST", "localhost", "origin: null\r\n", "403");
    check("POST", "localhost", "sec-fetch-site: cross-site\r\n", "403");
}

#[test]
fn answers_tell_browsers_what_not_to_do() {
    let worker = TestWorker::start();
    let answer = worker.ask(
        "GET",
        "/v1/models",
        &[("origin", "https://evil.example")],
        "",
    );
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("access-control-allow-origin"), "");
    let csp = answer.header("content-security-policy");
    assert!(
        csp.contains("default-src 'none'") && csp.contains("'wasm-unsafe-eval'"),
        "{csp}"
    );
    assert!(!csp.contains("unsafe-inline"), "{csp}");
}

#[test]
fn only_listed_origins_may_ask_from_elsewhere() {
    let worker = TestWorker::start_with(|mut settings| {
        settings.http.cors_allow_origins = vec!["https://ui.example".parse().unwrap()];
        settings
    });
    let check = |origin: &str, expected: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
        ];
        for method in ["GET", "OPTIONS"] {
            let answer = worker.ask(method, "/v1/jobs", &headers, "");
            let allowed = answer.header("access-control-allow-origin");
            assert_eq!(allowed, expected, "{method} {origin}");
            assert_eq!(answer.header("access-control-allow-credentials"), "");
        }
    };
    check("https://ui.example", "https://ui.example");
    check("https://evil.example", "");
    check("null", "");
}

#[test]
fn requests_have_ids() {
    let worker = TestWorker::start();
    let own = worker.ask("GET", "/ping", &[("x-request-id", "my-id.7")], "");
    assert_eq!(own.header("x-request-id"), "my-id.7");
    let odd = worker.ask("GET", "/ping", &[("x-request-id", "a b\"c")], "");
    assert_eq!(odd.header("x-request-id").len(), 36);
}

#[test]
fn operations_answer() {
    let worker = TestWorker::start();
    let alive = json!({"status": "ok"});
    let asked = json!({"status": "ok", "device": "cpu"});
    for (path, expected) in [
        ("/health", &asked),
        ("/v2/health/live", &alive),
        ("/v2/health/ready", &asked),
        ("/ping", &alive),
    ] {
        let answer = worker.get(path);
        assert_eq!((answer.status, &answer.json()), (200, expected), "{path}");
    }
    let info = worker.get("/info").json();
    assert_eq!(info["name"], "dfa");
    assert_eq!(info["models"], json!(["avatars-dit"]));
}

#[test]
fn labels_of_metrics_are_bounded() {
    let worker = TestWorker::start();
    for n in 0..50 {
        worker.get(&format!("/made/up/{n}"));
        worker.get(&format!("/v1/models/{n}"));
    }
    let answer = worker.get("/metrics");
    assert!(
        answer
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    let text = answer.text();
    for name in [
        "dfa_build_info{version=",
        "dfa_requests_total{route=\"unmatched\",code=\"404\"} 50",
        "dfa_requests_total{route=\"/v1/models/{id}\",code=\"404\"} 50",
        "dfa_request_failures_total{err=\"model_not_found\"} 50",
        "dfa_request_duration_seconds_bucket{le=\"0.005\",route=\"/v1/models/{id}\"}",
        "dfa_queue_size 0",
        "dfa_jobs_running 0",
        "dfa_jobs_waiting 0",
        "dfa_queue_duration_seconds_count 0",
    ] {
        assert!(text.contains(name), "{name} is not in:\n{text}");
    }
    assert!(!text.contains("/made/up"), "{text}");
}

#[test]
fn a_stopping_worker_ends() {
    let worker = TestWorker::start();
    assert_eq!(worker.get("/ping").status, 200);
    worker.close();
    drop(worker);
}
