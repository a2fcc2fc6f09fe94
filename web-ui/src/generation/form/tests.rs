//! Forms and requests, and what is wrong with some.

use dfa_core::wire::ContentHash;

use super::*;
use crate::forms::examples::capabilities;

const LIMITS: LimitsView = LimitsView {
    max_queued_jobs: 4,
    max_steps: 100,
    max_images: 16,
    max_batch_size: 4,
    max_side: 512,
    max_tokens: 1024,
    max_frames: 20,
    max_prompt_chars: 100,
    max_body_bytes: 1 << 20,
    max_json_depth: 16,
};

fn form() -> GenerateForm {
    GenerateForm {
        model: "tiny".into(),
        plan: ContentHash::of(b"a plan").to_string(),
        labels: "micah, 3,\n Bottts ,".into(),
        n_images: "2".into(),
        seed: "7".into(),
        guidance_scale: "1.5".into(),
        ..GenerateForm::default()
    }
}

#[test]
fn a_form_is_a_request_and_a_request_is_a_form() {
    for wish in [Wish::Compare, Wish::Generate] {
        let form = GenerateForm { wish, ..form() };
        let request = form.request(None, &LIMITS).unwrap();
        let again = GenerateForm::of(&request).unwrap();
        assert_eq!(again.labels, "micah, 3, Bottts");
        assert_eq!(again.request(None, &LIMITS).unwrap(), request);
    }
}

#[test]
fn empty_fields_are_left_to_the_worker() {
    let form = GenerateForm {
        wish: Wish::Generate,
        plan: String::new(),
        n_images: " ".into(),
        seed: String::new(),
        guidance_scale: String::new(),
        ..form()
    };
    let JobRequest::Generate(job) = form.request(None, &LIMITS).unwrap() else {
        panic!("not asked to compare");
    };
    assert_eq!((job.plan, job.n_images, job.steps), (None, None, None));
    assert_eq!((job.seed, job.guidance_scale, job.batch_size), (0, None, 4));
}

#[test]
fn texts_and_videos_are_asked_for_by_models_that_take_them() {
    let models = capabilities().models;
    let [classes, text, video] = &models[..] else {
        panic!("three models");
    };
    let mut form = GenerateForm {
        wish: Wish::Generate,
        plan: String::new(),
        n_images: "4".into(),
        model: classes.id.clone(),
        prompts: "a fox\na tram, at night".into(),
        negative_prompt: " blur ".into(),
        num_frames: "8".into(),
        size: "64x64".into(),
        ..form()
    };
    let job = |form: &GenerateForm, model| match form.request(Some(model), &LIMITS) {
        Ok(JobRequest::Generate(job)) => job,
        other => panic!("{other:?}"),
    };
    assert!(job(&form, classes).prompts.is_empty());
    form.choose_model("pixart", &models);
    let asked = job(&form, text);
    assert_eq!(asked.prompts, ["a fox", "a tram, at night"]);
    assert_eq!(asked.negative_prompt.as_deref(), Some("blur"));
    assert_eq!(
        (asked.n_images, asked.num_frames, asked.labels.len()),
        (None, None, 0)
    );
    form.choose_model("open-sora", &models);
    assert_eq!(form.n_images, "1");
    form.n_images = "2".into();
    let asked = job(&form, video);
    assert_eq!((asked.num_frames, asked.batch_size), (Some(8), 1));
    assert_eq!(
        asked.size.map(|size| size.to_string()).as_deref(),
        Some("64x64")
    );
    let again = GenerateForm::of(&JobRequest::Generate(asked.clone())).unwrap();
    assert_eq!(job(&again, video), asked);
    form.prompts = " ".into();
    let problems = form.request(Some(video), &LIMITS).unwrap_err();
    assert_eq!(problems[0].field, Field::Prompts);
}

#[test]
fn every_problem_is_named() {
    let form = GenerateForm {
        plan: "nothing".into(),
        n_images: "17".into(),
        seed: "-1".into(),
        steps: "0".into(),
        guidance_scale: "inf".into(),
        ..form()
    };
    let problems = form.request(None, &LIMITS).unwrap_err();
    let fields: Vec<_> = problems
        .iter()
        .map(|problem| problem.field.param())
        .collect();
    assert_eq!(
        fields,
        ["plan", "n_images", "seed", "steps", "guidance_scale"]
    );
    assert!(problems[1].words.contains("16"), "{problems:?}");
}
