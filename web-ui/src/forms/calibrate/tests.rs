//! The form as texts, as a job and as an address.

use super::*;
use crate::forms::examples::capabilities;
use dfa_core::search::default_candidates;
use dfa_core::wire::JobRequest;

fn form_with(changes: &[(Field, &str)]) -> CalibrateForm {
    let mut form = CalibrateForm::new(&capabilities());
    for &(field, text) in changes {
        form.set(field, text);
    }
    form
}

/// The job as JSON, or the problems as `field: words`.
fn outcome(form: &CalibrateForm) -> String {
    match form.check(&capabilities()) {
        Ok(job) => serde_json::to_string(&JobRequest::Calibrate(job)).unwrap(),
        Err(problems) => {
            let lines = problems
                .iter()
                .map(|it| format!("{}: {}", it.field.as_str(), it.words));
            lines.collect::<Vec<_>>().join("\n")
        }
    }
}

#[test]
fn the_defaults_are_a_job_that_records_every_loss() {
    let text = outcome(&form_with(&[]));
    let expected = concat!(
        r#"{"kind":"calibrate","model":"avatars-dit","labels":[],"n_images":null,"size":null,"#,
        r#""steps":50,"sampler":null,"guidance_scale":4.0,"seed":0,"residual_half":null,"#,
        r#""threshold":0.05,"window":"1/8","loss":"relative","candidates":null,"#,
        r#""search":"record-all"}"#
    );
    assert_eq!(text, expected);
}

#[test]
fn what_is_typed_is_what_is_asked() {
    let form = form_with(&[
        (Field::Labels, "1, 3"),
        (Field::NImages, "4"),
        (Field::Size, "128x64"),
        (Field::Steps, "6"),
        (Field::Sampler, "ddim"),
        (Field::Threshold, "d4"),
        (Field::Window, "16,8"),
        (Field::Candidates, "wa_rs,ast"),
        (Field::Search, "exact"),
        (Field::Seed, "18446744073709551615"),
        (Field::ResidualHalf, "first"),
    ]);
    let expected = concat!(
        r#"{"kind":"calibrate","model":"avatars-dit","labels":[1,3],"n_images":4,"#,
        r#""size":"128x64","steps":6,"sampler":"ddim","guidance_scale":4.0,"#,
        r#""seed":18446744073709551615,"residual_half":"first","threshold":0.1,"#,
        r#""window":"16,8","loss":"relative","candidates":["wa_rs","ast"],"search":"exact"}"#
    );
    assert_eq!(outcome(&form), expected);
}

#[test]
fn a_text_model_is_asked_with_prompts_and_a_video_model_with_frames() {
    let worker = capabilities();
    let mut form = form_with(&[
        (Field::Labels, "1"),
        (Field::Steps, "9"),
        (Field::Prompts, "a fox, red\n\na tram"),
        (Field::NegativePrompt, "blur"),
        (Field::NumFrames, "8"),
    ]);
    form.choose_model("pixart", &worker);
    let expected = concat!(
        r#"{"kind":"calibrate","model":"pixart","labels":[],"prompts":["a fox, red","a tram"],"#,
        r#""negative_prompt":"blur","n_images":null,"size":null,"steps":9,"sampler":null,"#,
        r#""guidance_scale":4.5,"#
    );
    assert!(outcome(&form).starts_with(expected), "{}", outcome(&form));
    form.choose_model("open-sora", &worker);
    form.set(Field::Fps, "8.5");
    let text = outcome(&form);
    assert!(
        text.contains(r#""num_frames":8,"fps":8.5,"steps":9,"sampler":null,"guidance_scale":7.0"#),
        "{text}"
    );
    form.set(Field::NImages, "1");
    form.set(Field::NumFrames, "65");
    form.set(Field::Fps, "0");
    let expected = "n_images: 2 prompts are given: give at least 2 inputs, or none for one per \
                    prompt.\nnum_frames: Give a whole number from 1 to 64.\nfps: Give a number \
                    above 0, up to 1000.";
    assert_eq!(outcome(&form), expected);
    let job = form_with(&[]).check(&worker).unwrap();
    assert!(job.prompts.is_empty() && job.num_frames.is_none());
}

#[test]
fn an_address_of_another_model_holds_what_differs_from_its_defaults() {
    let worker = capabilities();
    let mut form = form_with(&[]);
    form.choose_model("open-sora", &worker);
    form.set(Field::Prompts, "a\nb");
    let link = form.to_link(Link::parse("#calibrate"), &worker);
    assert_eq!(link.get("model"), Some("open-sora"));
    assert_eq!(
        (link.get("steps"), link.get("prompts")),
        (None, Some("a\nb"))
    );
    assert_eq!(
        CalibrateForm::from_link(&Link::parse(&link.to_string()), &worker),
        form
    );
}

#[test]
fn problems_are_found_at_their_fields_all_at_once() {
    let check = |changes: &[(Field, &str)], expected: &str| {
        let found = outcome(&form_with(changes));
        assert!(found.starts_with(expected), "{changes:?}: {found}");
    };
    check(&[(Field::Model, "other")], "model: This worker does not");
    check(
        &[(Field::Labels, "99")],
        "labels: The model has no class 99",
    );
    check(&[(Field::Labels, "micah")], "labels: Classes are given");
    check(
        &[(Field::NImages, "65")],
        "n_images: Give a whole number from 1 to 64",
    );
    check(
        &[(Field::Labels, "1,2,3"), (Field::NImages, "2")],
        "n_images: 3 classes are chosen",
    );
    check(
        &[(Field::Steps, "")],
        "steps: Give a whole number from 1 to 1000",
    );
    check(&[(Field::Threshold, "D9")], "threshold: A threshold is");
    check(&[(Field::Window, "1/0")], "window: A window is N");
    check(
        &[(Field::GuidanceScale, "-1")],
        "guidance_scale: Give a number",
    );
    check(&[(Field::Candidates, "full")], "candidates: Full is not");
    check(
        &[(Field::Candidates, "")],
        "candidates: Choose at least one",
    );
    check(
        &[(Field::Candidates, "asc"), (Field::GuidanceScale, "1")],
        "candidates: Choose at least one",
    );
    check(
        &[(Field::Steps, "0"), (Field::Seed, "x")],
        "steps: Give a whole number from 1 to 1000.\nseed: Give a whole",
    );
}

#[test]
fn without_guidance_nothing_is_shared_between_branches() {
    let form = form_with(&[(Field::GuidanceScale, "1")]);
    assert_eq!(form.tried_candidates(), default_candidates(false));
    assert!(outcome(&form).contains(r#""candidates":null"#));
    let measured = form.measurements(&capabilities()).unwrap();
    assert_eq!(measured.most, 49 * 6 * 2);
}

#[test]
fn candidates_are_chosen_and_put_in_order() {
    let mut form = form_with(&[]);
    form.toggle_candidate(Strategy::ShareSteps);
    form.toggle_candidate(Strategy::WindowOnly);
    form.raise_candidate(Strategy::WindowOnly);
    assert_eq!(form.get(Field::Candidates), "wa_rs+asc,wa_rs,wa,asc");
    form.raise_candidate(Strategy::WindowResidualShareCfg);
    assert_eq!(form.get(Field::Candidates), "wa_rs+asc,wa_rs,wa,asc");
}

#[test]
fn classes_are_chosen_and_dropped() {
    let mut form = form_with(&[]);
    form.toggle_label(3);
    form.toggle_label(1);
    assert_eq!(form.get(Field::Labels), "3,1");
    form.toggle_label(3);
    assert_eq!(form.labels(), [1]);
}

#[test]
fn an_address_holds_what_differs_from_the_defaults() {
    let worker = capabilities();
    let form = form_with(&[(Field::Threshold, "0.08"), (Field::Labels, "1,2")]);
    let link = form.to_link(Link::parse("#calibrate?seed=5"), &worker);
    assert_eq!(link.to_string(), "#calibrate?labels=1,2&threshold=0.08");
    assert_eq!(CalibrateForm::from_link(&link, &worker), form);
}

#[test]
fn a_job_can_be_asked_for_again() {
    let worker = capabilities();
    let form = form_with(&[
        (Field::Labels, "1,2"),
        (Field::Size, "64x32"),
        (Field::Candidates, "ast"),
        (Field::Sampler, "ddim"),
        (Field::ResidualHalf, "first"),
    ]);
    let job = form.check(&worker).unwrap();
    let again = CalibrateForm::from_job(&job, &worker);
    assert_eq!(again.check(&worker), Ok(job));
}
