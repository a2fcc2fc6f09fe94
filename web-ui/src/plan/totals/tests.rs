//! Totals of made-up plans, held against core's own numbers.

use super::*;
use crate::plan::examples;
use crate::plan::workbench::Region;
use dfa_core::search::{SearchMode, Threshold};
use dfa_core::wire::ContentHash;
use dfa_core::wire::report::{
    REPORT_FORMAT, REPORT_VERSION, ReportCache, ReportCost, ReportModel, ReportPlan,
    ReportSettings, RunTiming, Timings,
};

fn opened() -> OpenPlan {
    examples::searched(0.1, SearchMode::RecordAll)
}

/// A report of a run whose attention took half of 10 seconds.
fn report(opened: &OpenPlan) -> Report {
    let layer = opened.layer_shape().unwrap();
    let timing = RunTiming {
        total_secs: 10.0,
        attention_secs: 5.0,
    };
    Report {
        format: REPORT_FORMAT.into(),
        version: REPORT_VERSION,
        tool_version: "dfa 0.1.0".into(),
        model: ReportModel {
            model_id: "avatars-dit".into(),
            weights_sha256: ContentHash::of(b"weights"),
            n_blocks: examples::SHAPE.n_blocks,
            n_tokens: layer.n_tokens,
            width: layer.width,
        },
        plan: ReportPlan {
            plan_hash: opened.hash(),
            file: None,
            threshold: Some(0.1),
            loss: Some("relative".into()),
            window: opened.plan().window().into(),
            strategies: vec![],
        },
        settings: ReportSettings {
            n_steps: examples::SHAPE.n_steps,
            sampler: dfa_core::sampler::SamplerKind::Ddim,
            guidance_scale: 4.0,
            seed: 7,
            dtype: "f32".into(),
            n_threads: 2,
        },
        cost: ReportCost::of(&PlanCost::of(opened.plan(), layer, true)),
        timings: Timings {
            raw: timing,
            compressed: timing,
        },
        cache: ReportCache {
            predicted_peak_bytes: 0,
            measured_peak_bytes: None,
        },
        images: vec![],
    }
}

#[test]
fn totals_are_those_of_core() {
    let opened = opened();
    let report = report(&opened);
    let question = Question {
        batch: 3,
        report: Some(&report),
    };
    let totals = totals(&opened, opened.plan(), question);
    let cost = PlanCost::of(opened.plan(), opened.layer_shape().unwrap(), true);
    let kept = totals.kept.unwrap();
    assert_eq!(kept.attention_share, cost.attention_kept_share());
    assert_eq!(kept.layer_share, Some(cost.layer_kept_share()));
    let n_cells: usize = totals.counts.iter().map(|count| count.n_cells).sum();
    assert_eq!(n_cells, examples::SHAPE.n_cells());
    let time = totals.time.unwrap().run.unwrap();
    assert!((time.share - (0.5 + 0.5 * cost.layer_kept_share())).abs() < 1e-12);
    assert!((time.secs - 10.0 * time.share).abs() < 1e-12);
    let cache = totals.cache.unwrap();
    // 64 tokens of width 32 in f32, two branches of three images.
    assert_eq!(cache.all_bytes, 2 * 5 * 2 * 3 * 64 * 32 * 4);
    assert!(cache.peak.bytes > 0 && cache.peak.bytes <= cache.all_bytes);
    assert!(totals.missing.is_empty(), "{:?}", totals.missing);
}

#[test]
fn what_is_not_known_is_named() {
    let foreign = examples::foreign();
    let found = totals(&foreign, foreign.plan(), Question::default());
    assert!(found.kept.is_none() && found.cache.is_none() && found.time.is_none());
    assert!(found.missing[0].contains("image tokens"));
    let layer = LayerShape {
        n_tokens: 64,
        width: 32,
    };
    let stated = foreign.with_layer(layer);
    let found = totals(&stated, stated.plan(), Question::default());
    assert!(found.kept.is_some() && found.cache.is_some() && found.time.is_some());
    assert_eq!(found.missing.len(), 1);
    let mut thin = opened();
    thin.checked.provenance = None;
    let found = totals(&thin, thin.plan(), Question::default());
    assert!(found.kept.is_some_and(|kept| kept.layer_share.is_none()));
    assert!(found.missing[0].contains("width"));
}

#[test]
fn a_run_of_another_model_predicts_nothing() {
    let opened = opened();
    let mut other = report(&opened);
    other.model.weights_sha256 = ContentHash::of(b"others");
    let check = |report: &Report, expected: &str| {
        let question = Question {
            batch: 1,
            report: Some(report),
        };
        let found = totals(&opened, opened.plan(), question);
        assert_eq!(found.time.unwrap().run, None);
        assert!(found.missing[0].contains(expected), "{:?}", found.missing);
    };
    check(&other, "another model");
    let mut other = report(&opened);
    other.settings.n_steps = 20;
    check(&other, "20 steps");
}

#[test]
fn a_plan_that_compresses_nothing_says_what_would() {
    let mut bench = Workbench::open(opened()).unwrap();
    assert!(advice(&bench, &bench.shown()).is_empty());
    bench.set_threshold(Threshold::new(0.0).unwrap()).unwrap();
    let found = advice(&bench, &bench.shown());
    assert!(
        found[0].contains("100.0 %") && found[0].contains("next cell"),
        "{found:?}"
    );
    bench.set(Region::Everything, Strategy::Full).unwrap();
    let found = advice(&bench, &bench.shown());
    assert!(!found[0].contains("next cell"), "{found:?}");
}
