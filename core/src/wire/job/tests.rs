//! Job requests as JSON: defaults, forms of values, refusals.

use super::*;
use crate::Window;
use crate::search::{SearchMode, Threshold};
use crate::window::WindowChoice;
use crate::wire::job_request::{CalibrateJob, Label};
use alloc::string::ToString;
use alloc::vec;

fn calibrate(text: &str) -> CalibrateJob {
    match serde_json::from_str(text) {
        Ok(JobRequest::Calibrate(job)) => job,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn what_is_left_out_has_the_command_lines_defaults() {
    let job = calibrate(r#"{"kind":"calibrate","model":"avatars-dit"}"#);
    let default = "D2".parse::<Threshold>().unwrap();
    assert_eq!((job.threshold, job.threshold_or_default()), (None, default));
    assert_eq!((job.target, job.reject_early), (None, false));
    assert_eq!(job.window, "1/8".parse::<WindowChoice>().unwrap());
    assert_eq!(job.search, SearchMode::Exact);
    assert_eq!((job.seed, job.steps, job.n_images), (0, None, None));
    let job = JobRequest::Calibrate(job);
    let text = serde_json::to_string(&job).unwrap();
    assert_eq!(serde_json::from_str::<JobRequest>(&text).unwrap(), job);
}

#[test]
fn a_request_without_text_is_kept_as_before_there_was_any() {
    let text = r#"{"kind":"generate","model":"m"}"#;
    let request: JobRequest = serde_json::from_str(text).unwrap();
    let kept = serde_json::to_string(&request).unwrap();
    for name in ["prompts", "negative_prompt", "num_frames", "fps"] {
        assert!(!kept.contains(name), "{kept}");
    }
    let text = r#"{"kind":"generate","model":"m","prompts":["a, b","c"],"negative_prompt":"",
        "num_frames":16,"fps":24}"#;
    let request: JobRequest = serde_json::from_str(text).unwrap();
    assert_eq!(request.prompts(), ["a, b", "c"]);
    assert_eq!(request.negative_prompt(), Some(""));
    let kept = serde_json::to_string(&request).unwrap();
    assert_eq!(serde_json::from_str::<JobRequest>(&kept).unwrap(), request);
}

#[test]
fn values_have_the_forms_that_people_write() {
    let text = r#"{"kind":"calibrate","model":"m","labels":[3,"fox"],"size":"64x32",
        "sampler":"ddim","threshold":0.25,"window":7,"search":"record-all",
        "candidates":["ast","asc"],"residual_half":"first"}"#;
    let job = calibrate(text);
    let names = [Label::Index(3), Label::Name("fox".into())];
    assert_eq!(job.labels, names);
    assert_eq!(
        job.size.map(|size| size.to_string()).as_deref(),
        Some("64x32")
    );
    assert_eq!(job.threshold.map(Threshold::value), Some(0.25));
    assert_eq!(job.window.for_tokens(256), Window::symmetric(7));
    assert_eq!(job.candidates.map(|list| list.len()), Some(2));
    let check = |window: &str, expected| {
        let text = alloc::format!(r#"{{"kind":"calibrate","model":"m","window":{window}}}"#);
        assert_eq!(calibrate(&text).window.for_tokens(64), expected, "{window}");
    };
    check("0", Window::symmetric(0));
    check("\"1/4\"", Window::symmetric(16));
    check("\"2,3\"", Window { left: 2, right: 3 });
}

#[test]
fn bad_requests_are_refused_by_name() {
    let check = |text: &str, part: &str| {
        let error = serde_json::from_str::<JobRequest>(text)
            .expect_err(text)
            .to_string();
        assert!(error.contains(part), "{text}: {error}");
    };
    check(r#"{"model":"m"}"#, "kind");
    check(r#"{"kind":"train","model":"m"}"#, "train");
    check(r#"{"kind":"generate"}"#, "model");
    check(r#"{"kind":"generate","model":"m","stepps":3}"#, "stepps");
    check(r#"{"kind":"compare","model":"m"}"#, "plan");
    check(r#"{"kind":"compare","model":"m","plan":"../x"}"#, "SHA-256");
    check(
        r#"{"kind":"calibrate","model":"m","threshold":-1}"#,
        "threshold",
    );
    check(r#"{"kind":"calibrate","model":"m","threshold":"D7"}"#, "D6");
    check(
        r#"{"kind":"calibrate","model":"m","threshold":[]}"#,
        "number",
    );
    check(r#"{"kind":"calibrate","model":"m","window":-3}"#, "window");
    check(r#"{"kind":"calibrate","model":"m","window":1.5}"#, "window");
    check(
        r#"{"kind":"calibrate","model":"m","sampler":"euler"}"#,
        "euler",
    );
    check(
        r#"{"kind":"calibrate","model":"m","search":"quick"}"#,
        "record-all",
    );
    check(
        r#"{"kind":"calibrate","model":"m","size":"64"}"#,
        "WIDTHxHEIGHT",
    );
    check(r#"{"kind":"calibrate","model":"m","steps":-1}"#, "-1");
    check(r#"{"kind":"calibrate","model":"m","seed":1e99}"#, "u64");
    check("[]", "");
    check("null", "");
}

#[test]
fn states_and_kinds_are_read_from_their_names() {
    for state in JobState::ALL {
        assert_eq!(state.as_str().parse(), Ok(state));
    }
    for kind in JobKind::ALL {
        assert_eq!(kind.as_str().parse(), Ok(kind));
    }
    assert_eq!("done".parse::<JobState>(), Err(UnknownState));
    assert_eq!("train".parse::<JobKind>(), Err(UnknownKind));
    assert_eq!(
        vec![JobState::Succeeded, JobState::Failed, JobState::Cancelled],
        JobState::ALL
            .into_iter()
            .filter(|s| s.is_terminal())
            .collect::<Vec<_>>()
    );
}
