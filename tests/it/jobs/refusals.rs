//! Requests that are refused before anything is kept.

use dfa_native_worker::jobs::{JobFilter, SubmitError};

use super::{config, open, request};

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_cannot_be_done_name_the_field() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = open(config(&dir)).await;
    let check = async |text: &str, field: &str| match jobs.submit(request(text), None).await {
        Err(SubmitError::Invalid(error)) => assert_eq!(error.field, field, "{text}: {error}"),
        other => panic!("{text}: {other:?}"),
    };
    check(r#"{"kind":"generate","model":"../etc"}"#, "model").await;
    check(
        r#"{"kind":"generate",MODEL,"labels":["no such class"]}"#,
        "labels",
    )
    .await;
    check(
        r#"{"kind":"generate",MODEL,"labels":[4000000000]}"#,
        "labels",
    )
    .await;
    check(r#"{"kind":"generate",MODEL,"steps":0}"#, "steps").await;
    check(r#"{"kind":"generate",MODEL,"steps":1001}"#, "steps").await;
    check(r#"{"kind":"generate",MODEL,"n_images":0}"#, "n_images").await;
    check(
        r#"{"kind":"generate",MODEL,"n_images":4000000000}"#,
        "n_images",
    )
    .await;
    check(r#"{"kind":"generate",MODEL,"batch_size":0}"#, "batch_size").await;
    check(r#"{"kind":"generate",MODEL,"size":"0x64"}"#, "size").await;
    check(r#"{"kind":"generate",MODEL,"size":"63x64"}"#, "size").await;
    check(
        r#"{"kind":"generate",MODEL,"size":"4000000000x64"}"#,
        "size",
    )
    .await;
    check(
        r#"{"kind":"calibrate",MODEL,"candidates":["full"]}"#,
        "candidates",
    )
    .await;
    check(
        r#"{"kind":"generate",MODEL,"prompts":["a fox"]}"#,
        "prompts",
    )
    .await;
    check(
        r#"{"kind":"calibrate",MODEL,"negative_prompt":"blur"}"#,
        "negative_prompt",
    )
    .await;
    check(r#"{"kind":"generate",MODEL,"num_frames":16}"#, "num_frames").await;
    check(r#"{"kind":"generate",MODEL,"num_frames":65}"#, "num_frames").await;
    check(r#"{"kind":"generate",MODEL,"fps":24}"#, "fps").await;
    let many = format!(r#"{{"kind":"generate",MODEL,"prompts":{:?}}}"#, ["x"; 65]);
    check(&many, "prompts").await;
    let hash = "0".repeat(64);
    let text = format!(r#"{{"kind":"compare",MODEL,"plan":"{hash}"}}"#);
    check(&text, "plan").await;
    assert_eq!(
        jobs.list(&JobFilter::default()).await.unwrap().jobs.len(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_once_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = open(config(&dir)).await;
    let text = r#"{"kind":"generate",MODEL,"steps":1000}"#;
    let refused = jobs.submit(request(text), None).await.unwrap_err();
    let expected = "steps: 1000 steps do not fit the 1000 timesteps of the training with this \
                    sampler; choose another number of steps, or another sampler";
    assert_eq!(refused.to_string(), expected);
    let text = r#"{"kind":"generate",MODEL,"prompts":["a fox"]}"#;
    let refused = jobs.submit(request(text), None).await.unwrap_err();
    let expected = "prompts: it is not for DiT models; the model makes images of classes: give \
                    labels and leave it out";
    assert_eq!(refused.to_string(), expected);
    let long = "x".repeat(65_537);
    let text = format!(r#"{{"kind":"generate",MODEL,"prompts":["a","{long}"]}}"#);
    let refused = jobs.submit(request(&text), None).await.unwrap_err();
    let expected = "prompts: prompt 2 has 65537 characters; give at most 65536";
    assert_eq!(refused.to_string(), expected);
}
