//! Plans, losses and latents against a PyTorch program that searches in plain loops.

use dfa_core::metric::LossKind;
use dfa_core::search::SearchMode;
use dfa_core::{Block, Step, Strategy, Window};
use dfa_native_worker::calibrate::{self, Calibration};
use dfa_native_worker::diffusion::denoiser::Denoiser;
use dfa_native_worker::generate::generate;
use dfa_native_worker::observer::Unobserved;
use dfa_tests::closeness::relative_l2;
use dfa_tests::engine::TestRun;
use dfa_tests::fixtures::{json, tensors, values};
use serde_json::Value;

use super::{assert_equal_searches, request};

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
