//! The search that computes nothing twice: the plain search's plan and losses, counted cost,
//! early rejection.

use dfa_core::metric::LossKind;
use dfa_core::search::SearchMode;
use dfa_core::{Strategy, Window};
use dfa_native_worker::calibrate::{self, Calibration};
use dfa_tests::engine::TestRun;
use dfa_tests::fixtures::values;

use super::{assert_equal_searches, calibrated, request};

/// Block evaluations of the prefix search, counted from what it measured: `M` for step 0
/// and for every O; `M - i` for the first of two candidates that do the same for the
/// conditional branch, half as many for the second and for `asc`; what remains `full`.
fn evaluations(found: &Calibration, m: f64) -> f64 {
    let mut n = m;
    for row in &found.record.rows()[1..] {
        n += m;
        // Whether the block in question has run `full`, by branch.
        let mut is_known = [true, true];
        for (block, cell) in row.iter().enumerate() {
            let rest = m - block as f64;
            let tried = |strategy| usize::from(cell.loss_of(strategy).is_some());
            n += tried(Strategy::ShareSteps) as f64 * rest;
            n += [0.0, 1.0, 1.5]
                [tried(Strategy::WindowResidual) + tried(Strategy::WindowResidualShareCfg)]
                * rest;
            n += tried(Strategy::ShareCfg) as f64 * rest / 2.0;
            let is_full = cell.choice == Strategy::Full;
            let needed = [is_full || tried(Strategy::ShareCfg) > 0, is_full];
            let missing = (0..2).filter(|&branch| needed[branch] && !is_known[branch]);
            n += missing.count() as f64 / 2.0;
            // An accepted trial ran the next block for the branches that it ran itself.
            is_known = match cell.choice {
                Strategy::Full => [false, false],
                Strategy::ShareCfg => [false, true],
                _ => [true, true],
            };
        }
    }
    n
}

#[test]
fn the_prefix_search_gives_the_plain_searchs_plan_and_losses() {
    let run = TestRun::tiny(6, 4.0, &[1, 2, 3]);
    let window = Window::eighth_of(run.n_tokens());
    for mode in [SearchMode::Exact, SearchMode::RecordAll] {
        for threshold in [0.03, 0.12, 0.3] {
            let request = request(LossKind::Relative, threshold, mode, window);
            let (denoiser, noise) = (run.denoiser(), run.noise(5));
            let plain = calibrate::calibrate_plainly(&denoiser, &request, &noise).unwrap();
            let prefix = calibrated(&run, &request, 5);
            assert_equal_searches(&format!("{request:?}"), &plain, &prefix);
            // M for step 0; then M for O and M for the real run, M per candidate.
            let (m, later) = (3.0, 5.0);
            let tried = plain.record.n_measured() as f64;
            assert_eq!(plain.n_block_evaluations, m + later * 2.0 * m + tried * m);
            println!(
                "{mode:?} {threshold}: {} of {}, {:?}",
                prefix.n_block_evaluations,
                plain.n_block_evaluations,
                dfa_core::cost::strategy_shares(&plain.plan)
            );
            assert_eq!(prefix.n_block_evaluations, evaluations(&prefix, m));
        }
    }
}

#[test]
fn a_search_of_the_shipped_model_costs_at_most_0_52_of_the_plain_one() {
    let run = TestRun::shipped(5, 3.0, &[1]);
    let window = Window::eighth_of(run.n_tokens());
    for (mode, threshold) in [
        (SearchMode::Exact, 0.025),
        (SearchMode::Exact, 0.1),
        (SearchMode::RecordAll, 0.1),
    ] {
        let request = request(LossKind::Relative, threshold, mode, window);
        let plain = calibrate::calibrate_plainly(&run.denoiser(), &request, &run.noise(5)).unwrap();
        let prefix = calibrated(&run, &request, 5);
        assert_equal_searches(&format!("{request:?}"), &plain, &prefix);
        let share = prefix.n_block_evaluations / plain.n_block_evaluations;
        assert!(share <= 0.52, "{mode:?} at {threshold}: {share}");
    }
}

#[test]
fn early_rejection_changes_no_decision() {
    let run = TestRun::tiny(6, 4.0, &[1, 2]);
    let window = Window::eighth_of(run.n_tokens());
    let mut request = request(LossKind::Relative, 0.12, SearchMode::Exact, window);
    let whole = calibrated(&run, &request, 5);
    request.rejects_early = true;
    let early = calibrated(&run, &request, 5);
    assert_eq!(whole.plan, early.plan);
    assert_eq!(values(&whole.latent), values(&early.latent));
    assert!(early.n_block_evaluations < whole.n_block_evaluations);
    let mut n_bounds = 0;
    for (step, block) in whole.record.shape().cells() {
        let [whole, early] = [&whole, &early].map(|found| found.record.cell(step, block).unwrap());
        assert_eq!(whole.measured.len(), early.measured.len());
        for (whole, early) in whole.measured.iter().zip(&early.measured) {
            if !early.is_lower_bound {
                assert_eq!(whole, early, "{step}, {block}");
                continue;
            }
            let budget = request.search.threshold.block_budget(block, 3);
            assert!(
                f64::from(early.loss) >= budget,
                "{step}, {block}: {early:?}"
            );
            assert!(early.loss <= whole.loss, "{step}, {block}: {early:?}");
            n_bounds += 1;
        }
    }
    assert!(n_bounds > 0, "something was rejected early");
}
