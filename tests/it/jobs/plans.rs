//! The plan library: plans that do not fit, plans that people bring.

use dfa_native_worker::jobs::{PlanLibraryError, SubmitError};

use super::{calibrate, config, open, request, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_for_another_run_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = open(config(&dir)).await;
    let made = run(&jobs, calibrate(2)).await;
    let plan = made.result.unwrap().plan.unwrap();
    let text = format!(r#"{{"kind":"generate",MODEL,"steps":3,"plan":"{plan}"}}"#);
    let refused = jobs.submit(request(&text), None).await;
    assert!(
        matches!(&refused, Err(SubmitError::Invalid(error)) if error.field == "plan"),
        "{refused:?}"
    );
    let text = format!(
        r#"{{"kind":"generate","model":"avatars-dit","guidance_scale":3,"labels":[0],"plan":"{plan}","allow_mismatch":["guidance_scale"]}}"#
    );
    run(&jobs, request(&text)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_come_in_from_people_and_every_problem_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = open(config(&dir)).await;
    let settings = Default::default();
    let table = b"step,block,strategy\n0,0,full\n1,0,ast\n";
    let error = jobs.import_plan(table, &settings).await;
    assert!(
        matches!(&error, Err(PlanLibraryError::Unreadable { problems }) if problems[0].contains("window"))
    );
    let mut with_window = settings;
    with_window.n_tokens = Some(64);
    let made = jobs.import_plan(table, &with_window).await.unwrap();
    assert!(made.is_new);
    assert!(!jobs.import_plan(table, &with_window).await.unwrap().is_new);
    let page = jobs.plans(None, 0).await.unwrap();
    assert_eq!(page.plans, [made.plan]);
    assert_eq!(jobs.plans(Some("nonsense"), 0).await.unwrap().plans, []);
    let bad = br#"{"format":"dfa-plan","version":1,"strategies":[["asc"],["nope"]],"window":{"left":1,"right":1}}"#;
    match jobs.import_plan(bad, &settings).await {
        Err(PlanLibraryError::Unreadable { problems }) => assert!(!problems.is_empty()),
        other => panic!("{other:?}"),
    }
}
