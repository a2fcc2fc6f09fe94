//! A calibration that was stopped goes on to the plan of an undisturbed one.

use dfa_core::Window;
use dfa_core::metric::LossKind;
use dfa_core::search::SearchMode;
use dfa_native_worker::calibrate::{self, CalibrateError, Checkpoint, CheckpointError, Saving};
use dfa_native_worker::generate::RunError;
use dfa_native_worker::observer::{Event, Observer, Unobserved};
use dfa_tests::engine::TestRun;
use dfa_tests::fixtures::values;

use super::{calibrated, request};

/// Cancels after a number of finished steps, as a kill would.
struct StopAfter(usize);

impl Observer for StopAfter {
    fn event(&mut self, event: Event<'_>) {
        if let Event::StepDone { .. } = event {
            self.0 = self.0.saturating_sub(1);
        }
    }

    fn is_cancelled(&self) -> bool {
        self.0 == 0
    }
}

#[test]
fn a_stopped_calibration_goes_on_to_the_identical_plan() {
    // DPM-Solver++ remembers an earlier prediction, so the shipped model it is.
    let run = TestRun::shipped(6, 3.0, &[1]);
    let window = Window::eighth_of(run.n_tokens());
    let request = request(LossKind::Relative, 0.15, SearchMode::Exact, window);
    let whole = calibrated(&run, &request, 9);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.json.state");
    let settings = [("seed".to_owned(), "9".to_owned())].into();
    let saving = |resume| Saving {
        path: &path,
        settings: &settings,
        resume,
    };
    let go = |resume, observer: &mut dyn Observer| {
        let saving = saving(resume);
        calibrate::calibrate(
            &run.denoiser(),
            &request,
            &run.noise(9),
            Some(&saving),
            observer,
        )
    };
    let stopped = go(false, &mut StopAfter(3));
    assert!(matches!(
        stopped,
        Err(CalibrateError::Run(RunError::Cancelled))
    ));
    assert_eq!(
        Checkpoint::load(&path, &settings)
            .unwrap()
            .latest
            .record
            .shape()
            .n_steps,
        3
    );
    let resumed = go(true, &mut Unobserved).unwrap();
    assert_eq!(resumed.record, whole.record);
    assert_eq!(values(&resumed.latent), values(&whole.latent));
    assert!(resumed.n_block_evaluations < whole.n_block_evaluations);

    let other = [("seed".to_owned(), "10".to_owned())].into();
    let Err(error) = Checkpoint::load(&path, &other) else {
        panic!("other settings must be refused");
    };
    assert!(
        error.to_string().contains("seed: saved 9, now 10"),
        "{error}"
    );
    std::fs::write(&path, b"not a state").unwrap();
    assert!(matches!(
        Checkpoint::load(&path, &settings),
        Err(CheckpointError::Broken { .. })
    ));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(
        Checkpoint::load(&path, &settings),
        Err(CheckpointError::Nothing(_))
    ));
}
