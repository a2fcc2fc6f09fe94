//! kill -9 in a loop during a mixed queue: every accepted job ends exactly once, with the
//! result of an undisturbed run.
//!
//! A job whose worker died twice fails, by rule. So that most jobs end with a result, a job
//! that died once is left alone until it has ended, except before every fifth kill.

#![allow(
    clippy::print_stdout,
    reason = "a failure says which kills it was, as libtest captures it"
)]

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use dfa_core::wire::ContentHash;
use dfa_tests::client::{Client, StreamEvent};
use dfa_tests::worker_process::WorkerProcess;
use serde_json::{Value, json};

use super::{calibrate, ended, generate};

const N_KILLS: usize = 20;
/// So many jobs wait while another runs, however fast the machine is.
const N_WAITING: usize = 2;

/// Random numbers (SplitMix64).
struct Dice(u64);

impl Dice {
    /// Another seed each time, unless the environment names one.
    fn new() -> Self {
        let named = std::env::var("DFA_TESTS_SEED").ok();
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos();
        let seed = named.map_or(u64::from(now), |text| text.parse().unwrap());
        println!("DFA_TESTS_SEED={seed}");
        Self(seed)
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Duration::from_millis(from + (mixed ^ (mixed >> 31)) % (to - from))
    }
}

/// A request of the mix, and what an undisturbed worker makes of it.
struct Model {
    request: Value,
    made: Made,
}

/// The files of a job that do not depend on the clock: pictures and plan, by name.
type Made = Vec<(String, Vec<u8>)>;

fn made(client: &Client, job: &Value) -> Made {
    let artifacts = job["result"]["artifacts"].as_array().unwrap().iter();
    let kept = artifacts.filter(|file| file["media_type"] == "image/png" || file["role"] == "plan");
    let read = kept.map(|file| {
        let answer = client.get(file["href"].as_str().unwrap());
        assert_eq!(answer.status, 200, "{file}");
        let hash = ContentHash::of(&answer.body).to_string();
        assert_eq!(file["hash"], hash, "{file}");
        (file["name"].as_str().unwrap().to_owned(), answer.body)
    });
    read.collect()
}

/// The requests of the mix with their results, and the plan that comparisons need.
fn undisturbed() -> (Vec<Model>, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let worker = WorkerProcess::start(folder.path());
    let client = &worker.client;
    let run = |request: Value| {
        let job = ended(client, &super::submit(client, &request));
        assert_eq!(job["state"], "succeeded", "{job}");
        let made = made(client, &job);
        assert!(!made.is_empty(), "{job}");
        Model { request, made }
    };
    let calibration = run(calibrate(3));
    let plan = calibration.made[0].1.clone();
    let plan_id = ContentHash::of(&plan).to_string();
    let compare = json!({"kind": "compare", "model": "avatars-dit", "plan": plan_id, "labels": [2], "n_images": 1});
    let models = vec![
        run(generate(2, 1)),
        calibration,
        run(generate(3, 2)),
        run(compare),
        run(calibrate(2)),
    ];
    (models, plan)
}

/// A request on its way: sent again with the same key until a worker has accepted it.
struct Sent<'a> {
    key: String,
    model: &'a Model,
    id: Option<String>,
}

impl<'a> Sent<'a> {
    /// The job of this number, of the next kind in turn.
    fn new(n: usize, models: &'a [Model]) -> Self {
        Self {
            key: format!("job {n}"),
            model: &models[n % models.len()],
            id: None,
        }
    }

    /// Nothing is known of a request whose worker died before it answered.
    fn send(&mut self, client: &Client) {
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", self.key.as_str()),
        ];
        let body = self.model.request.to_string();
        let Ok(answer) = client.try_ask("POST", "/v1/jobs", &headers, body) else {
            return;
        };
        assert_eq!(answer.status, 202, "{}", answer.text());
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        if let Some(known) = &self.id {
            assert_eq!(
                (&id, answer.header("idempotency-replayed")),
                (known, "true")
            );
        }
        self.id = Some(id);
    }
}

/// Waits until no job waits or runs whose worker died.
fn until_survivors_ended(client: &Client) {
    let died_once = |job: &Value| match job["state"].as_str() {
        Some("queued") => job["attempts"] == 1,
        Some("running") => job["attempts"] == 2,
        _ => false,
    };
    let start = Instant::now();
    loop {
        let list = client.get("/v1/jobs?limit=200").json();
        if !list["jobs"].as_array().unwrap().iter().any(died_once) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{list}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Keeps the queue filled until the worker dies.
fn keep_filled<'a>(client: &Client, models: &'a [Model], all: &mut Vec<Sent<'a>>) {
    let unsure = all.iter_mut().filter(|sent| sent.id.is_none());
    unsure.for_each(|sent| sent.send(client));
    while let Ok(answer) = client.try_ask("GET", "/v1/jobs?status=queued", &[], "") {
        let n_waiting = answer.json()["jobs"].as_array().map_or(0, Vec::len);
        if n_waiting < N_WAITING {
            let mut sent = Sent::new(all.len(), models);
            sent.send(client);
            all.push(sent);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn twenty_kills_lose_nothing_and_double_nothing() {
    let mut dice = Dice::new();
    let (models, plan) = undisturbed();
    let folder = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    for n_kill in 0..N_KILLS {
        let worker = WorkerProcess::start(folder.path());
        if n_kill == 0 {
            import(&worker.client, &plan);
        }
        if n_kill % 5 != 4 {
            until_survivors_ended(&worker.client);
        }
        let client = worker.client.clone();
        std::thread::scope(|scope| {
            scope.spawn(|| keep_filled(&client, &models, &mut all));
            std::thread::sleep(dice.millis(50, 800));
            worker.kill();
        });
    }
    let worker = WorkerProcess::start(folder.path());
    all.iter_mut().for_each(|sent| sent.send(&worker.client));
    let fates: Vec<Fate> = all.iter().map(|sent| fate(&worker.client, sent)).collect();
    check_fates(&worker.client, &fates);
    worker.kill();
    check_files(folder.path());
}

fn import(client: &Client, plan: &[u8]) {
    let json = [("content-type", "application/json")];
    let answer = client.ask("POST", "/v1/plans", &json, plan);
    assert_eq!(answer.status, 201, "{}", answer.text());
}

/// How a job ended.
#[derive(Debug)]
struct Fate {
    kind: String,
    n_deaths: usize,
    has_succeeded: bool,
}

fn fate(client: &Client, sent: &Sent<'_>) -> Fate {
    let id = sent.id.as_deref().unwrap();
    let job = ended(client, id);
    let events: Vec<_> = client.events(id, 0).skip(1).collect();
    check_log(&events);
    let died = |event: &&StreamEvent| event.data["error"]["code"] == "worker_died";
    let n_deaths = events.iter().filter(died).count();
    match job["state"].as_str().unwrap() {
        "succeeded" => {
            assert!(n_deaths <= 1, "{job}");
            assert_eq!(job["attempts"], 1 + n_deaths, "{job}");
            assert!(
                made(client, &job) == sent.model.made,
                "another result: {job}"
            );
            check_resumption(&events);
        }
        "failed" => {
            let found = (&job["error"]["code"], n_deaths, &job["attempts"]);
            assert_eq!(found, (&json!("worker_died"), 2, &json!(2)), "{job}");
        }
        other => panic!("{other}: {job}"),
    }
    Fate {
        kind: job["kind"].as_str().unwrap().to_owned(),
        n_deaths,
        has_succeeded: job["state"] == "succeeded",
    }
}

fn check_log(events: &[StreamEvent]) {
    let ids: Vec<u64> = events.iter().map(|event| event.id).collect();
    let expected: Vec<u64> = (1..=ids.len() as u64).collect();
    assert_eq!(ids, expected, "no event is lost, none comes twice");
    let is_end = |event: &StreamEvent| {
        let state = event.data["state"].as_str().unwrap_or("");
        event.name == "status" && ["succeeded", "failed", "cancelled"].contains(&state)
    };
    let ends: Vec<usize> = (0..events.len()).filter(|&n| is_end(&events[n])).collect();
    assert_eq!(ends, [events.len() - 1], "it ends once, at the end");
}

/// A calibration that is begun again goes on with the step in which it died.
fn check_resumption(events: &[StreamEvent]) {
    let death = events
        .iter()
        .position(|event| !event.data["error"].is_null());
    let (before, after) = events.split_at(death.unwrap_or(events.len()));
    let step = |event: &StreamEvent| event.data["step"].as_u64().unwrap();
    let decided = |event: &&StreamEvent| event.name == "decision";
    let last_before = before.iter().rfind(decided).map(step);
    let first_after = after.iter().find(decided).map(step);
    if let (Some(before), Some(after)) = (last_before, first_after) {
        assert!(after >= before, "step {after} again, after step {before}");
    }
}

fn check_fates(client: &Client, fates: &[Fate]) {
    let n_deaths: usize = fates.iter().map(|fate| fate.n_deaths).sum();
    let n_failed = fates.iter().filter(|fate| !fate.has_succeeded).count();
    println!(
        "{n_deaths} of {N_KILLS} kills hit a running job; {n_failed} of {} jobs failed",
        fates.len()
    );
    assert!(n_deaths >= N_KILLS / 2, "the kills missed: {fates:?}");
    // Only one kill in five may hit a job twice.
    assert!(n_failed <= N_KILLS / 5, "{fates:?}");
    let survived = |kind: &str| {
        let mut of_kind = fates.iter().filter(|fate| fate.kind == kind);
        of_kind.any(|fate| fate.n_deaths == 1 && fate.has_succeeded)
    };
    assert!(survived("calibrate") && survived("generate"), "{fates:?}");
    let n_known = client.get("/v1/jobs?limit=200").json()["jobs"]
        .as_array()
        .map(Vec::len);
    assert_eq!(
        n_known,
        Some(fates.len().min(200)),
        "a request became two jobs"
    );
}

/// Nothing lies in the data folder but whole files under their own names.
fn check_files(data_dir: &Path) {
    let mut names: Vec<_> = list(data_dir).into_iter().map(|(name, _)| name).collect();
    names.retain(|name| !name.starts_with("jobs.sqlite"));
    names.sort();
    assert_eq!(names, ["artifacts", "lock", "states"]);
    assert!(
        list(&data_dir.join("states")).is_empty(),
        "a state was left"
    );
    for (_, folder) in list(&data_dir.join("artifacts")) {
        for (name, path) in list(&folder) {
            let hash = ContentHash::of(&std::fs::read(&path).unwrap());
            assert_eq!(hash.to_string(), name, "{}", path.display());
        }
    }
}

fn list(folder: &Path) -> Vec<(String, std::path::PathBuf)> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .collect()
}
