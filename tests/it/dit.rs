//! DiT against diffusers' `DiTTransformer2DModel` on the same weights.

use candle_core::{DType, IndexOp, Tensor};
use dfa_native_worker::model::{Condition, StepInput};
use dfa_tests::closeness::relative_l2;
use dfa_tests::engine::TestRun;
use dfa_tests::family_run::full_forward;
use dfa_tests::fixtures::{tensors, values};

/// Relative L2, f32 against f32. Most of it comes from the timestep features: the last bit
/// of `exp` in the frequencies is worth 6e-5 rad at timestep 999.
const TOLERANCE: f64 = 5e-5;

/// The fixture has another timestep for every image; ours are one per batch.
fn check_against(run: &TestRun, fixture: &str) {
    let golden = tensors(fixture);
    let ints = |name: &str| {
        golden[name]
            .to_dtype(DType::I64)
            .unwrap()
            .to_vec1::<i64>()
            .unwrap()
    };
    let (labels, timesteps) = (ints("labels"), ints("timesteps"));
    for image in 0..labels.len() {
        let input = StepInput {
            timestep: timesteps[image] as u32,
            condition: &Condition::Classes(vec![labels[image] as u32]),
            guided: false,
            size: run.size(),
            video: None,
        };
        let of_image = |name: &str| values(&golden[name].i(image..=image).unwrap());
        let latent = golden["latents"].i(image..=image).unwrap();
        let (output, states) = full_forward(run.model.as_ref(), &latent, &input).unwrap();
        for (block, state) in states.iter().enumerate() {
            let name = format!("hidden.{block}");
            if golden.contains_key(&name) {
                let error = relative_l2(&of_image(&name), &values(state));
                assert!(error < TOLERANCE, "image {image}, block {block}: {error}");
            }
        }
        let error = relative_l2(&of_image("output"), &values(&output));
        assert!(error < TOLERANCE, "image {image}, output: {error}");
    }
}

#[test]
fn the_tiny_model_equals_diffusers() {
    check_against(&TestRun::tiny(1, 1.0, &[0]), "dit/golden.safetensors");
}

#[test]
fn the_shipped_model_equals_diffusers() {
    check_against(&TestRun::shipped(1, 1.0, &[0]), "dit/shipped.safetensors");
}

#[test]
fn a_batch_is_its_images() {
    let run = TestRun::tiny(1, 1.0, &[1, 2]);
    let latent = run.noise(4);
    let of = |latent: &Tensor, labels: &[u32]| {
        let input = StepInput {
            timestep: 500,
            condition: &Condition::Classes(labels.to_vec()),
            guided: false,
            size: run.size(),
            video: None,
        };
        full_forward(run.model.as_ref(), latent, &input).unwrap().0
    };
    let batch = of(&latent, &[1, 2]);
    for image in 0..2 {
        let one = latent.i(image..=image).unwrap();
        let alone = of(&one, &[image as u32 + 1]);
        let error = relative_l2(&values(&alone), &values(&batch.i(image..=image).unwrap()));
        assert!(error < 1e-6, "image {image}: {error}");
    }
}
