//! Events over connections that are cut, and over a worker that dies.

use dfa_tests::client::{Client, StreamEvent};
use dfa_tests::worker_process::WorkerProcess;

use super::{N_STEPS, calibrate, submit};

/// Reads this many events of the log and cuts the connection.
fn read_some(client: &Client, id: &str, seen: &mut Vec<StreamEvent>, n_events: usize) {
    let after = seen.last().map_or(0, |event| event.id);
    let mut events = client.events(id, after);
    let snapshot = events.next().unwrap();
    assert_eq!((snapshot.name.as_str(), snapshot.id), ("snapshot", after));
    assert_eq!(snapshot.data["id"], id);
    seen.extend(events.take(n_events));
}

#[test]
fn a_stream_that_is_cut_goes_on_without_gap_or_double() {
    let folder = tempfile::tempdir().unwrap();
    let worker = WorkerProcess::start(folder.path());
    let id = submit(&worker.client, &calibrate(N_STEPS));
    let mut seen = Vec::new();
    for n_events in [1, 2, 3] {
        read_some(&worker.client, &id, &mut seen, n_events);
    }
    assert_eq!(seen.len(), 6);
    worker.kill();
    let worker = WorkerProcess::start(folder.path());
    read_some(&worker.client, &id, &mut seen, 5);
    // To the end, which the worker makes.
    read_some(&worker.client, &id, &mut seen, usize::MAX);
    let ids: Vec<u64> = seen.iter().map(|event| event.id).collect();
    assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>());
    let states = seen.iter().filter_map(|event| event.data["state"].as_str());
    let expected = ["queued", "running", "queued", "running", "succeeded"];
    assert_eq!(states.collect::<Vec<_>>(), expected);
    assert_eq!(seen[seen.len() - 1].data["state"], "succeeded");
    let mut all = Vec::new();
    read_some(&worker.client, &id, &mut all, usize::MAX);
    assert_eq!(all, seen, "the log says what was sent");
}
