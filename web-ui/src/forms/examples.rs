//! A worker to test forms with.

use dfa_core::wire::ContentHash;
use dfa_core::wire::job_request::JobKind;
use dfa_core::wire::pixel_size::PixelSize;
use dfa_core::wire::service::{
    Capabilities, ClassView, DefaultsView, DeviceView, LimitsView, ModelDefaults, ModelMakes,
    ModelTakes, ModelView, NamedThreshold, StrategyView,
};

pub(crate) fn capabilities() -> Capabilities {
    let texts = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Capabilities {
        version: "0.1.0".into(),
        kinds: JobKind::ALL.into(),
        models: vec![model(), text_model(), video_model()],
        devices: vec![DeviceView {
            id: "cpu".into(),
            name: "CPU".into(),
        }],
        strategies: dfa_core::Strategy::ALL.map(strategy).into(),
        losses: texts(&["relative", "relative_signed"]),
        samplers: texts(&["ddim", "dpm-solver++", "iddpm"]),
        search_modes: texts(&["exact", "record-all"]),
        thresholds: vec![NamedThreshold {
            name: "D2".into(),
            value: 0.05,
        }],
        limits: limits(),
        defaults: DefaultsView {
            model: "avatars-dit".into(),
            steps: 50,
            guidance_scale: 4.0,
            threshold: 0.05,
            loss: "relative".into(),
            window: "1/8".into(),
        },
    }
}

fn strategy(strategy: dfa_core::Strategy) -> StrategyView {
    StrategyView {
        id: strategy.as_str().into(),
        paper_name: strategy.paper_name().into(),
        is_candidate: dfa_core::Strategy::CANDIDATES.contains(&strategy),
        needs_guidance: strategy.shares_cfg(),
    }
}

fn limits() -> LimitsView {
    LimitsView {
        max_queued_jobs: 8,
        max_steps: 1000,
        max_images: 64,
        max_batch_size: 64,
        max_side: 512,
        max_tokens: 16384,
        max_frames: 64,
        max_prompt_chars: 65_536,
        max_body_bytes: 2_000_000,
        max_json_depth: 32,
    }
}

fn model() -> ModelView {
    let names = ["adventurer", "micah", "clownfish, anemone fish", "goldfish"];
    let classes = (0..).zip(names).map(|(index, name)| ClassView {
        index,
        name: name.into(),
    });
    ModelView {
        id: "avatars-dit".into(),
        object: "model".into(),
        created: 0,
        owned_by: "local".into(),
        family: "DiT".into(),
        takes: ModelTakes::Classes,
        makes: ModelMakes::Images,
        defaults: ModelDefaults {
            steps: 50,
            guidance_scale: 4.0,
            n_calibration_inputs: 8,
            num_frames: None,
            fps: None,
        },
        weights_sha256: ContentHash::of(b""),
        n_blocks: 6,
        n_heads: 4,
        width: 128,
        n_tokens: 1024,
        size: PixelSize {
            width: 64,
            height: 64,
        },
        size_multiple: 2,
        pixels_per_latent: 1,
        patch_size: 2,
        sampler: "dpm-solver++".into(),
        n_classes: 16,
        classes: classes.collect(),
    }
}

fn text_model() -> ModelView {
    ModelView {
        id: "pixart".into(),
        family: "PixArt-Sigma".into(),
        takes: ModelTakes::Text,
        defaults: ModelDefaults {
            guidance_scale: 4.5,
            n_calibration_inputs: 6,
            ..model().defaults
        },
        size_multiple: 16,
        pixels_per_latent: 8,
        n_classes: 0,
        classes: Vec::new(),
        ..model()
    }
}

fn video_model() -> ModelView {
    ModelView {
        id: "open-sora".into(),
        family: "Open-Sora".into(),
        makes: ModelMakes::Videos,
        defaults: ModelDefaults {
            steps: 200,
            guidance_scale: 7.0,
            n_calibration_inputs: 4,
            num_frames: Some(16),
            fps: Some(24.0),
        },
        size: PixelSize {
            width: 426,
            height: 240,
        },
        size_multiple: 1,
        ..text_model()
    }
}
