//! A sample of every request: with every field, with what can be `null` as `null`, and with
//! every form that a field may have.

use std::collections::BTreeSet;

use dfa_core::branch::ResidualHalf;
use dfa_core::metric::LossKind;
use dfa_core::sampler::SamplerKind;
use dfa_core::search::{SearchMode, Threshold};
use dfa_core::strategy::Strategy;
use dfa_core::wire::job_request::{CalibrateJob, CompareJob, GenerateJob};
use dfa_core::wire::openai_images::ImagesRequest;
use dfa_core::wire::plan_answer::RedecideRequest;
use dfa_core::wire::service::LoginRequest;
use dfa_core::wire::{ContentHash, FingerprintField, JobRequest};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::observed::{Observed, fields};

pub(super) fn see_requests(observed: &mut Observed) {
    see_jobs(observed);
    see_images(observed);
    let key = json!({"api_key": "secret"});
    assert_fields::<LoginRequest>(&key);
    observed.see_request::<LoginRequest>("LoginRequest", &key, &[]);
    let threshold = json!({"threshold": 0.5});
    assert_fields::<RedecideRequest>(&threshold);
    let named: Vec<Value> = named_thresholds().collect();
    observed.see_request::<RedecideRequest>("RedecideRequest", &threshold, &named);
}

/// The sample has every field of a type that refuses unknown ones.
fn assert_fields<T: DeserializeOwned>(sample: &Value) {
    let names = sample.as_object().into_iter().flat_map(Map::keys);
    let names: BTreeSet<&str> = names.map(String::as_str).collect();
    let expected = fields::<T>();
    let expected = expected.iter().map(String::as_str);
    // What tells the kinds of jobs apart is read before their fields.
    let kind = sample.get("kind").map(|_| "kind");
    assert_eq!(names, expected.chain(kind).collect());
}

fn named_thresholds() -> impl Iterator<Item = Value> {
    Threshold::named().map(|(name, _)| json!({"threshold": name}))
}

fn hash() -> ContentHash {
    ContentHash::of(b"a plan")
}

/// The fields that every kind of job has.
fn job(kind: &str) -> Value {
    json!({
        "kind": kind, "model": "m", "labels": [1, "fox"], "prompts": ["a fox"],
        "negative_prompt": "blur", "n_images": 1, "size": "64x64", "num_frames": 16, "fps": 24.0, "steps": 4,
        "sampler": "ddim", "guidance_scale": 4.0, "seed": 1, "residual_half": "first",
    })
}

fn with(base: &Value, more: &Value) -> Value {
    let mut whole = base.clone();
    for (name, value) in more.as_object().into_iter().flatten() {
        whole[name] = value.clone();
    }
    whole
}

/// A job's request in every form of the fields that every kind has.
fn see_job<T: DeserializeOwned>(observed: &mut Observed, name: &str, full: &Value, more: &[Value]) {
    assert_fields::<T>(full);
    let absent = json!({"negative_prompt": null, "n_images": null, "size": null,
        "num_frames": null, "fps": null, "steps": null, "sampler": null,
        "guidance_scale": null, "residual_half": null});
    let samplers = SamplerKind::ALL.map(|it| json!({"sampler": it.to_string()}));
    let halves = ResidualHalf::ALL.map(|it| json!({"residual_half": it.to_string()}));
    let forms = [&[absent][..], &samplers[..], &halves[..], more].concat();
    let forms: Vec<Value> = forms.into_iter().map(|form| with(full, &form)).collect();
    observed.see_request::<JobRequest>(name, full, &forms);
}

fn see_jobs(observed: &mut Observed) {
    let calibrate = with(
        &job("calibrate"),
        &json!({"threshold": 0.5, "window": 3, "loss": "relative", "candidates": ["ast"], "search": "exact",
            "target": "macs=50%", "reject_early": true}),
    );
    let all: Vec<String> = Strategy::ALL.iter().map(ToString::to_string).collect();
    let mut forms = vec![
        json!({"candidates": all}),
        json!({"candidates": null}),
        json!({"window": "1/8"}),
        json!({"threshold": null, "target": null}),
        json!({"target": "speedup>=1.5"}),
        json!({"target": "psnr>=30"}),
    ];
    forms.extend(named_thresholds());
    forms.extend(LossKind::ALL.map(|it| json!({"loss": it.to_string()})));
    forms.extend(SearchMode::ALL.map(|it| json!({"search": it.as_str()})));
    see_job::<CalibrateJob>(observed, "CalibrateJob", &calibrate, &forms);

    let names = FingerprintField::ALL.map(|it| it.to_string());
    let more = json!({"plan": hash(), "allow_mismatch": names, "batch_size": 8});
    let (generate, compare) = (job("generate"), job("compare"));
    let (generate, compare) = (with(&generate, &more), with(&compare, &more));
    see_job::<GenerateJob>(observed, "GenerateJob", &generate, &[json!({"plan": null})]);
    see_job::<CompareJob>(observed, "CompareJob", &compare, &[]);
}

fn see_images(observed: &mut Observed) {
    let full = json!({
        "prompt": "fox", "model": "m", "n": 1, "size": "64x64", "response_format": "url",
        "output_format": "png", "user": "me", "negative_prompt": "blur", "num_frames": 16,
        "fps": 24.0, "num_inference_steps": 4,
        "guidance_scale": 4.0, "seed": 1, "plan": hash(),
    });
    assert_every_field_is_read(&full);
    let names = full.as_object().into_iter().flat_map(Map::keys);
    let optional = names.filter(|name| *name != "prompt");
    let absent = optional.map(|name| (name.clone(), Value::Null)).collect();
    let forms = [
        Value::Object(absent),
        json!({"size": "auto", "response_format": "b64_json", "plan": "none"}),
    ];
    let forms = forms.map(|form| with(&full, &form));
    observed.see_request::<ImagesRequest>("ImagesRequest", &full, &forms);
}

/// The pattern names every field, so that a new one cannot be forgotten.
fn assert_every_field_is_read(full: &Value) {
    let request: ImagesRequest = serde_json::from_value(full.clone()).unwrap();
    let ImagesRequest {
        prompt,
        model,
        n,
        size,
        response_format,
        output_format,
        user,
        negative_prompt,
        num_frames,
        fps,
        num_inference_steps,
        guidance_scale,
        seed,
        plan,
        unknown,
    } = request;
    assert!(unknown.is_empty(), "{unknown:?}");
    let again = json!({
        "prompt": prompt, "model": model, "n": n, "size": size, "response_format": response_format,
        "output_format": output_format, "user": user, "negative_prompt": negative_prompt,
        "num_inference_steps": num_inference_steps, "guidance_scale": guidance_scale, "seed": seed,
        "num_frames": num_frames, "fps": fps, "plan": plan,
    });
    assert_eq!(&again, full);
}
