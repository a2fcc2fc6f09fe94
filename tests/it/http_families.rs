//! Models that take text, and models that make videos, over HTTP: from a prompt to a plan,
//! a picture, a comparison, on tiny folders of both families.

use dfa_native_worker::picture::mp4::ffmpeg_version;
use dfa_tests::fixtures::{fixture, shipped_model};
use dfa_tests::worker::TestWorker;
use serde_json::{Value, json};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const PIXART: &str = "pixart-tiny";
const OPEN_SORA: &str = "open-sora-tiny";

/// A worker with a model of every family.
fn worker() -> TestWorker {
    TestWorker::start_with(|mut settings| {
        let tiny = [PIXART, OPEN_SORA].map(|name| fixture("families").join(name));
        settings.jobs.models = [shipped_model()].into_iter().chain(tiny).collect();
        settings
    })
}

fn succeeded(worker: &TestWorker, request: &Value) -> Value {
    let answer = worker.post("/v1/jobs", request);
    assert_eq!(answer.status, 202, "{request}: {}", answer.text());
    let path = format!("/v1/jobs/{}?wait=60", answer.json()["id"].as_str().unwrap());
    let job = worker.get(&path).json();
    assert_eq!(job["state"], "succeeded", "{job}");
    job
}

/// Roles and media types of the artifacts with an image index.
fn kinds(job: &Value) -> Vec<(String, String, u64)> {
    let artifacts = job["result"]["artifacts"].as_array().unwrap();
    let kinds = artifacts.iter().filter_map(|it| {
        let text = |name: &str| it[name].as_str().unwrap().to_owned();
        Some((
            text("role"),
            text("media_type"),
            it["image_index"].as_u64()?,
        ))
    });
    let mut kinds: Vec<_> = kinds.collect();
    kinds.sort();
    kinds
}

fn expected_kinds(kinds: &[(&str, &str, u64)]) -> Vec<(String, String, u64)> {
    let kinds = kinds.iter();
    kinds
        .map(|&(role, media_type, index)| (role.into(), media_type.into(), index))
        .collect()
}

#[test]
fn models_say_what_they_take_and_make() {
    let worker = worker();
    let check = |id: &str, expected: Value| {
        let model = worker.get(&format!("/v1/models/{id}")).json();
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&model[name], value, "{name} of {id}");
        }
    };
    check(
        "avatars-dit",
        json!({"family": "DiT", "takes": "classes", "makes": "images", "n_classes": 16,
            "pixels_per_latent": 1, "size_multiple": 4}),
    );
    check(
        PIXART,
        json!({"family": "PixArt-Sigma", "takes": "text", "makes": "images", "n_classes": 0,
            "defaults": {"steps": 50, "guidance_scale": 4.5, "n_calibration_inputs": 6,
                "num_frames": null, "fps": null}}),
    );
    check(
        OPEN_SORA,
        json!({"family": "Open-Sora", "takes": "text", "makes": "videos", "size": "426x240",
            "size_multiple": 1,
            "defaults": {"steps": 200, "guidance_scale": 7.0, "n_calibration_inputs": 4,
                "num_frames": 16, "fps": 24.0}}),
    );
}

#[test]
fn what_a_model_does_not_take_is_refused_with_the_field_and_the_remedy() {
    let worker = worker();
    let check = |request: Value, param: &str, part: &str| {
        let answer = worker.post("/v1/jobs", &request);
        assert_eq!(answer.status, 400, "{request}: {}", answer.text());
        let error = &answer.json()["error"];
        assert_eq!(error["param"], param, "{request}: {error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(part), "{request}: {message}");
    };
    let of = |model: &str, more: Value| {
        let mut request = json!({"kind": "generate", "model": model});
        request
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        request
    };
    check(of(PIXART, json!({"labels": [1]})), "labels", "give prompts");
    check(of(PIXART, json!({})), "prompts", "give a text per image");
    check(
        of(PIXART, json!({"prompts": ["a", "b"], "n_images": 1})),
        "n_images",
        "one label or prompt",
    );
    check(
        of(PIXART, json!({"prompts": ["a"], "num_frames": 2})),
        "num_frames",
        "makes images of a text",
    );
    check(
        of(PIXART, json!({"prompts": ["a"], "size": "50x48"})),
        "size",
        "multiple",
    );
    check(
        of(OPEN_SORA, json!({"prompts": ["a"], "num_frames": 65})),
        "num_frames",
        "from 1 to 64",
    );
    check(
        of(OPEN_SORA, json!({"prompts": ["a"], "fps": 0})),
        "fps",
        "above 0",
    );
    check(
        of(
            OPEN_SORA,
            json!({"prompts": ["a"], "num_frames": 64, "size": "2048x2048"}),
        ),
        "size",
        "fewer frames",
    );
    let long = "x".repeat(100_001);
    check(
        of(PIXART, json!({"prompts": ["a"], "negative_prompt": long})),
        "negative_prompt",
        "100001",
    );
}

#[test]
fn a_text_becomes_a_plan_pictures_and_a_comparison() {
    let worker = worker();
    let run = json!({"model": PIXART, "prompts": ["a red kite", "noodle soup, with an egg"],
        "negative_prompt": "blurry", "steps": 4, "seed": 3});
    let job = |kind: &str, more: Value| {
        let mut request = run.clone();
        request["kind"] = kind.into();
        request
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        succeeded(&worker, &request)
    };
    let calibrated = job("calibrate", json!({"threshold": 0.3}));
    let plan = &calibrated["result"]["plan"];
    let file = worker.get(&format!("/v1/plans/{}", plan.as_str().unwrap()));
    let prompts = &run["prompts"];
    assert_eq!(
        &file.json()["provenance"]["inputs"]["prompts"],
        prompts,
        "{}",
        file.text()
    );
    let made = job("generate", json!({"plan": plan}));
    let expected = [("image", "image/png", 0), ("image", "image/png", 1)];
    assert_eq!(kinds(&made), expected_kinds(&expected));
    let compared = job(
        "compare",
        json!({"plan": plan, "n_images": 1, "prompts": ["a red kite"]}),
    );
    let expected = [
        ("compressed_image", "image/png", 0),
        ("raw_image", "image/png", 0),
    ];
    assert_eq!(kinds(&compared), expected_kinds(&expected));
    assert_eq!(
        compared["result"]["report"]["images"][0]["label"],
        "a red kite"
    );
}

#[test]
fn a_text_becomes_a_video_that_moves() {
    let worker = worker();
    let run = json!({"kind": "generate", "model": OPEN_SORA, "prompts": ["waves"], "steps": 3,
        "num_frames": 3, "fps": 24, "size": "64x48", "seed": 3});
    let made = succeeded(&worker, &run);
    let mut expected = vec![("strip", "image/png", 0), ("video", "image/apng", 0)];
    if ffmpeg_version().is_some() {
        expected.push(("video_mp4", "video/mp4", 0));
    }
    assert_eq!(kinds(&made), expected_kinds(&expected));
    let artifacts = made["result"]["artifacts"].as_array().unwrap();
    let video = artifacts.iter().find(|it| it["role"] == "video").unwrap();
    let video = worker.get(video["href"].as_str().unwrap());
    assert_eq!(video.header("content-type"), "image/apng");
    assert_eq!(video.header("x-content-type-options"), "nosniff");
    assert!(video.header("content-disposition").starts_with("inline"));
    assert_animated(&video.body, 3);
    let strip = artifacts.iter().find(|it| it["role"] == "strip").unwrap();
    let strip = worker.get(strip["href"].as_str().unwrap());
    assert!(strip.body.starts_with(PNG));
    assert!(!has_chunk(&strip.body, b"acTL"));
}

#[test]
fn openais_route_draws_what_a_text_says() {
    let worker = worker();
    let ask = |more: Value| {
        let mut body = json!({"prompt": "a tram at night", "num_inference_steps": 2, "seed": 7,
            "response_format": "b64_json"});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let answer = worker.post("/v1/images/generations", &body);
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        let answer = answer.json();
        let picture = answer["data"][0]["b64_json"].as_str().unwrap().to_owned();
        (picture, answer["warnings"].clone())
    };
    let (plain, warnings) = ask(json!({"model": PIXART}));
    assert_eq!(warnings, json!([]));
    let (led_away, warnings) = ask(json!({"model": PIXART, "negative_prompt": "rain"}));
    assert_eq!(warnings, json!([]));
    assert_ne!(plain, led_away, "the negative prompt has an effect");
    let video = json!({"model": OPEN_SORA, "num_frames": 2, "size": "64x48"});
    let (video, warnings) = ask(video);
    assert!(warnings.to_string().contains("animated PNG"), "{warnings}");
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, video).unwrap();
    assert_animated(&bytes, 2);
}

/// The position of the first chunk of a kind; text of that kind elsewhere would mislead it,
/// compressed data hardly ever has it.
fn place_of(png: &[u8], kind: &[u8; 4]) -> Option<usize> {
    png.windows(4).position(|window| window == kind)
}

fn has_chunk(png: &[u8], kind: &[u8; 4]) -> bool {
    place_of(png, kind).is_some()
}

/// A PNG whose animation has so many frames and repeats for ever.
fn assert_animated(png: &[u8], n_frames: u32) {
    assert!(png.starts_with(PNG));
    let place = place_of(png, b"acTL").unwrap();
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    assert_eq!((number(place + 4), number(place + 8)), (n_frames, 0));
}
