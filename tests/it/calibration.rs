//! Calibration with real forward passes: against the PyTorch oracle, against the plain
//! search, and across a kill.

use dfa_core::metric::LossKind;
use dfa_core::search::{SearchMode, SearchSettings, Threshold, default_candidates};
use dfa_core::{Strategy, Window};
use dfa_native_worker::calibrate::{self, CalibrateRequest, Calibration};
use dfa_native_worker::observer::Unobserved;
use dfa_tests::engine::TestRun;
use dfa_tests::fixtures::values;

mod fast_search;
pub(crate) mod oracle;
mod prefix_search;
mod resume;
mod resume_target;

fn request(loss: LossKind, threshold: f64, mode: SearchMode, window: Window) -> CalibrateRequest {
    CalibrateRequest {
        search: SearchSettings {
            threshold: Threshold::new(threshold).unwrap(),
            candidates: default_candidates(true),
            mode,
        },
        loss,
        window,
        rejects_early: false,
    }
}

fn calibrated(run: &TestRun, request: &CalibrateRequest, seed: u64) -> Calibration {
    calibrate::calibrate(
        &run.denoiser(),
        request,
        &run.noise(seed),
        None,
        &mut Unobserved,
    )
    .unwrap()
}

/// Plans, losses and latents are equal, bit for bit.
fn assert_equal_searches(case: &str, plain: &Calibration, prefix: &Calibration) {
    assert_eq!(plain.record, prefix.record, "{case}: every loss");
    assert_eq!(plain.plan, prefix.plan, "{case}");
    assert_eq!(values(&plain.latent), values(&prefix.latent), "{case}");
}

#[test]
fn record_all_chooses_what_exact_chooses() {
    let run = TestRun::tiny(5, 4.0, &[1, 2]);
    let window = Window::eighth_of(run.n_tokens());
    let exact = calibrated(
        &run,
        &request(LossKind::Relative, 0.1, SearchMode::Exact, window),
        6,
    );
    let all = calibrated(
        &run,
        &request(LossKind::Relative, 0.1, SearchMode::RecordAll, window),
        6,
    );
    assert_eq!(exact.plan, all.plan);
    assert_eq!(all.record.n_measured(), 4 * 3 * 4);
}

#[test]
fn threshold_zero_keeps_everything_full() {
    let run = TestRun::tiny(4, 4.0, &[1]);
    let request = request(
        LossKind::Relative,
        0.0,
        SearchMode::Exact,
        Window::symmetric(4),
    );
    let found = calibrated(&run, &request, 7);
    assert_eq!(found.plan.count(Strategy::Full), 12);
}

#[test]
fn every_accepted_loss_is_under_its_budget() {
    let run = TestRun::tiny(6, 4.0, &[1, 2]);
    let request = request(
        LossKind::RelativeSigned,
        0.3,
        SearchMode::Exact,
        Window::symmetric(4),
    );
    let found = calibrated(&run, &request, 8);
    let mut accepted = 0;
    for (step, block, strategy) in found.plan.cells().filter(|(step, ..)| step.0 > 0) {
        if strategy != Strategy::Full {
            let loss = found
                .record
                .cell(step, block)
                .unwrap()
                .loss_of(strategy)
                .unwrap();
            assert!(f64::from(loss) < request.search.threshold.block_budget(block, 3));
            accepted += 1;
        }
    }
    assert!(accepted > 0);
}
