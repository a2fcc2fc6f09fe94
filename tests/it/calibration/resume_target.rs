//! A calibration with a goal makes several searches. Stopped in any of them, it goes on
//! with all that it had: the same plan, nothing made twice.

use std::path::PathBuf;

use dfa_core::Window;
use dfa_core::cost::PlanCost;
use dfa_core::metric::LossKind;
use dfa_core::search::{Goal, SearchMode};
use dfa_native_worker::calibrate::checkpoint::Settings;
use dfa_native_worker::calibrate::plan_file::{plan_reached, settings};
use dfa_native_worker::calibrate::{
    CalibrateError, CalibrateRequest, Checkpoint, Reached, Saving, Snapshot, Target, calibrate_to,
};
use dfa_native_worker::device::Placement;
use dfa_native_worker::generate::RunError;
use dfa_native_worker::observer::{Event, Observer};
use dfa_native_worker::run_setup::{Purpose, RunSetup, RunSpec};
use dfa_tests::fixtures::shipped_model;
use tempfile::TempDir;

use super::request;

const N_STEPS: usize = 4;

/// Counts the steps of searches and of generations, and stops after so many.
struct StopAfterSteps {
    n_steps: usize,
    most: usize,
}

impl Observer for StopAfterSteps {
    fn event(&mut self, event: Event<'_>) {
        if let Event::StepDone { .. } = event {
            self.n_steps += 1;
        }
    }

    fn is_cancelled(&self) -> bool {
        self.n_steps >= self.most
    }
}

/// A quarter of the shipped model's tokens, with a place for states.
struct Desk {
    setup: RunSetup,
    request: CalibrateRequest,
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let spec = RunSpec {
            model: shipped_model(),
            labels: vec!["3".into(), "8".into()],
            prompts: Vec::new(),
            negative_prompt: None,
            prompt_embeds: None,
            n_images: None,
            purpose: Purpose::Calibrate,
            latents: None,
            step_noise: None,
            size: Some((32, 32)),
            resolution_binning: false,
            n_frames: None,
            fps: None,
            n_steps: Some(N_STEPS),
            sampler: None,
            guidance_scale: Some(3.0),
            seed: 0,
            residual_half: Default::default(),
            placement: Placement::cpu(),
        };
        let setup = RunSetup::prepare(&spec, &|| false).unwrap();
        let window = Window::eighth_of(setup.n_tokens());
        Self {
            setup,
            request: request(LossKind::Relative, 0.0, SearchMode::Exact, window),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("plan.json.state")
    }

    fn settings(&self, goal: Goal) -> Settings {
        settings(&self.setup, &self.request, Some(goal))
    }

    /// What was reached, and the steps that were made for it.
    fn reach(
        &self,
        goal: Goal,
        (resume, most): (bool, usize),
    ) -> (Result<Reached, CalibrateError>, usize) {
        let target = Target {
            setup: &self.setup,
            request: &self.request,
            goal,
        };
        let saving = Saving {
            path: &self.state(),
            settings: &self.settings(goal),
            resume,
        };
        let mut observer = StopAfterSteps { n_steps: 0, most };
        let reached = calibrate_to(target, Some(&saving), &mut observer);
        (reached, observer.n_steps)
    }

    fn saved(&self, goal: Goal) -> Checkpoint {
        Checkpoint::load(&self.state(), &self.settings(goal)).unwrap()
    }
}

fn is_cancelled(reached: &Result<Reached, CalibrateError>) -> bool {
    matches!(reached, Err(CalibrateError::Run(RunError::Cancelled)))
}

/// `n_again`: steps of raw images, which are made anew because they are not saved.
fn check_resumed(goal: &str, n_again: usize) {
    let (desk, goal) = (Desk::new(), goal.parse().unwrap());
    let (whole, n_whole) = desk.reach(goal, (false, usize::MAX));
    let whole = whole.unwrap();
    let text = |reached: &Reached| plan_reached(&desk.setup, reached).to_json().unwrap();
    assert!(whole.n_searches >= 3, "{goal}: {}", whole.n_searches);
    let (finished, n_steps) = desk.reach(goal, (true, usize::MAX));
    let finished = finished.unwrap();
    assert_eq!(text(&finished), text(&whole), "{goal}, finished");
    assert_eq!((n_steps, finished.n_block_evaluations), (n_again, 0.0));
    // In the first search, at its end, in a later one or between two, in the last.
    let first = n_again + N_STEPS;
    for n_done in [n_again + 1, first, n_whole / 2, n_whole - 2] {
        let (stopped, n_stopped) = desk.reach(goal, (false, n_done));
        assert!(is_cancelled(&stopped), "{goal}, stopped after {n_done}");
        assert_eq!(n_stopped, n_done);
        let (resumed, n_resumed) = desk.reach(goal, (true, usize::MAX));
        let resumed = resumed.unwrap();
        assert_eq!(text(&resumed), text(&whole), "{goal}, after {n_done}");
        assert_eq!(resumed.n_searches, whole.n_searches, "{goal}, {n_done}");
        assert_eq!(resumed.suited, whole.suited, "{goal}, after {n_done}");
        // An estimate that was not finished is made anew, a search never.
        let n_most = n_whole - n_done + n_again + N_STEPS - 1;
        let is_fresh = n_resumed + n_done == n_whole + n_again;
        assert!(
            is_fresh || (n_again > 0 && n_resumed <= n_most),
            "{goal}, after {n_done} of {n_whole}: {n_resumed} steps"
        );
    }
}

#[test]
fn a_goal_of_macs_stopped_anywhere_is_reached_by_the_identical_plan() {
    check_resumed("macs=40%", 0);
}

#[test]
fn a_goal_of_psnr_stopped_anywhere_is_reached_by_the_identical_plan() {
    check_resumed("psnr>=30", N_STEPS);
}

/// Measured anew, it could be another one.
#[test]
fn the_share_that_a_speedup_is_predicted_from_is_kept() {
    let (desk, goal) = (Desk::new(), "speedup=1.05".parse().unwrap());
    let (stopped, _) = desk.reach(goal, (false, N_STEPS + 1));
    assert!(is_cancelled(&stopped));
    let Checkpoint {
        earlier,
        latest,
        mut measured,
    } = desk.saved(goal);
    assert_eq!(earlier.len(), 1);
    assert_eq!(latest.record.shape().n_steps, 1);
    // No model spends so much of its time there.
    *measured.get_mut("attention_share").unwrap() = 0.99;
    let snapshot = Snapshot {
        request: &desk.request,
        earlier: &earlier,
        measured: &measured,
        latest: (&latest.record, &latest.state),
    };
    snapshot.save(&desk.state(), &desk.settings(goal)).unwrap();
    let (resumed, _) = desk.reach(goal, (true, usize::MAX));
    let resumed = resumed.unwrap();
    let cost = PlanCost::of(&resumed.calibration.plan, desk.setup.layer_shape(), true);
    let predicted = 1.0 / (1.0 - 0.99 * (1.0 - cost.layer_kept_share()));
    assert_eq!(resumed.suited.value, predicted);
}

#[test]
fn a_state_of_another_goal_is_refused() {
    let (desk, goal) = (Desk::new(), "macs=60%".parse().unwrap());
    let (stopped, _) = desk.reach(goal, (false, 1));
    assert!(is_cancelled(&stopped));
    let check = |asked: Option<Goal>, expected: &[&str]| {
        let path = desk.state();
        let settings = settings(&desk.setup, &desk.request, asked);
        let Err(error) = Checkpoint::load(&path, &settings) else {
            panic!("{asked:?} must be refused");
        };
        for part in expected {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
    };
    let other = "macs=50%".parse().ok();
    check(other, &["target: saved macs=60%, now macs=50%"]);
    let none = &[
        "target: saved macs=60%, now nothing",
        "threshold: saved nothing, now 0",
    ];
    check(None, none);
}
