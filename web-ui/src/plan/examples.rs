//! Made-up plans for tests of this module.

use dfa_core::branch::ResidualHalf;
use dfa_core::metric::LossKind;
use dfa_core::sampler::SamplerKind;
use dfa_core::search::{
    CellRecord, MeasuredLoss, SearchMode, SearchRecord, SearchSettings, Threshold,
    default_candidates,
};
use dfa_core::wire::{
    CalibrationInputs, CheckedPlan, ContentHash, Fingerprint, PlanSearch, Provenance,
};
use dfa_core::{Block, GridShape, Step, Strategy, Window};

use super::opened::{OpenPlan, Origin};

pub(crate) const SHAPE: GridShape = GridShape {
    n_steps: 8,
    n_blocks: 5,
};
pub(crate) const WINDOW: Window = Window::symmetric(8);

/// The loss of the candidate at place `idx`: grows with depth, weaker candidates lose
/// less, with something irregular in it.
fn loss(step: Step, block: Block, idx: usize, n_blocks: usize) -> f32 {
    let noise = (step.0 * 7919 + block.0 * 104_729 + idx * 1299) % 97;
    let strength = [0.25, 0.2, 0.1, 0.06][idx];
    let depth = (block.0 + 1) as f32 / n_blocks as f32;
    strength * depth * (0.2 + noise as f32 / 60.0)
}

/// A search as Algorithm 1 makes it, over made-up losses.
pub(crate) fn record(threshold: f64, mode: SearchMode) -> SearchRecord {
    record_of(SHAPE, threshold, mode)
}

pub(crate) fn record_of(shape: GridShape, threshold: f64, mode: SearchMode) -> SearchRecord {
    let settings = SearchSettings {
        threshold: Threshold::new(threshold).unwrap(),
        candidates: default_candidates(true),
        mode,
    };
    let mut record = SearchRecord::new(settings.clone(), shape.n_blocks);
    for step in shape.steps() {
        let row = shape
            .blocks()
            .map(|block| cell(&settings, shape, step, block));
        record.push_row(row.collect()).unwrap();
    }
    record
}

fn cell(settings: &SearchSettings, shape: GridShape, step: Step, block: Block) -> CellRecord {
    let mut cell = CellRecord::first_step();
    if step.0 == 0 {
        return cell;
    }
    let budget = settings.threshold.block_budget(block, shape.n_blocks);
    for (idx, &candidate) in settings.candidates.iter().enumerate() {
        let loss = loss(step, block, idx, shape.n_blocks);
        cell.measured.push(MeasuredLoss::whole(candidate, loss));
        if cell.choice == Strategy::Full && f64::from(loss) < budget {
            cell.choice = candidate;
            if settings.mode == SearchMode::Exact {
                break;
            }
        }
    }
    cell
}

fn fingerprint(shape: GridShape) -> Fingerprint {
    Fingerprint {
        weights_sha256: ContentHash::of(b"weights"),
        config_sha256: ContentHash::of(b"config"),
        scheduler_sha256: ContentHash::of(b"scheduler"),
        n_tokens: 64,
        n_blocks: shape.n_blocks,
        timesteps: shape.steps().map(|step| 999.0 - step.0 as f64).collect(),
        sampler: SamplerKind::Ddim,
        guidance_scale: 4.0,
        dtype: "f32".into(),
        residual_half: ResidualHalf::default(),
    }
}

/// A searched plan with everything that a file can say.
pub(crate) fn searched(threshold: f64, mode: SearchMode) -> OpenPlan {
    searched_of(SHAPE, threshold, mode)
}

pub(crate) fn searched_of(shape: GridShape, threshold: f64, mode: SearchMode) -> OpenPlan {
    let record = record_of(shape, threshold, mode);
    let checked = CheckedPlan {
        search: Some(PlanSearch {
            loss: LossKind::Relative,
            record: record.clone(),
        }),
        fingerprint: Some(fingerprint(shape)),
        provenance: Some(Provenance {
            model_id: "avatars-dit".into(),
            seed: 7,
            inputs: CalibrationInputs::Labels(vec![1, 2]),
            negative_prompt: None,
            prompt_embeds_sha256: None,
            size: None,
            num_frames: None,
            fps: None,
            latents_sha256: None,
            width: Some(32),
            tool_version: "dfa 0.1.0".into(),
        }),
        ..CheckedPlan::bare(record.plan(WINDOW).unwrap())
    };
    OpenPlan::new("example", Origin::Sample, checked)
}

/// The same without a search, a fingerprint or a provenance, as a foreign file gives it.
pub(crate) fn foreign() -> OpenPlan {
    let plan = searched(0.1, SearchMode::RecordAll).checked.plan;
    OpenPlan::new("foreign.json", Origin::File, CheckedPlan::bare(plan))
}

/// The same as an unguided run.
pub(crate) fn unguided() -> OpenPlan {
    let mut plan = searched(0.0, SearchMode::RecordAll);
    plan.checked.search = None;
    if let Some(fingerprint) = &mut plan.checked.fingerprint {
        fingerprint.guidance_scale = 1.0;
    }
    plan
}
