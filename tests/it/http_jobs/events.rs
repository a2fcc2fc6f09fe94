//! Events as a stream.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use dfa_tests::worker::TestWorker;
use serde_json::json;

use super::{ended, generate, path_of, submitted};

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
