//! `dfa submit`, `dfa jobs` and `dfa watch` against a worker.

use dfa_tests::dfa_command::{Finished, run_dfa};
use dfa_tests::worker_process::WorkerProcess;

use super::{generate, job, submit};

fn ask(worker: &WorkerProcess, args: &[&str]) -> Finished {
    let url = worker.client.url("");
    run_dfa(&[args, &["--url", &url]].concat())
}

#[test]
fn a_job_is_submitted_watched_listed_and_fetched() {
    let folder = tempfile::tempdir().unwrap();
    let worker = WorkerProcess::start(&folder.path().join("data"));
    let out = folder.path().join("out");
    let fields = ["model=avatars-dit", "labels=1", "n_images=1", "steps=2"];
    let watch = ["--watch", "-o", out.to_str().unwrap()];
    let args = [&["submit", "generate"][..], &fields, &watch].concat();
    let done = ask(&worker, &args);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stderr.contains("succeeded"), "{}", done.stderr);
    let listed = ask(&worker, &["jobs"]);
    assert_eq!((listed.code, listed.stdout.lines().count()), (Some(0), 1));
    let id = listed.stdout.split_whitespace().next().unwrap();
    check_files(&worker, id, &out);
    // A job that has ended is watched too.
    let again = folder.path().join("again");
    let watched = ask(&worker, &["watch", id, "-o", again.to_str().unwrap()]);
    assert_eq!(watched.code, Some(0), "{}", watched.stderr);
    check_files(&worker, id, &again);
    let shown = ask(&worker, &["jobs", "show", id]);
    assert!(shown.stdout.contains(id), "{}", shown.stdout);
}

fn check_files(worker: &WorkerProcess, id: &str, folder: &std::path::Path) {
    let job = job(&worker.client, id);
    let artifacts = job["result"]["artifacts"].as_array().unwrap();
    for artifact in artifacts {
        let kept = worker.client.get(artifact["href"].as_str().unwrap()).body;
        let name = artifact["name"].as_str().unwrap();
        assert_eq!(std::fs::read(folder.join(name)).unwrap(), kept, "{name}");
    }
    let n_written = std::fs::read_dir(folder).unwrap().count();
    assert_eq!(n_written, artifacts.len());
}

#[test]
fn jobs_without_a_result_are_failures() {
    let folder = tempfile::tempdir().unwrap();
    let worker = WorkerProcess::start(folder.path());
    let id = submit(&worker.client, &generate(500, 1));
    let cancelled = ask(&worker, &["jobs", "cancel", &id]);
    assert_eq!(cancelled.code, Some(0), "{}", cancelled.stderr);
    let watched = ask(&worker, &["watch", &id]);
    assert_eq!(watched.code, Some(1), "{}", watched.stderr);
    assert!(watched.stderr.contains("cancelled"), "{}", watched.stderr);
    let unknown = ask(&worker, &["watch", "019abc12-3456-7890-abcd-ef0123456789"]);
    assert_eq!(unknown.code, Some(2), "{}", unknown.stderr);
    let refused = ask(&worker, &["submit", "generate", "model=nothing"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("no such model"),
        "{}",
        refused.stderr
    );
}
