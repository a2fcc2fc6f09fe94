//! Plan files that are good, and every way in which they can be bad.

use alloc::string::ToString;
use alloc::vec;

use super::*;
use crate::branch::ResidualHalf;
use crate::grid::{Block, GridShape, Step};
use crate::sampler::SamplerKind;
use crate::search::{CellRecord, MeasuredLoss, SearchMode, SearchSettings, Threshold};
use crate::strategy::Strategy;
use crate::wire::fingerprint::CalibrationInputs;

/// 3 steps × 2 blocks, chosen at δ = 0.2: budgets 0.1 and 0.2.
fn checked() -> CheckedPlan {
    let settings = SearchSettings {
        threshold: Threshold::new(0.2).unwrap(),
        candidates: Strategy::CANDIDATES.to_vec(),
        mode: SearchMode::Exact,
    };
    let mut record = SearchRecord::new(settings, 2);
    let cell = |losses: &[f32], choice| CellRecord {
        measured: Strategy::CANDIDATES
            .into_iter()
            .zip(losses)
            .map(|(candidate, &loss)| MeasuredLoss::whole(candidate, loss))
            .collect(),
        choice,
    };
    let first = || CellRecord::first_step();
    let rows = [
        vec![first(), first()],
        vec![
            cell(&[0.5, 0.3, 0.01], Strategy::WindowResidual),
            cell(&[0.199_999_99], Strategy::ShareSteps),
        ],
        vec![
            cell(&[0.5, 0.3, 0.11, 0.1000001], Strategy::Full),
            cell(&[0.2000001, 1e-7], Strategy::WindowResidualShareCfg),
        ],
    ];
    for row in rows {
        record.push_row(row).unwrap();
    }
    CheckedPlan {
        plan: record.plan(Window::symmetric(32)).unwrap(),
        search: Some(PlanSearch {
            loss: LossKind::Relative,
            record,
        }),
        fingerprint: Some(Fingerprint {
            weights_sha256: ContentHash::of(b"weights"),
            config_sha256: ContentHash::of(b"config"),
            scheduler_sha256: ContentHash::of(b"scheduler"),
            n_tokens: 256,
            n_blocks: 2,
            timesteps: vec![999.0, 500.5, 1.0],
            sampler: SamplerKind::Ddim,
            guidance_scale: 4.0,
            dtype: "f32".into(),
            residual_half: ResidualHalf::Conditional,
        }),
        provenance: Some(Provenance {
            model_id: "tiny".into(),
            seed: u64::MAX,
            inputs: CalibrationInputs::Labels(vec![3, 14]),
            negative_prompt: None,
            prompt_embeds_sha256: None,
            size: None,
            num_frames: None,
            fps: None,
            latents_sha256: None,
            width: Some(128),
            tool_version: "dfa 0.1.0".into(),
        }),
        edited_from: None,
        notes: Some("quotes \" and\nlines".into()),
    }
}

#[test]
fn a_plan_file_round_trips() {
    let check = |plan: CheckedPlan| {
        let text = plan.to_json().unwrap();
        let read = CheckedPlan::parse(&text).unwrap();
        assert_eq!(read, plan, "{text}");
        assert_eq!(read.to_json().unwrap(), text, "writing is deterministic");
    };
    check(checked());
    check(CheckedPlan::bare(checked().plan));
    check(CheckedPlan {
        fingerprint: None,
        provenance: None,
        notes: None,
        ..checked()
    });
    let all_full = CompressionPlan::all_full(checked().plan.shape(), Window::symmetric(32));
    check(checked().with_edit(all_full.unwrap()));
    let mut prompts = checked();
    if let Some(provenance) = &mut prompts.provenance {
        provenance.inputs = CalibrationInputs::Prompts(vec!["a cat".into()]);
        provenance.latents_sha256 = Some(ContentHash::of(b"noise"));
    }
    check(prompts);
}

#[test]
fn the_text_has_one_line_per_step() {
    let text = CheckedPlan::bare(checked().plan).to_json().unwrap();
    let expected = r#"{
  "format": "dfa-plan",
  "version": 1,
  "strategies": [
    ["full","full"],
    ["wa_rs","ast"],
    ["full","wa_rs+asc"]
  ],
  "window": {"left":32,"right":32},
  "search": null,
  "fingerprint": null,
  "provenance": null,
  "edited_from": null
}
"#;
    assert_eq!(text, expected);
}

/// Replaces `from`, which must occur, in the text of a good file.
fn damaged(from: &str, to: &str) -> PlanFileError {
    let text = checked().to_json().unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    CheckedPlan::parse(&text.replacen(from, to, 1)).unwrap_err()
}

#[test]
fn unreadable_files_are_refused() {
    let check = |from: &str, to: &str, expected: &str| {
        let error = damaged(from, to).to_string();
        assert!(error.contains(expected), "{from} → {to}: {error}");
    };
    check("dfa-plan", "dfa-report", "its format is \"dfa-report\"");
    check(
        "\"version\": 1",
        "\"version\": 2",
        "version 2 is not known here",
    );
    check(
        "\"version\": 1",
        "\"version\": -1",
        "not a readable plan file",
    );
    check("\"version\": 1,", "", "missing field `version`");
    check("\"edited_from\"", "\"editor\"", "unknown field `editor`");
    check(
        "\"threshold\": 0.2",
        "\"threshold\": NaN",
        "not a readable plan file",
    );
    check(
        "\"threshold\": 0.2",
        "\"threshold\": 1e999",
        "number out of range",
    );
    check(
        "\"threshold\": 0.2",
        "\"threshold\": null",
        "invalid type: null",
    );
    check("\"loss\":0.5", "\"loss\":1e39", "");
    check("\"left\":32", "\"left\":-1", "invalid value");
    check("\"left\":32", "\"left\":1e3", "invalid type");
    check(
        "\"notes\"",
        "\"version\": 1, \"notes\"",
        "duplicate field `version`",
    );
    check("{", "", "not a readable plan file");
}

#[test]
fn wrong_files_are_refused_with_the_place() {
    let check = |from: &str, to: &str, expected: &str| {
        let error = damaged(from, to);
        assert!(matches!(error, PlanFileError::Invalid(_)), "{error}");
        let error = error.to_string();
        assert!(error.contains(expected), "{from} → {to}: {error}");
    };
    check(
        "\"ast\"]",
        "\"AST\"]",
        "strategies[1][1]: unknown strategy \"AST\"",
    );
    check(
        "[\"wa_rs\",\"ast\"]",
        "[\"wa_rs\"]",
        "strategies[1]: must have 2 entries",
    );
    check(
        "[\"full\",\"full\"],",
        "[\"full\",\"ast\"],",
        "step 0 must be full",
    );
    check(
        "    [\"full\",\"wa_rs+asc\"]",
        "    []",
        "strategies[2]: must have 2 entries",
    );
    check(
        "\"left\":32",
        "\"left\":257",
        "window.left: must be at most fingerprint.n_tokens",
    );
    check(
        "\"left\":32",
        "\"left\":99999999",
        "window.left: must be at most 16777216 keys",
    );
    check(
        "\"threshold\": 0.2",
        "\"threshold\": -0.2",
        "search.threshold: must be finite",
    );
    check("\"relative\"", "\"lpips\"", "search.loss: unknown loss");
    check("\"exact\"", "\"quick\"", "search.mode: unknown mode");
    check(
        "\"exact\"",
        "\"record-all\"",
        "mode record-all measures every candidate",
    );
    check(
        "[\"ast\",\"wa_rs+asc\"",
        "[\"ast\",\"ast\"",
        "candidate ast is listed twice",
    );
    check(
        "[\"ast\",\"wa_rs+asc\"",
        "[\"ast\",\"full\"",
        "full is not a candidate",
    );
    check(
        "\"loss\":0.5",
        "\"loss\":-0.5",
        "search.losses[1][0][0].loss: must be a number from 0",
    );
    check(
        "\"loss\":0.5",
        "\"loss\":10.5",
        "search.losses[1][0][0].loss: must be a number from 0",
    );
    check("[[],[]],", "[[]],", "search.losses[0]: must have 2 entries");
    check("[[],[]],", "", "search.losses: must have 3 entries");
    check(
        "[[],[]],",
        "[[],[{\"candidate\":\"ast\",\"loss\":0.5}]],",
        "step 0 measures nothing",
    );
    check(
        "\"loss\":0.5}",
        "\"loss\":0.05}",
        "up to the first loss under the budget",
    );
    check(
        "\"ast\",\"loss\":0.5",
        "\"asc\",\"loss\":0.5",
        "in the order of search.candidates",
    );
    check(
        "[\"wa_rs\",\"ast\"]",
        "[\"asc\",\"ast\"]",
        "strategies[1][0] is asc, but by search.losses",
    );
    check(
        "500.5",
        "5000",
        "timesteps[1]: must be at most the timestep before",
    );
    check("999.0,", "", "fingerprint.timesteps: must have 3 entries");
    check(
        "\"n_tokens\": 256",
        "\"n_tokens\": 0",
        "fingerprint.n_tokens: must be 1 to",
    );
    check(
        "\"guidance_scale\": 4.0",
        "\"guidance_scale\": 1.0",
        "strategies[2][1]: wa_rs+asc shares",
    );
    check(
        "\"guidance_scale\": 4.0",
        "\"guidance_scale\": 1.0",
        "candidate wa_rs+asc shares",
    );
    check(
        "\"ddim\"",
        "\"euler\"",
        "fingerprint.sampler: unknown sampler",
    );
    check(
        "\"conditional\"",
        "\"last\"",
        "fingerprint.residual_half: unknown residual half",
    );
    check(
        "\"weights_sha256\": \"",
        "\"weights_sha256\": \"0",
        "fingerprint.weights_sha256: a SHA",
    );
    check(
        "\"dtype\": \"f32\"",
        "\"dtype\": \"\"",
        "fingerprint.dtype: must be 1 to 1024 bytes",
    );
    check(
        "[3,14]",
        "[]",
        "provenance.inputs: must be 1 to 65536 inputs",
    );
    check(
        "\"edited_from\": null",
        "\"edited_from\": \"x\"",
        "edited_from: a SHA-256",
    );
}

#[test]
fn every_problem_is_reported() {
    let mut file = PlanFile::from(&checked());
    file.strategies.0[1].0[0] = "x".into();
    file.strategies.0[2].0[1] = "y".into();
    if let Some(search) = &mut file.search {
        search.threshold = f64::NAN;
        search.losses.0[1].0[0][0].loss = f32::NAN;
    }
    assert_eq!(file.problems().len(), 4, "{:#?}", file.problems());
}

#[test]
fn an_edited_plan_need_not_follow_its_losses() {
    let plan = checked();
    let edit = plan
        .plan
        .with_strategy(Step(1), Block(0), Strategy::Full)
        .unwrap();
    let edited = plan.with_edit(edit.clone());
    assert_eq!(edited.edited_from, Some(plan_hash(&plan.plan)));
    assert!(edited.to_json().is_ok());
    let secretly = CheckedPlan { plan: edit, ..plan };
    assert!(matches!(secretly.to_json(), Err(PlanFileError::Invalid(_))));
}

#[test]
fn absurd_files_are_refused_early() {
    let check = |text: &str, expected: &str| {
        let error = PlanFile::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let head = "{\"format\":\"dfa-plan\",\"version\":1,\"strategies\":";
    let wide = alloc::format!("{head}[[{}\"full\"]]}}", "\"full\",".repeat(1024));
    check(&wide, "more than 1024 entries");
    let long = alloc::format!("{head}[{}[]]}}", "[],".repeat(4096));
    check(&long, "more than 4096 entries");
    let deep = alloc::format!("{head}{}", "[".repeat(1 << 20));
    check(&deep, "not a readable plan file");
    let deep = "[".repeat(1 << 20);
    check(&deep, "not a readable plan file");
    let deep = alloc::format!("{{\"x\":{}", "{\"x\":[".repeat(1 << 19));
    check(&deep, "not a readable plan file");
    check(
        &" ".repeat(MAX_PLAN_FILE_BYTES + 1),
        "at most 67108864 bytes",
    );
    let empty = alloc::format!("{head}[],\"window\":{{\"left\":1,\"right\":1}}}}");
    let problems = PlanFile::parse(&empty).unwrap().problems();
    let shape = GridShape {
        n_steps: 0,
        n_blocks: 0,
    };
    assert_eq!(
        problems,
        [Problem::Plan(crate::plan::PlanError::BadShape {
            n_steps: shape.n_steps,
            n_blocks: shape.n_blocks
        })]
    );
}
