//! The method's invariants (method, section 7) on real runs of the tiny model.

use candle_core::Tensor;
use dfa_core::liveness::{CacheShape, peak_cache_bytes};
use dfa_core::{CompressionPlan, GridShape, Step, Strategy, Window};
use dfa_native_worker::attention::{LayerCache, LayerCall, LayerResult, Retention, SelfAttention};
use dfa_native_worker::generate::{Generated, RunError, generate};
use dfa_native_worker::observer::Unobserved;
use dfa_tests::closeness::{assert_close, max_difference};
use dfa_tests::engine::TestRun;
use dfa_tests::fixtures::values;
use proptest::prelude::*;

use Strategy::{Full, ShareCfg, ShareSteps, WindowOnly, WindowResidual, WindowResidualShareCfg};

const N_STEPS: usize = 5;

fn run() -> TestRun {
    TestRun::tiny(N_STEPS, 4.0, &[1, 2])
}

fn plan_of(cells: Vec<Strategy>, window: Window) -> CompressionPlan {
    let shape = GridShape {
        n_steps: N_STEPS,
        n_blocks: 3,
    };
    CompressionPlan::new(shape, window, cells).unwrap()
}

fn go(run: &TestRun, plan: Option<&CompressionPlan>) -> Generated {
    generate(&run.denoiser(), plan, &run.noise(3), &mut Unobserved).unwrap()
}

#[test]
fn the_all_full_plan_is_the_plain_model_bit_for_bit() {
    let run = run();
    let plan = plan_of(vec![Full; 15], Window::symmetric(4));
    let compressed = go(&run, Some(&plan));
    assert_eq!(values(&compressed.latent), values(&go(&run, None).latent));
    assert_eq!(
        compressed.peak_cache_bytes, 0,
        "nothing is kept that nothing uses"
    );
}

#[test]
fn a_covering_window_changes_nothing() {
    let run = run();
    let n_tokens = run.n_tokens();
    let mut cells = vec![Full; 3];
    cells.resize(15, WindowResidual);
    let plan = plan_of(cells, Window::symmetric(n_tokens - 1));
    let raw = values(&go(&run, None).latent);
    assert_eq!(values(&go(&run, Some(&plan)).latent), raw);
}

/// Runs one layer of the tiny model on some input, in an order of strategies.
fn layer_results(
    strategies: &[(Strategy, bool)],
    inputs: &[Tensor],
    window: Window,
) -> Vec<Tensor> {
    let run = run();
    let mut cache = LayerCache::default();
    let calls = strategies.iter().zip(inputs);
    calls
        .map(|(&(strategy, guided), x)| {
            let call = LayerCall {
                strategy,
                window,
                guided,
                makes_residual: true,
                cache: &cache,
            };
            let result = with_first_layer(&run, |layer| layer.execute(x, call).unwrap());
            cache.adopt(result.update, Retention::ALL);
            result.output
        })
        .collect()
}

/// The self-attention layer of block 0 is only reachable from inside a forward pass.
fn with_first_layer(run: &TestRun, work: impl Fn(&SelfAttention) -> LayerResult) -> LayerResult {
    let pass = run.denoiser().begin(Step(0)).unwrap();
    let hidden = run.denoiser().embed(pass.as_ref(), &run.noise(1)).unwrap();
    let mut found = None;
    let mut attend = |layer: &SelfAttention, x: &Tensor| {
        found = Some(work(layer));
        Ok(x.clone())
    };
    pass.block(dfa_core::Block(0), &hidden, &mut attend)
        .unwrap();
    found.unwrap()
}

/// A (N, T, D) input; `n` images, different for every seed.
fn layer_input(n: usize, seed: u64) -> Tensor {
    let numbers = dfa_native_worker::diffusion::noise::normal_values(seed, 0, n * 36 * 24);
    Tensor::from_vec(numbers, (n, 36, 24), &candle_core::Device::Cpu).unwrap()
}

#[test]
fn wa_rs_at_the_refreshing_steps_inputs_is_full() {
    let x = layer_input(4, 1);
    let inputs = [x.clone(), x];
    let out = layer_results(
        &[(Full, true), (WindowResidual, true)],
        &inputs,
        Window::symmetric(4),
    );
    assert_close("WA-RS", &values(&out[0]), &values(&out[1]), 1e-6);
}

#[test]
fn ast_returns_the_last_output_that_was_computed() {
    let inputs = [1, 2, 3, 4].map(|seed| layer_input(4, seed));
    let strategies =
        [Full, WindowResidual, ShareSteps, ShareSteps].map(|strategy| (strategy, true));
    let out = layer_results(&strategies, &inputs, Window::symmetric(4));
    assert_eq!(values(&out[2]), values(&out[1]));
    assert_eq!(values(&out[3]), values(&out[1]));
    assert_ne!(values(&out[1]), values(&out[0]));
}

#[test]
fn the_residual_survives_ast_and_wa_rs_steps() {
    let inputs = [1, 2, 3, 5].map(|seed| layer_input(4, seed));
    let with = |between: [Strategy; 2]| {
        let strategies =
            [Full, between[0], between[1], WindowResidual].map(|strategy| (strategy, true));
        values(&layer_results(&strategies, &inputs, Window::symmetric(4))[3])
    };
    let direct = with([ShareSteps, ShareSteps]);
    assert_eq!(with([ShareSteps, WindowResidual]), direct);
    assert_eq!(with([WindowOnly, WindowResidualShareCfg]), direct);
    assert_ne!(with([Full, ShareSteps]), direct, "a full step refreshes it");
}

#[test]
fn asc_with_equal_halves_is_full() {
    let half = layer_input(2, 1);
    let x = Tensor::cat(&[&half, &half], 0).unwrap();
    let check = |both: [Strategy; 2], shared: [Strategy; 2]| {
        let inputs = [x.clone(), x.clone()];
        let window = Window::symmetric(4);
        let both = layer_results(&both.map(|strategy| (strategy, true)), &inputs, window);
        let shared = layer_results(&shared.map(|strategy| (strategy, true)), &inputs, window);
        assert_close("ASC", &values(&both[1]), &values(&shared[1]), 1e-6);
    };
    check([Full, Full], [Full, ShareCfg]);
    check([Full, WindowResidual], [Full, WindowResidualShareCfg]);
    // A residual made by asc is the conditional half's, for both.
    check([Full, WindowResidual], [ShareCfg, WindowResidual]);
}

#[test]
fn wa_rs_with_asc_uses_the_conditional_half_of_the_residual() {
    let inputs = [layer_input(4, 1), layer_input(4, 2)];
    let window = Window::symmetric(4);
    let guided = [(Full, true), (WindowResidualShareCfg, true)];
    let shared = layer_results(&guided, &inputs, window);
    // The conditional half alone, as an unguided batch.
    let cond = inputs.map(|x| x.narrow(0, 0, 2).unwrap());
    let alone = layer_results(&[(Full, false), (WindowResidual, false)], &cond, window);
    let (shared, alone) = (values(&shared[1]), values(&alone[1]));
    assert_close("conditional half", &alone, &shared[..alone.len()], 1e-6);
    assert_close("its copy", &alone, &shared[alone.len()..], 1e-6);
}

#[test]
fn strategies_that_need_history_or_guidance_refuse_without() {
    let run = run();
    let cache = LayerCache::default();
    let x = layer_input(4, 1);
    let check = |strategy, guided, expected: &str| {
        let call = LayerCall {
            strategy,
            window: Window::symmetric(4),
            guided,
            makes_residual: false,
            cache: &cache,
        };
        let pass = run.denoiser().begin(Step(0)).unwrap();
        let hidden = run.denoiser().embed(pass.as_ref(), &run.noise(1)).unwrap();
        let mut attend = |layer: &SelfAttention, _: &Tensor| Ok(layer.execute(&x, call)?.output);
        let error = pass
            .block(dfa_core::Block(0), &hidden, &mut attend)
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(ShareSteps, true, "no output was kept");
    check(WindowResidual, true, "no window residual was kept");
    check(ShareCfg, false, "needs classifier-free guidance");
}

#[test]
fn no_run_leaks_state_into_the_next() {
    let run = run();
    let mut cells = vec![Full; 3];
    cells.extend([WindowResidual, ShareSteps, ShareCfg].repeat(4));
    let plan = plan_of(cells, Window::symmetric(4));
    let first = values(&go(&run, Some(&plan)).latent);
    let raw = values(&go(&run, None).latent);
    assert_eq!(values(&go(&run, Some(&plan)).latent), first);
    assert_eq!(values(&go(&run, None).latent), raw);
    assert!(max_difference(&first, &raw).0 > 0.0);
}

#[test]
fn a_plan_that_does_not_fit_is_refused() {
    let run = run();
    let shape = GridShape {
        n_steps: N_STEPS + 1,
        n_blocks: 3,
    };
    let plan = CompressionPlan::all_full(shape, Window::symmetric(4)).unwrap();
    let found = generate(&run.denoiser(), Some(&plan), &run.noise(1), &mut Unobserved);
    assert!(matches!(found, Err(RunError::PlanDoesNotFit { .. })));

    let unguided = TestRun::tiny(N_STEPS, 1.0, &[1, 2]);
    let mut cells = vec![Full; 14];
    cells.push(ShareCfg);
    let plan = plan_of(cells, Window::symmetric(4));
    let found = generate(
        &unguided.denoiser(),
        Some(&plan),
        &unguided.noise(1),
        &mut Unobserved,
    );
    assert!(matches!(found, Err(RunError::PlanNeedsGuidance)));

    let found = generate(
        &run.denoiser(),
        None,
        &TestRun::tiny(1, 1.0, &[1]).noise(1),
        &mut Unobserved,
    );
    assert!(matches!(
        found,
        Err(RunError::ConditionCount {
            n_conditions: 2,
            n_images: 1
        })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_plan_runs_and_its_peak_cache_is_as_predicted(
        later in prop::collection::vec(0usize..6, 12), guided in any::<bool>(),
    ) {
        let mut cells = vec![Full; 3];
        cells.extend(later.into_iter().map(|idx| Strategy::ALL[idx]));
        for cell in &mut cells {
            if !guided && cell.shares_cfg() {
                *cell = WindowResidual;
            }
        }
        let plan = plan_of(cells, Window::symmetric(4));
        let scale = if guided { 4.0 } else { 1.0 };
        let run = TestRun::tiny(N_STEPS, scale, &[1, 2]);
        let made = go(&run, Some(&plan));
        let shape = CacheShape {
            batch: 2,
            branches: if guided { 2 } else { 1 },
            n_tokens: run.n_tokens(),
            width: run.model.geometry().width(),
            bytes_per_element: 4,
        };
        prop_assert_eq!(made.peak_cache_bytes, peak_cache_bytes(&plan, shape).bytes);
    }
}
