//! Calibration with real forward passes: against the PyTorch oracle, against the plain
//! search, and across a kill.

use candle_core::Tensor;
use dfa_core::metric::{LossKind, relative};
use dfa_core::search::{SearchMode, SearchSettings, Threshold, default_candidates};
use dfa_core::{Block, Step, Strategy, Window};
use dfa_native_worker::attention::{LayerCache, LayerCall, Retention, SelfAttention};
use dfa_native_worker::calibrate::{
    self, CalibrateError, CalibrateRequest, Calibration, Checkpoint, CheckpointError, Saving,
};
use dfa_native_worker::diffusion::denoiser::Denoiser;
use dfa_native_worker::generate::{RunError, generate};
use dfa_native_worker::observer::{Event, Observer, Unobserved};
use dfa_tests::closeness::relative_l2;
use dfa_tests::engine::TestRun;
use dfa_tests::fixtures::{json, tensors, values};
use serde_json::Value;

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

/// Plan, losses and final latents of a straightforward PyTorch program on the same weights.
fn check_against_oracle(name: &str, open: fn(usize, f64, &[u32]) -> TestRun) {
    let oracle = json(&format!("oracle/{name}.json"));
    let labels: Vec<u32> = ints(&oracle["labels"])
        .iter()
        .map(|&label| label as u32)
        .collect();
    let run = open(
        oracle["n_steps"].as_u64().unwrap() as usize,
        oracle["guidance_scale"].as_f64().unwrap(),
        &labels,
    );
    check_runs(name, &run.denoiser());
}

/// The runs of an oracle's fixture, whatever the family.
pub(crate) fn check_runs(name: &str, denoiser: &Denoiser<'_>) {
    let oracle = json(&format!("oracle/{name}.json"));
    let arrays = tensors(&format!("oracle/{name}.safetensors"));
    let timesteps: Vec<u64> = denoiser
        .sampler
        .timesteps()
        .iter()
        .map(|&t| u64::from(t))
        .collect();
    assert_eq!(timesteps, ints(&oracle["timesteps"]));

    let raw = generate(denoiser, None, &arrays["start"], &mut Unobserved).unwrap();
    let error = relative_l2(&values(&arrays["raw_final"]), &values(&raw.latent));
    assert!(error < 1e-4, "{name}, raw latents: {error}");

    for case in oracle["runs"].as_array().unwrap() {
        let case_name = case["name"].as_str().unwrap();
        let loss: LossKind = case["loss"].as_str().unwrap().parse().unwrap();
        let threshold = case["threshold"].as_f64().unwrap();
        let window = Window::eighth_of(denoiser.model.geometry().n_tokens(denoiser.size));
        let mut request = request(loss, threshold, SearchMode::Exact, window);
        if let Some(candidates) = case["candidates"].as_array() {
            let candidates = candidates.iter().map(|name| name.as_str().unwrap().parse());
            request.search.candidates = candidates.map(Result::unwrap).collect();
        }
        let found =
            calibrate::calibrate(denoiser, &request, &arrays["start"], None, &mut Unobserved)
                .unwrap();
        // The shipped model is large for that and has a test of its own.
        if name != "shipped" {
            let plain = calibrate::calibrate_plainly(denoiser, &request, &arrays["start"]);
            assert_equal_searches(&format!("{name} {case_name}"), &plain.unwrap(), &found);
        }
        check_losses(&format!("{name} {case_name}"), case, &found);
        check_plan(&format!("{name} {case_name}"), case, &found);
        let expected = values(&arrays[&format!("{case_name}.final")]);
        let error = relative_l2(&expected, &values(&found.latent));
        assert!(
            error < 1e-3,
            "{name} {case_name}, calibrated latents: {error}"
        );
        let made = generate(
            denoiser,
            Some(&found.plan),
            &arrays["start"],
            &mut Unobserved,
        )
        .unwrap();
        let error = relative_l2(&expected, &values(&made.latent));
        assert!(
            error < 1e-3,
            "{name} {case_name}, generated latents: {error}"
        );
    }
}

fn ints(array: &Value) -> Vec<u64> {
    array
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value.as_u64().unwrap())
        .collect()
}

fn check_losses(name: &str, case: &Value, found: &Calibration) {
    let expected = case["losses"].as_array().unwrap();
    assert_eq!(
        found.record.n_measured(),
        expected.len(),
        "{name}: number of losses"
    );
    for measured in expected {
        let at = |key: &str| measured[key].as_u64().unwrap() as usize;
        let (step, block) = (Step(at("step")), Block(at("block")));
        let candidate: Strategy = measured["candidate"].as_str().unwrap().parse().unwrap();
        let cell = found.record.cell(step, block).unwrap();
        let loss = cell
            .loss_of(candidate)
            .unwrap_or_else(|| panic!("{name}: {step}, {block}, {candidate} not tried"));
        let wanted = measured["loss"].as_f64().unwrap();
        // Rounding alone moves an output by some 1e-7 of itself, and with it a loss by up to
        // 1e-6: no share of the smallest ones.
        let error = (f64::from(loss) - wanted).abs() / wanted.max(5e-4);
        assert!(
            error < 2e-3,
            "{name}: {step}, {block}, {candidate}: {loss} should be {wanted}"
        );
    }
}

fn check_plan(name: &str, case: &Value, found: &Calibration) {
    for (step, row) in case["plan"].as_array().unwrap().iter().enumerate() {
        let expected: Vec<&str> = row
            .as_array()
            .unwrap()
            .iter()
            .map(|cell| cell.as_str().unwrap())
            .collect();
        let row: Vec<&str> = found
            .plan
            .row(Step(step))
            .iter()
            .map(|strategy| strategy.as_str())
            .collect();
        assert_eq!(row, expected, "{name}: step {step}");
    }
}

#[test]
fn the_tiny_models_plans_equal_the_oracles() {
    check_against_oracle("tiny", TestRun::tiny);
}

#[test]
fn the_shipped_models_plans_equal_the_oracles() {
    check_against_oracle("shipped", TestRun::shipped);
}

/// Plans, losses and latents are equal, bit for bit.
fn assert_equal_searches(case: &str, plain: &Calibration, prefix: &Calibration) {
    assert_eq!(plain.record, prefix.record, "{case}: every loss");
    assert_eq!(plain.plan, prefix.plan, "{case}");
    assert_eq!(values(&plain.latent), values(&prefix.latent), "{case}");
}

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

/// Every local loss by the layer itself, as generation computes it.
#[test]
fn the_fast_searchs_losses_are_those_of_the_layers() {
    let run = TestRun::tiny(4, 4.0, &[1, 2]);
    let window = Window::eighth_of(run.n_tokens());
    let request = request(LossKind::Relative, 0.2, SearchMode::Fast, window);
    let found = calibrated(&run, &request, 5);
    let shape = found.plan.shape();
    assert_eq!(
        found.n_block_evaluations,
        shape.n_cells() as f64,
        "one pass a step"
    );
    let n_later = shape.n_cells() - shape.n_blocks;
    assert_eq!(found.record.n_measured(), 4 * n_later, "every candidate");

    let denoiser = run.denoiser();
    let mut caches = vec![LayerCache::default(); shape.n_blocks];
    let (mut latent, mut sampler) = (run.noise(5), denoiser.sampler.start());
    for step in run.steps() {
        let pass = denoiser.begin(step).unwrap();
        let mut hidden = denoiser.embed(pass.as_ref(), &latent).unwrap();
        let mut error_before = 0.0;
        for block in shape.blocks() {
            let mut update = None;
            let mut attend = |layer: &SelfAttention, x: &Tensor| {
                let by = |strategy| {
                    let cache = &caches[block.0];
                    let call = LayerCall {
                        strategy,
                        window,
                        guided: true,
                        makes_residual: true,
                        cache,
                    };
                    layer.execute(x, call)
                };
                let full = values(&by(Strategy::Full)?.output);
                let choice = found.plan.strategy(step, block);
                let mut error_here = 0.0;
                for measured in &found.record.cell(step, block).unwrap().measured {
                    let output = values(&by(measured.candidate)?.output);
                    let error = relative::loss(LossKind::Relative, &full, &output).unwrap();
                    let loss = (error_before + f64::from(error)) / shape.n_blocks as f64;
                    assert_eq!(measured.loss, loss as f32, "{step}, {block}: {measured:?}");
                    if measured.candidate == choice {
                        error_here = f64::from(error);
                    }
                }
                error_before += error_here;
                let chosen = by(choice)?;
                update = Some(chosen.update);
                Ok(chosen.output)
            };
            hidden = pass.block(block, &hidden, &mut attend).unwrap();
            caches[block.0].adopt(update.unwrap(), Retention::ALL);
        }
        let output = pass.output(&hidden).unwrap();
        latent = denoiser
            .next_latent(&mut sampler, step, &latent, &output)
            .unwrap();
    }
    assert_eq!(values(&latent), values(&found.latent));
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
