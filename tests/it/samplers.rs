//! The samplers against diffusers' schedulers, step by step, and what they refuse.

use candle_core::{DType, Device, Tensor};
use dfa_core::Step;
use dfa_core::sampler::SamplerKind;
use dfa_native_worker::diffusion::noise_schedule::{NoiseSchedule, TimestepSpacing};
use dfa_native_worker::diffusion::sampler::{Sampler, SamplerError, SamplerState};
use dfa_native_worker::diffusion::sampler_config::{CleanRange, Prediction, SamplerConfig};
use dfa_tests::closeness::assert_close;
use dfa_tests::fixtures::{fixture, json, shipped_model, tensors, values};

/// Per unit of the largest value. diffusers computes its coefficients in f32, we in f64.
const TOLERANCE: f32 = 1e-5;

/// A few f32 roundings of values of size 3. A clean prediction from noise divides them by
/// α, down to 0.006, also where clipping afterwards hides how large it was; diffusers' own
/// numbers are off by half of this from those of f64.
const ROUNDING: f64 = 4e-7;

fn config(name: &str) -> SamplerConfig {
    let path = fixture(&format!("samplers/configs/{name}.json"));
    let text = std::fs::read_to_string(path).expect("a config beside cases.json");
    SamplerConfig::from_json(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn timesteps_in(case: &serde_json::Value) -> Vec<u32> {
    let timesteps = case["timesteps"].as_array().expect("a list");
    let number = |value: &serde_json::Value| value.as_u64().expect("a timestep") as u32;
    timesteps.iter().map(number).collect()
}

fn n_steps_in(case: &serde_json::Value) -> usize {
    case["n_steps"].as_u64().expect("a number of steps") as usize
}

/// `rounding` is allowed beyond the tolerance for the size of the values.
fn assert_close_for_its_size(what: &str, expected: &Tensor, found: &Tensor, rounding: f32) {
    let (expected, found) = (values(expected), values(found));
    let largest = expected
        .iter()
        .fold(1.0_f32, |max, value| max.max(value.abs()));
    assert_close(what, &expected, &found, TOLERANCE * largest + rounding);
}

/// What rounding may do to the clean prediction at a timestep.
fn clean_rounding(config: &SamplerConfig, timestep: u32) -> f32 {
    let alpha = NoiseSchedule::new(&config.betas).level(timestep).alpha;
    match config.prediction {
        Prediction::Noise => (ROUNDING / alpha) as f32,
        Prediction::Clean | Prediction::Velocity => 0.0,
    }
}

#[test]
fn every_trajectory_is_diffusers() {
    let golden = tensors("samplers/golden.safetensors");
    let check = |case: &serde_json::Value| {
        let name = case["name"].as_str().expect("a name");
        let config = config(name);
        let sampler = Sampler::new(&config, n_steps_in(case)).unwrap();
        assert_eq!(sampler.timesteps(), timesteps_in(case), "{name}");
        let (latents, cleans) = (
            &golden[&format!("{name}.latents")],
            &golden[&format!("{name}.clean")],
        );
        let mut state = sampler.start();
        let mut latent = golden["start"].clone();
        for step in 0..sampler.n_steps() {
            let output = golden["model_outputs"].get(step).unwrap();
            let clean = sampler.predict_clean(Step(step), &latent, &output).unwrap();
            latent = sampler
                .next(&mut state, Step(step), &latent, &output, None)
                .unwrap();
            let rounding = clean_rounding(&config, sampler.timesteps()[step]);
            let what = format!("{name}, step {step}");
            assert_close_for_its_size(&what, &latents.get(step).unwrap(), &latent, 0.0);
            let what = format!("{what}, clean prediction");
            assert_close_for_its_size(&what, &cleans.get(step).unwrap(), &clean, rounding);
        }
    };
    let cases = json("samplers/cases.json");
    cases
        .as_array()
        .expect("a list of cases")
        .iter()
        .for_each(check);
}

/// Latents of the cases are (B, C, F, h, w). Each step begins with the golden latent: with
/// fixed model outputs, 1/α makes a rounding of the first steps a hundred times larger.
#[test]
fn every_ancestral_trajectory_is_its_authors() {
    let golden = tensors("samplers/ancestral.safetensors");
    let check = |case: &serde_json::Value| {
        let name = case["name"].as_str().expect("a name");
        let config = config(name);
        assert_eq!(config.kind(), SamplerKind::Iddpm, "{name}");
        let sampler = Sampler::new(&config, n_steps_in(case)).unwrap();
        assert_eq!(sampler.timesteps(), timesteps_in(case), "{name}");
        let of_case = |what: &str| &golden[&format!("{name}.{what}")];
        let mut state = sampler.start();
        let mut latent = golden["start"].clone();
        for step in 0..sampler.n_steps() {
            let output = of_case("outputs").get(step).unwrap();
            let noise = golden["noises"].get(step).unwrap();
            let clean = sampler.predict_clean(Step(step), &latent, &output).unwrap();
            let next = sampler
                .next(&mut state, Step(step), &latent, &output, Some(&noise))
                .unwrap();
            let rounding = clean_rounding(&config, sampler.timesteps()[step]);
            let what = format!("{name}, step {step}");
            let expected = of_case("latents").get(step).unwrap();
            assert_close_for_its_size(&what, &expected, &next, 0.0);
            latent = expected;
            let what = format!("{what}, clean prediction");
            let expected = of_case("clean").get(step).unwrap();
            assert_close_for_its_size(&what, &expected, &clean, rounding);
        }
    };
    let cases = json("samplers/ancestral-cases.json");
    let cases = cases.as_array().expect("a list of cases");
    assert!(cases.len() > 10, "{} cases", cases.len());
    cases.iter().for_each(check);
}

/// The latents of a video are an image's to a sampler that knows nothing of places.
#[test]
fn a_video_is_sampled_as_an_image_of_its_values() {
    let golden = tensors("samplers/golden.safetensors");
    let as_video = |image: &Tensor| image.reshape((2, 3, 2, 2, 4)).unwrap();
    let check = |case: &serde_json::Value| {
        let name = case["name"].as_str().expect("a name");
        let sampler = Sampler::new(&config(name), n_steps_in(case)).unwrap();
        let (mut image_state, mut video_state) = (sampler.start(), sampler.start());
        let mut image = golden["start"].clone();
        let mut video = as_video(&image);
        for step in (0..sampler.n_steps()).map(Step) {
            let output = golden["model_outputs"].get(step.0).unwrap();
            image = sampler
                .next(&mut image_state, step, &image, &output, None)
                .unwrap();
            video = sampler
                .next(&mut video_state, step, &video, &as_video(&output), None)
                .unwrap();
        }
        assert_eq!(video.dims(), [2, 3, 2, 2, 4]);
        assert_eq!(values(&image), values(&video), "{name}");
    };
    let cases = json("samplers/cases.json");
    cases
        .as_array()
        .expect("a list of cases")
        .iter()
        .for_each(check);
}

#[test]
fn noise_is_for_ancestral_steps_but_the_last() {
    let golden = tensors("samplers/ancestral.safetensors");
    let latent = &golden["start"];
    let output = golden["iddpm-3.outputs"].get(0).unwrap();
    let noise = golden["noises"].get(0).unwrap();
    let iddpm = Sampler::new(&config("iddpm-3"), 3).unwrap();
    assert!(iddpm.needs_noise());
    assert_eq!(iddpm.n_output_channels(4), 8);
    let next = |sampler: &Sampler, step, output: &Tensor, noise: Option<&Tensor>| {
        sampler.next(&mut sampler.start(), Step(step), latent, output, noise)
    };
    let missing = next(&iddpm, 0, &output, None).unwrap_err();
    assert!(matches!(
        missing,
        SamplerError::MissingNoise { step: Step(0) }
    ));
    let narrow = noise.narrow(0, 0, 1).unwrap();
    let wrong = next(&iddpm, 0, &output, Some(&narrow)).unwrap_err();
    assert!(matches!(wrong, SamplerError::WrongNoise { .. }), "{wrong}");
    let last = |noise| values(&next(&iddpm, 2, &output, noise).unwrap());
    assert_eq!(last(None), last(Some(&noise)), "the last step adds none");
    let without_variance = output.narrow(1, 0, 2).unwrap();
    let error = next(&iddpm, 0, &without_variance, Some(&noise)).unwrap_err();
    assert!(error.to_string().contains("learned variance"), "{error}");

    let ddim = Sampler::new(&config("ddim-defaults"), 2).unwrap();
    assert!(!ddim.needs_noise());
    assert_eq!(ddim.n_output_channels(4), 4);
    let unwanted = next(&ddim, 0, &without_variance, Some(&noise)).unwrap_err();
    assert!(matches!(unwanted, SamplerError::UnwantedNoise { .. }));
}

#[test]
fn timesteps_are_their_authors_for_many_lengths() {
    let check = |case: &serde_json::Value| {
        let (class, spacing) = (&case["_class_name"], &case["timestep_spacing"]);
        let text = format!(r#"{{"_class_name": {class}, "timestep_spacing": {spacing}}}"#);
        let config = SamplerConfig::from_json(&text).unwrap();
        let sampler = Sampler::new(&config, n_steps_in(case)).unwrap();
        assert_eq!(sampler.timesteps(), timesteps_in(case), "{class} {spacing}");
    };
    let cases = json("samplers/timesteps.json");
    cases
        .as_array()
        .expect("a list of cases")
        .iter()
        .for_each(check);
}

#[test]
fn trailing_timesteps_are_as_many_as_asked_for() {
    let trailing = r#"{"_class_name": "DDIMScheduler", "timestep_spacing": "trailing"}"#;
    let config = SamplerConfig::from_json(trailing).unwrap();
    for n_steps in 1..=1000 {
        let sampler = Sampler::new(&config, n_steps).unwrap();
        assert_eq!(sampler.n_steps(), n_steps);
        assert_eq!(sampler.timesteps()[0], 999, "{n_steps} steps");
    }
}

#[test]
fn a_restored_state_goes_on_bit_for_bit() {
    let golden = tensors("samplers/golden.safetensors");
    let copy =
        |tensor: &Tensor| Tensor::from_vec(values(tensor), tensor.shape(), &Device::Cpu).unwrap();
    for name in ["dpm-eps-10", "ddim-defaults"] {
        let sampler = Sampler::new(&config(name), 10).unwrap();
        let run = |restore_at: Option<usize>| {
            let (mut state, mut latent) = (sampler.start(), golden["start"].clone());
            for step in 0..10 {
                if restore_at == Some(step) {
                    latent = copy(&latent);
                    state = SamplerState {
                        clean_history: state.clean_history.iter().map(copy).collect(),
                    };
                }
                let output = golden["model_outputs"].get(step).unwrap();
                latent = sampler
                    .next(&mut state, Step(step), &latent, &output, None)
                    .unwrap();
            }
            values(&latent)
        };
        assert_eq!(run(None), run(Some(4)), "{name}");
    }
}

#[test]
fn a_step_without_its_history_is_an_error() {
    let golden = tensors("samplers/golden.safetensors");
    let output = golden["model_outputs"].get(0).unwrap();
    let next = |name: &str, step: usize| {
        let sampler = Sampler::new(&config(name), 10).unwrap();
        sampler.next(
            &mut sampler.start(),
            Step(step),
            &golden["start"],
            &output,
            None,
        )
    };
    assert!(next("dpm-eps-10", 0).is_ok());
    assert!(next("ddim-defaults", 3).is_ok(), "DDIM remembers nothing");
    let missing = next("dpm-eps-10", 3).unwrap_err();
    assert!(matches!(
        missing,
        SamplerError::MissingHistory { step: Step(3) }
    ));
    let beyond = next("dpm-eps-10", 10).unwrap_err();
    assert!(matches!(
        beyond,
        SamplerError::NoSuchStep { n_steps: 10, .. }
    ));
}

#[test]
fn latents_of_another_type_or_shape_are_an_error() {
    let sampler = Sampler::new(&config("dpm-eps-10"), 10).unwrap();
    let latent = Tensor::zeros((1, 3, 4, 4), DType::F32, &Device::Cpu).unwrap();
    let half = latent.to_dtype(DType::F16).unwrap();
    let wide = Tensor::zeros((1, 6, 4, 4), DType::F32, &Device::Cpu).unwrap();
    let next = |output| sampler.next(&mut sampler.start(), Step(0), &latent, output, None);
    assert!(matches!(
        next(&half),
        Err(SamplerError::WrongType { found: DType::F16 })
    ));
    assert!(matches!(
        next(&wide),
        Err(SamplerError::WrongChannels {
            latent: 3,
            expected: 3,
            found: 6
        })
    ));
    let tall = Tensor::zeros((1, 3, 8, 4), DType::F32, &Device::Cpu).unwrap();
    assert!(matches!(next(&tall), Err(SamplerError::Tensor(_))));
}

#[test]
fn steps_that_do_not_fit_are_refused() {
    let check = |text: &str, n_steps: usize, fits: bool| {
        let config = SamplerConfig::from_json(text).unwrap();
        let made = Sampler::new(&config, n_steps);
        assert_eq!(made.is_ok(), fits, "{n_steps} steps of {text}");
    };
    let ddim = r#"{"_class_name": "DDIMScheduler"}"#;
    check(ddim, 0, false);
    check(ddim, 1000, true);
    check(ddim, 1001, false);
    // The last timestep would be 1000, which no training has seen.
    check(
        r#"{"_class_name": "DDIMScheduler", "steps_offset": 1}"#,
        1000,
        false,
    );
    let dpm = r#"{"_class_name": "DPMSolverMultistepScheduler"}"#;
    check(dpm, 999, true);
    check(dpm, 1000, false);
}

#[test]
fn missing_keys_mean_the_defaults_of_the_class() {
    let text = shipped_model().join("scheduler/scheduler_config.json");
    let shipped = SamplerConfig::from_json(&std::fs::read_to_string(text).unwrap()).unwrap();
    assert_eq!(shipped, config("dpm-as-avatars-dit"));
    let bare = SamplerConfig::from_json(r#"{"_class_name": "DDIMScheduler"}"#).unwrap();
    assert_eq!(bare, config("ddim-defaults"));
    assert_eq!(bare.clean_range, CleanRange::Clipped { limit: 1.0 });
    assert_eq!(config("iddpm-open-sora"), SamplerConfig::open_sora());
}

#[test]
fn what_is_not_json_but_python_writes_is_read() {
    let check = |extra: &str| {
        let text = format!(r#"{{"_class_name": "DPMSolverMultistepScheduler", {extra}}}"#);
        SamplerConfig::from_json(&text).unwrap_or_else(|error| panic!("{extra}: {error}"));
    };
    check(r#""lambda_min_clipped": -Infinity"#);
    check(r#""lambda_min_clipped": -5.1"#);
    check(r#""unknown": [NaN, Infinity, -Infinity]"#);
    check(r#""unknown": "-Infinity \" NaN", "lambda_min_clipped": -Infinity"#);
    check(r#""trained_betas": null, "prediction_type": null"#);
}

#[test]
fn what_we_do_not_have_is_refused_by_name() {
    let check = |class: &str, key: &str, value: &str| {
        let text = format!(r#"{{"_class_name": "{class}", "{key}": {value}}}"#);
        let error = SamplerConfig::from_json(&text)
            .expect_err(&text)
            .to_string();
        assert!(
            error.contains(key) && error.contains("supported: "),
            "{error}"
        );
        assert!(error.contains(value.trim_matches('"')), "{error}");
    };
    for (key, value) in [
        ("use_karras_sigmas", "true"),
        ("use_exponential_sigmas", "true"),
        ("use_beta_sigmas", "true"),
        ("use_lu_lambdas", "true"),
        ("use_flow_sigmas", "true"),
        ("use_dynamic_shifting", "true"),
        ("rescale_betas_zero_snr", "true"),
        ("trained_betas", "[0.1,0.2]"),
        ("algorithm_type", r#""sde-dpmsolver++""#),
        ("algorithm_type", r#""dpmsolver""#),
        ("solver_type", r#""ralston""#),
        ("solver_order", "3"),
        ("solver_order", "0"),
        ("prediction_type", r#""flow_prediction""#),
        ("beta_schedule", r#""squaredcos_cap_v2""#),
        ("timestep_spacing", r#""karras""#),
        ("final_sigmas_type", r#""one""#),
        ("beta_end", "1.5"),
        ("beta_start", "-0.1"),
        ("num_train_timesteps", "1"),
        ("num_train_timesteps", "1.5"),
        ("lower_order_final", "1"),
        ("lambda_min_clipped", "NaN"),
    ] {
        check("DPMSolverMultistepScheduler", key, value);
    }
    check("DDIMScheduler", "rescale_betas_zero_snr", "true");
    check("DDIMScheduler", "timestep_spacing", r#""respaced""#);
    check("DDPMScheduler", "variance_type", r#""fixed_small""#);
    check("IDDPM", "variance_type", r#""fixed_large""#);
    check("IDDPM", "timestep_spacing", r#""trailing""#);
    check("IDDPM", "steps_offset", "1");
    check("DDIMScheduler", "clip_sample_range", "-1.0");

    let unknown = SamplerConfig::from_json(r#"{"_class_name": "UniPCMultistepScheduler"}"#);
    let unknown = unknown.unwrap_err().to_string();
    assert!(
        unknown.contains("UniPC") && unknown.contains("DDIMScheduler"),
        "{unknown}"
    );
    let nameless = SamplerConfig::from_json("{}").unwrap_err();
    assert!(matches!(
        nameless,
        SamplerError::NotSupported {
            key: "_class_name",
            ..
        }
    ));
    for broken in ["", "[]", "{", r#"{"a": "b}"#] {
        let error = SamplerConfig::from_json(broken).unwrap_err();
        assert!(
            matches!(error, SamplerError::NotJson(_)),
            "{broken}: {error}"
        );
    }
}

#[test]
fn another_sampler_keeps_the_training() {
    let shipped = config("dpm-as-avatars-dit");
    let ddim = shipped.with_kind(SamplerKind::Ddim);
    assert_eq!(ddim.kind(), SamplerKind::Ddim);
    assert_eq!(ddim.betas, shipped.betas);
    assert_eq!(ddim.prediction, Prediction::Velocity);
    assert_eq!(ddim.clean_range, CleanRange::Unlimited);
    assert_eq!(ddim.spacing, TimestepSpacing::Leading);

    let same = config("ddim-clip-v").with_kind(SamplerKind::Ddim);
    assert_eq!(same, config("ddim-clip-v"), "the same kind changes nothing");
    let dpm = ddim.with_kind(SamplerKind::DpmSolver);
    assert_eq!(dpm.kind(), SamplerKind::DpmSolver);
    assert_eq!(dpm.spacing, TimestepSpacing::Linspace);
    let iddpm = config("ddim-as-dit-xl-2").with_kind(SamplerKind::Iddpm);
    assert_eq!(
        iddpm,
        SamplerConfig::open_sora(),
        "both were trained with linear betas"
    );
}
