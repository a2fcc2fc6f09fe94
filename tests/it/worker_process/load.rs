//! Many readers, and many jobs: nobody is refused, and memory does not grow. How fast that
//! is depends on the machine, so it is printed, and noted in `docs/results.md`:
//!
//! ```sh
//! cargo test --release -p dfa-tests --test it -- --nocapture --test-threads 1 worker_process::load
//! ```

#![allow(clippy::print_stdout, reason = "it measures, too")]

use std::time::{Duration, Instant};

use dfa_tests::client::Client;
use dfa_tests::worker_process::WorkerProcess;
use serde_json::json;

use super::{ended, generate, submit};

const N_READERS: usize = 200;
const TIME: Duration = Duration::from_secs(5);

/// Asks for a job again and again on one connection, with a pause: the answers' times.
fn read(client: &Client, path: &str, pause: Duration) -> Vec<Duration> {
    let start = Instant::now();
    let mut times = Vec::new();
    while start.elapsed() < TIME {
        let asked = Instant::now();
        let answer = client.get(path);
        times.push(asked.elapsed());
        assert_eq!(answer.status, 200, "{}", answer.text());
        std::thread::sleep(pause);
    }
    times
}

fn read_by_many(worker: &WorkerProcess, path: &str, pause: Duration) {
    let mut times: Vec<Duration> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..N_READERS)
            .map(|_| {
                let client = Client::new(worker.client.address);
                scope.spawn(move || read(&client, path, pause))
            })
            .collect();
        let times = readers
            .into_iter()
            .flat_map(|reader| reader.join().unwrap());
        times.collect()
    });
    times.sort();
    let share = |per_cent: usize| times[(times.len() - 1) * per_cent / 100];
    println!(
        "{N_READERS} readers, pause {pause:?}: {} answers, p50 {:.1?}, p99 {:.1?}, longest {:.1?}",
        times.len(),
        share(50),
        share(99),
        share(100)
    );
}

#[test]
fn two_hundred_readers_are_answered_while_a_job_runs() {
    let folder = tempfile::tempdir().unwrap();
    let worker = WorkerProcess::start(folder.path());
    let mut long = generate(500, 1);
    long["n_images"] = json!(8);
    let id = submit(&worker.client, &long);
    let path = format!("/v1/jobs/{id}");
    for pause in [Duration::from_secs(1), Duration::ZERO] {
        read_by_many(&worker, &path, pause);
    }
    let job = worker.client.get(&path).json();
    assert_eq!(job["state"], "running", "it ran all the time: {job}");
    worker.client.post(&format!("{path}/cancel"), &json!({}));
    assert_eq!(ended(&worker.client, &id)["state"], "cancelled");
}

/// Memory in use, in MiB.
#[cfg(target_os = "linux")]
fn resident_mib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    kib.unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
#[cfg(target_os = "linux")]
fn memory_stays_flat_over_five_hundred_jobs() {
    const N_ROUNDS: u32 = 10;
    const N_JOBS: u32 = 50;
    let folder = tempfile::tempdir().unwrap();
    let worker = WorkerProcess::start(folder.path());
    let mut sizes = Vec::new();
    for round in 0..N_ROUNDS {
        let seeds = round * N_JOBS..(round + 1) * N_JOBS;
        let ids: Vec<_> = seeds
            .map(|seed| submit(&worker.client, &generate(1, seed)))
            .collect();
        for id in ids {
            assert_eq!(ended(&worker.client, &id)["state"], "succeeded");
        }
        sizes.push(resident_mib(worker.id()));
    }
    println!("MiB after every {N_JOBS} jobs: {sizes:?}");
    let (early, last) = (sizes[1], sizes[sizes.len() - 1]);
    assert!(last <= early + early / 10 + 8, "{sizes:?}");
}
