//! The readers of plan files of all formats against arbitrary and damaged input.

use std::fs;

use dfa_core::branch::ResidualHalf;
use dfa_core::metric::LossKind;
use dfa_core::sampler::SamplerKind;
use dfa_core::search::{
    CellRecord, MeasuredLoss, SearchMode, SearchRecord, SearchSettings, Threshold,
};
use dfa_core::wire::csv::{export_csv, import_csv};
use dfa_core::wire::reference::{
    export_reference, import_reference, import_reference_pickle, window_from_reference_name,
};
use dfa_core::wire::xdit::{export_xdit, import_xdit};
use dfa_core::wire::{
    CalibrationInputs, CheckedPlan, ContentHash, Fingerprint, PlanFile, PlanSearch, Provenance,
    plan_hash,
};
use dfa_core::{Block, Step, Strategy, Window};
use dfa_tests::fixtures::fixture;
use proptest::prelude::{Strategy as _, any, prop_assert_eq, proptest};
use proptest::sample::Index;

use crate::plan_documents::assert_fits_schema;

/// What a search decides when its losses are a table, `[step][block][candidate]`.
fn searched(table: &[Vec<Vec<f32>>], threshold: f64, mode: SearchMode) -> CheckedPlan {
    let n_blocks = table[0].len();
    let settings = SearchSettings {
        threshold: Threshold::new(threshold).expect("a good threshold"),
        candidates: Strategy::CANDIDATES.to_vec(),
        mode,
    };
    let mut record = SearchRecord::new(settings, n_blocks);
    record
        .push_row(vec![CellRecord::first_step(); n_blocks])
        .expect("one cell per block");
    for row in table {
        let cells = row.iter().enumerate().map(|(block, losses)| {
            let budget = record
                .settings()
                .threshold
                .block_budget(Block(block), n_blocks);
            searched_cell(losses, budget, mode)
        });
        let cells = cells.collect();
        record.push_row(cells).expect("one cell per block");
    }
    CheckedPlan {
        fingerprint: Some(fingerprint(&record)),
        provenance: Some(provenance()),
        ..with_search(record)
    }
}

fn with_search(record: SearchRecord) -> CheckedPlan {
    let plan = record.plan(Window { left: 7, right: 9 }).expect("a plan");
    let loss = LossKind::RelativeSigned;
    CheckedPlan {
        search: Some(PlanSearch { loss, record }),
        ..CheckedPlan::bare(plan)
    }
}

fn searched_cell(losses: &[f32], budget: f64, mode: SearchMode) -> CellRecord {
    let mut cell = CellRecord::first_step();
    for (candidate, &loss) in Strategy::CANDIDATES.into_iter().zip(losses) {
        cell.measured.push(MeasuredLoss::whole(candidate, loss));
        if cell.choice == Strategy::Full && f64::from(loss) < budget {
            cell.choice = candidate;
            if mode == SearchMode::Exact {
                break;
            }
        }
    }
    cell
}

fn fingerprint(record: &SearchRecord) -> Fingerprint {
    let n_steps = record.shape().n_steps;
    Fingerprint {
        weights_sha256: ContentHash::of(b"weights"),
        config_sha256: ContentHash::of(b"config"),
        scheduler_sha256: ContentHash::of(b"scheduler"),
        n_tokens: 64,
        n_blocks: record.shape().n_blocks,
        timesteps: (0..n_steps).rev().map(|t| t as f64 / 3.0).collect(),
        sampler: SamplerKind::DpmSolver,
        guidance_scale: 4.1,
        dtype: "f32".into(),
        residual_half: ResidualHalf::First,
    }
}

fn provenance() -> Provenance {
    Provenance {
        model_id: "tiny \"model\"".into(),
        seed: 1 << 60,
        inputs: CalibrationInputs::Prompts(vec!["two\nlines, é".into()]),
        negative_prompt: Some("blurry".into()),
        prompt_embeds_sha256: Some(ContentHash::of(b"embeds")),
        size: "426x240".parse().ok(),
        num_frames: Some(16),
        fps: Some(23.976),
        latents_sha256: Some(ContentHash::of(b"noise")),
        width: Some(1152),
        tool_version: "dfa 0.1.0".into(),
    }
}

fn any_plan() -> impl proptest::strategy::Strategy<Value = CheckedPlan> {
    use proptest::collection::vec;
    let table = (1usize..4, 1usize..5)
        .prop_flat_map(|(n_blocks, n_steps)| vec(vec(vec(0.0f32..0.5, 4), n_blocks), n_steps));
    let modes = proptest::sample::select(&SearchMode::ALL[..]);
    (table, 0.0f64..1.0, modes)
        .prop_map(|(table, threshold, mode)| searched(&table, threshold, mode))
}

/// A text as bytes with a few of them replaced, removed, or repeated.
fn damaged(mut bytes: Vec<u8>, damage: &[(Index, u8, u8)]) -> Vec<u8> {
    for (index, kind, value) in damage {
        if bytes.is_empty() {
            break;
        }
        let at = index.index(bytes.len());
        match kind % 5 {
            0 => bytes[at] = *value,
            1 => bytes.truncate(at),
            2 => drop(bytes.drain(at..bytes.len().min(at + usize::from(*value)))),
            3 => bytes.insert(at, *value),
            _ => bytes.extend_from_within(at..),
        }
    }
    bytes
}

fn any_damage() -> impl proptest::strategy::Strategy<Value = Vec<(Index, u8, u8)>> {
    proptest::collection::vec((any::<Index>(), any::<u8>(), any::<u8>()), 1..4)
}

/// Gives bytes to every reader; none may panic. What our own reader accepts, it writes.
fn read_all(bytes: &[u8]) {
    let window = Window::symmetric(1);
    let _ = import_reference(bytes, window);
    let text = String::from_utf8_lossy(bytes);
    let _ = import_csv(&text, window);
    let _ = import_xdit(&text, window);
    let _ = window_from_reference_name(&text);
    if let Ok(plan) = CheckedPlan::parse(&text) {
        let written = plan.to_json().expect("what is read can be written");
        assert_eq!(CheckedPlan::parse(&written).as_ref(), Ok(&plan));
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_all(&bytes);
    }

    #[test]
    fn arbitrary_pickles_never_panic(pickle in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = import_reference_pickle(&pickle, Window::symmetric(1));
    }

    /// An archive's checksum would hide the pickle reader from most damage.
    #[test]
    fn damaged_pickles_never_panic(damage in any_damage()) {
        let path = fixture("foreign-plans/bare_pickle.json");
        let pickle = damaged(fs::read(path).expect("a fixture"), &damage);
        let _ = import_reference_pickle(&pickle, Window::symmetric(1));
    }

    #[test]
    fn damaged_plan_files_never_panic(plan in any_plan(), damage in any_damage()) {
        let text = plan.to_json().expect("a good plan");
        read_all(&damaged(text.into_bytes(), &damage));
    }

    #[test]
    fn damaged_foreign_files_never_panic(plan in any_plan(), damage in any_damage()) {
        let xdit = export_xdit(&plan.plan).expect("strategies that xDiT has");
        read_all(&damaged(xdit.into_bytes(), &damage));
        read_all(&damaged(export_csv(&plan).into_bytes(), &damage));
        read_all(&damaged(export_reference(&plan.plan), &damage));
    }

    #[test]
    fn every_format_round_trips(plan in any_plan()) {
        let text = plan.to_json().expect("a good plan");
        prop_assert_eq!(&CheckedPlan::parse(&text).expect("our own file"), &plan);
        let bare = &plan.plan;
        let window = bare.window();
        let xdit = export_xdit(bare).expect("strategies that xDiT has");
        prop_assert_eq!(&import_xdit(&xdit, window).expect("xDiT").plan, bare);
        prop_assert_eq!(&import_csv(&export_csv(&plan), window).expect("CSV").plan, bare);
        let reference = import_reference(&export_reference(bare), window);
        prop_assert_eq!(&reference.expect("the reference's").plan, bare);
    }

    #[test]
    fn every_plan_fits_the_schema(plan in any_plan(), edited in any::<bool>()) {
        let plan = if edited { plan.with_edit(plan.plan.clone()) } else { plan };
        let text = plan.to_json().expect("a good plan");
        assert_fits_schema(&text);
        let bare = CheckedPlan::bare(plan.plan).to_json().expect("a good plan");
        assert_fits_schema(&bare);
    }

    #[test]
    fn what_the_schema_refuses_the_reader_refuses(plan in any_plan(), damage in any_damage()) {
        let text = plan.to_json().expect("a good plan");
        let damaged = damaged(text.into_bytes(), &damage);
        let text = String::from_utf8_lossy(&damaged);
        if CheckedPlan::parse(&text).is_ok() {
            assert_fits_schema(&text);
        }
    }

    #[test]
    fn hashes_differ_where_plans_do(plan in any_plan(), at in (any::<Index>(), any::<Index>())) {
        let shape = plan.plan.shape();
        let step = Step(1 + at.0.index(shape.n_steps - 1));
        let block = Block(at.1.index(shape.n_blocks));
        for strategy in Strategy::ALL {
            let other = plan.plan.with_strategy(step, block, strategy).expect("inside the plan");
            prop_assert_eq!(plan_hash(&other) == plan_hash(&plan.plan), other == plan.plan);
        }
    }

    #[test]
    fn a_file_as_written_round_trips_unchecked(plan in any_plan()) {
        let file = PlanFile::from(&plan);
        prop_assert_eq!(PlanFile::parse(&file.to_json()), Ok(file));
    }
}
