//! `dfa calibrate`, killed or interrupted, goes on to the plan of an undisturbed run.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::{Desk, assert_refused, done};

/// A quarter of the model's tokens, to be quick; record-all, so that every step takes long
/// enough to be stopped in.
const CALIBRATE: &str = "calibrate --model models/avatars-dit --labels 3,8 --size 32x32 --steps 6 \
                         --guidance 3 --threshold D4 --search record-all -o";
const PATIENCE: Duration = Duration::from_secs(120);

impl Desk {
    fn calibrate(&self, flags: &str) -> Command {
        self.heard(&format!("{CALIBRATE} @plan.json {flags}"))
    }

    fn heard(&self, line: &str) -> Command {
        let mut command = self.command(line);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// Steps that a saved state holds, those of earlier searches included; 0 if there is none
/// yet.
fn n_saved_steps(state: &Path) -> usize {
    let Ok(bytes) = std::fs::read(state) else {
        return 0;
    };
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let header = header.metadata().clone().unwrap();
    let mut searches: Vec<String> = serde_json::from_str(&header["earlier"]).unwrap();
    searches.push(header["plan"].clone());
    let n_steps = searches.iter().map(|plan| {
        let plan: serde_json::Value = serde_json::from_str(plan).unwrap();
        plan["strategies"].as_array().unwrap().len()
    });
    n_steps.sum()
}

/// Waits until so many steps are saved, while the process runs.
fn wait_for_steps(child: &mut Child, state: &Path, n_steps: usize) {
    let start = Instant::now();
    while n_saved_steps(state) < n_steps {
        assert_eq!(
            child.try_wait().unwrap(),
            None,
            "it ended before step {n_steps}"
        );
        assert!(start.elapsed() < PATIENCE, "step {n_steps} takes too long");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The plan of a run that nobody stopped.
fn undisturbed() -> &'static str {
    static PLAN: OnceLock<String> = OnceLock::new();
    PLAN.get_or_init(|| {
        let desk = Desk::empty();
        done(desk.run(&format!("{CALIBRATE} @plan.json")));
        desk.read("plan.json")
    })
}

#[test]
fn a_killed_calibration_resumes_to_the_identical_plan() {
    let expected = undisturbed();
    for n_steps in [1, 2, 4] {
        let desk = Desk::empty();
        let state = desk.path("plan.json.state");
        let mut child = desk.calibrate("").spawn().unwrap();
        wait_for_steps(&mut child, &state, n_steps);
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), None, "it was killed, it did not end");
        assert!(!desk.path("plan.json").exists(), "{n_steps}");
        done(desk.run(&format!("{CALIBRATE} @plan.json --resume")));
        assert_eq!(
            desk.read("plan.json"),
            expected,
            "killed after step {n_steps}"
        );
        assert!(!state.exists(), "a finished calibration leaves no state");
    }
}

#[test]
fn one_with_a_target_resumes_in_whichever_search_it_was_killed() {
    let line = CALIBRATE.replace("--threshold D4 --search record-all", "--target macs=40%");
    let undisturbed = Desk::empty();
    done(undisturbed.run(&format!("{line} @plan.json")));

    let desk = Desk::empty();
    let state = desk.path("plan.json.state");
    let mut child = desk.heard(&format!("{line} @plan.json")).spawn().unwrap();
    wait_for_steps(&mut child, &state, 8);
    child.kill().unwrap();
    child.wait().unwrap();
    let other = line.replace("macs=40%", "macs=50%");
    assert_refused(
        &desk.run(&format!("{other} @plan.json --resume")),
        2,
        &["target: saved macs=40%, now macs=50%"],
    );
    done(desk.run(&format!("{line} @plan.json --resume")));
    assert_eq!(desk.read("plan.json"), undisturbed.read("plan.json"));
    assert!(!state.exists(), "a finished calibration leaves no state");
}

#[test]
fn a_saved_state_is_neither_overwritten_nor_misused() {
    let desk = Desk::empty();
    let state = desk.path("plan.json.state");
    let mut child = desk.calibrate("").spawn().unwrap();
    wait_for_steps(&mut child, &state, 1);
    child.kill().unwrap();
    child.wait().unwrap();
    let saved = std::fs::read(&state).unwrap();
    let check = |flags: &str, code: i32, expected: &[&str]| {
        let refused = desk.run(&format!("{CALIBRATE} @plan.json {flags}"));
        assert_refused(&refused, code, expected);
        assert_eq!(std::fs::read(&state).unwrap(), saved, "{flags}");
    };
    check("", 2, &["plan.json.state", "add --resume", "--restart"]);
    check(
        "--resume --seed 1 --window 5",
        2,
        &[
            "seed: saved 0, now 1",
            "window: saved 8,8, now 5,5",
            "resume with the same flags",
        ],
    );
    std::fs::write(&state, &saved[..saved.len() - 8]).unwrap();
    let broken = desk.run(&format!("{CALIBRATE} @plan.json --resume"));
    assert_refused(
        &broken,
        1,
        &[
            "plan.json.state",
            "not a usable saved calibration",
            "without --resume",
        ],
    );
}

#[cfg(unix)]
#[test]
fn an_interrupted_calibration_says_how_to_go_on() {
    let desk = Desk::empty();
    let state = desk.path("plan.json.state");
    let mut child = desk.calibrate("").spawn().unwrap();
    wait_for_steps(&mut child, &state, 2);
    let pressed = Instant::now();
    interrupt(&child);
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(1), "{stderr}");
    assert!(stdout.is_empty(), "{stdout:?}");
    assert!(pressed.elapsed() < Duration::from_secs(20), "it stops soon");
    for expected in [
        "stopping after the current block",
        "error: stopped; run the same command with --resume",
        "plan.json.state",
    ] {
        assert!(stderr.contains(expected), "{expected}: {stderr}");
    }
    assert!(!desk.path("plan.json").exists());
    done(desk.run(&format!("{CALIBRATE} @plan.json --resume")));
    assert_eq!(desk.read("plan.json"), undisturbed());
}

/// What Ctrl-C sends.
#[cfg(unix)]
fn interrupt(child: &Child) {
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}
