//! When the worker does not start, and what it says then.

use dfa_tests::dfa_command::finish;
use dfa_tests::worker_process::{WorkerProcess, serve_command};

#[test]
fn an_address_that_others_reach_needs_a_key() {
    let folder = tempfile::tempdir().unwrap();
    for address in ["0.0.0.0", "::"] {
        let mut command = serve_command(folder.path());
        let refused = finish(command.args(["--hostname", address]));
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        assert!(refused.stderr.contains("--api-key"), "{}", refused.stderr);
    }
    assert!(
        std::fs::read_dir(folder.path()).unwrap().next().is_none(),
        "nothing was written"
    );
}

#[test]
fn a_data_folder_has_one_worker() {
    let folder = tempfile::tempdir().unwrap();
    let worker = WorkerProcess::start(folder.path());
    let refused = finish(&mut serve_command(folder.path()));
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    let words = format!(
        "another worker uses the data folder {}",
        folder.path().display()
    );
    assert!(refused.stderr.contains(&words), "{}", refused.stderr);
    assert_eq!(worker.client.get("/v2/health/ready").status, 200);
    worker.kill();
    WorkerProcess::start(folder.path());
}
