//! Files as they come: ours and other programs', whole and broken.

use super::*;
use crate::plan::examples;
use dfa_core::search::SearchMode;
use dfa_core::wire::csv::export_csv;
use dfa_core::wire::reference::export_reference;
use dfa_core::wire::xdit::export_xdit;

fn open(bytes: &[u8], name: &str) -> Result<OpenPlan, RefusedFile> {
    open_file(bytes, name, Origin::File)
}

#[test]
fn every_kind_is_recognised_by_its_contents() {
    let plan = examples::searched(0.1, SearchMode::RecordAll);
    let json = plan.checked.to_json().unwrap();
    let opened = open(format!("\u{feff}{json}").as_bytes(), "x.csv").unwrap();
    assert_eq!(opened.checked, plan.checked);
    assert!(opened.warnings.is_empty() && !opened.window_is_assumed);

    let cells = |opened: &OpenPlan| -> Vec<_> { opened.plan().cells().collect() };
    let table = export_csv(&plan.checked);
    let xdit = export_xdit(plan.plan()).unwrap();
    let reference = export_reference(plan.plan());
    for (bytes, kind) in [
        (table.as_bytes(), FileKind::Table),
        (xdit.as_bytes(), FileKind::Xdit),
        (reference.as_slice(), FileKind::Reference),
    ] {
        assert_eq!(FileKind::of(bytes), Some(kind));
        let opened = open(bytes, "plan.json").unwrap();
        assert_eq!(cells(&opened), cells(&plan), "{kind:?}");
        assert!(opened.window_is_assumed);
        assert!(opened.warnings[0].contains("128 keys on each side are assumed"));
        assert!(opened.warnings.iter().all(|text| text.ends_with('.')));
    }
}

#[test]
fn fixtures_of_other_programs_open() {
    let check = |bytes: &[u8], kind| {
        assert_eq!(FileKind::of(bytes), Some(kind));
        open(bytes, "plan.json").unwrap();
    };
    check(
        include_bytes!("../../../../tests/fixtures/foreign-plans/reference.json"),
        FileKind::Reference,
    );
    check(
        include_bytes!("../../../../tests/fixtures/foreign-plans/bare_pickle.json"),
        FileKind::ReferencePickle,
    );
    check(
        include_bytes!("../../../../tests/fixtures/foreign-plans/xdit_sorted_keys.json"),
        FileKind::Xdit,
    );
}

#[test]
fn the_window_may_stand_in_the_name() {
    let plan = examples::foreign();
    let reference = export_reference(plan.plan());
    let check = |name: &str, expected: Option<(usize, usize)>| {
        let opened = open(&reference, name).unwrap();
        assert_eq!(opened.window_is_assumed, expected.is_none(), "{name}");
        let (left, right) = expected.unwrap_or((128, 128));
        assert_eq!(opened.plan().window(), Window { left, right }, "{name}");
    };
    check("DiT_50_8_0.1_False_[64, 32]_4.json", Some((64, 32)));
    check(
        "DiT_50_8_0.1_False_[-64, 64]_4.json",
        Some((MAX_TOKENS, 64)),
    );
    check("DiT_50_8_0.1.json", None);
    let xdit = export_xdit(plan.plan()).unwrap();
    let opened = open(xdit.as_bytes(), "PixArt_20_6_0.15_512.json").unwrap();
    assert_eq!(opened.plan().window(), Window::symmetric(512));
    let opened = open(xdit.as_bytes(), "plan_512.json").unwrap();
    assert!(opened.window_is_assumed);
}

#[test]
fn every_problem_of_our_file_is_listed_with_a_remedy() {
    let text = r#"{"format":"dfa-plan","version":1,"strategies":[["full","ast"],["magic","asc"]],
        "window":{"left":1,"right":99999999}}"#;
    let refused = open(text.as_bytes(), "broken.json").unwrap_err();
    assert_eq!(refused.kind, Some(FileKind::Plan));
    assert_eq!(refused.problems.len(), 2, "{refused:?}");
    assert!(refused.problems[0].what.starts_with("strategies[1][0]"));
    assert!(refused.problems[1].what.starts_with("window.right"));
    assert!(
        refused
            .problems
            .iter()
            .all(|problem| problem.remedy.ends_with('.'))
    );
    let bad = format!(
        r#"{{"format":"dfa-plan","version":1,"strategies":[[{}"full"]],"window":{{"left":1,"right":1}}}}"#,
        r#""?","#.repeat(60)
    );
    let refused = open(bad.as_bytes(), "broken.json").unwrap_err();
    assert_eq!((refused.problems.len(), refused.n_more), (50, 10));
}

#[test]
fn what_is_no_plan_is_refused_with_a_sentence() {
    let check = |bytes: &[u8], expected: &str| {
        let refused = open(bytes, "file").unwrap_err();
        assert_eq!(refused.problems.len(), 1, "{refused:?}");
        let problem = &refused.problems[0];
        let text = format!("{} {}", problem.what, problem.remedy);
        assert!(text.contains(expected), "{text}");
    };
    check(b"", "is empty");
    check(b"\x89PNG\r\n", "a picture");
    check(b"[1, 2]", "no kind of plan");
    check(b"hello, world", "no kind of plan");
    check(b"{}", "not a readable plan file");
    check(
        br#"{"format":"dfa-report","version":1}"#,
        "report of a comparison",
    );
    check(br#"{"format":"dfa-plan","version":9}"#, "Update this page");
    check(br#"{"block0":{"step0":"CFG_SHARE"}}"#, "unknown strategy");
    check(br#"{"block1":{"step0":"FULL_ATTN"}}"#, "block 0 is missing");
    check(b"step,block,strategy\n0,0,ast\n", "step 0 must be full");
    check(b"step,block\n", "\"strategy\" is missing");
    check(b"PK\x03\x04rubbish", "torch.save");
    let evil = include_bytes!("../../../../tests/fixtures/foreign-plans/evil_global.json");
    check(evil, "nothing is ever executed");
    let bomb = include_bytes!("../../../../tests/fixtures/foreign-plans/bomb.json");
    assert!(open(bomb, "bomb.json").is_err());
}
