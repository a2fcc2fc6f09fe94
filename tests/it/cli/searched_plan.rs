//! The plan that the tests of `dfa plan` look at.

use dfa_core::branch::ResidualHalf;
use dfa_core::metric::LossKind;
use dfa_core::sampler::SamplerKind;
use dfa_core::search::{
    CellRecord, MeasuredLoss, SearchMode, SearchRecord, SearchSettings, Threshold,
};
use dfa_core::wire::{
    CalibrationInputs, CheckedPlan, ContentHash, Fingerprint, PlanSearch, Provenance,
};
use dfa_core::{Strategy, Window};

const WINDOW: Window = Window {
    left: 32,
    right: 32,
};

/// A searched plan of 3 steps × 2 blocks at threshold 0.2 (budgets 0.1 and 0.2):
/// `full full / asc ast / full ast`.
pub(super) fn searched() -> CheckedPlan {
    let settings = SearchSettings {
        threshold: Threshold::new(0.2).unwrap(),
        candidates: vec![Strategy::ShareSteps, Strategy::ShareCfg],
        mode: SearchMode::RecordAll,
    };
    let cell = |ast: f32, asc: f32, choice| {
        let losses = [(Strategy::ShareSteps, ast), (Strategy::ShareCfg, asc)];
        let measured = losses.map(|(candidate, loss)| MeasuredLoss::whole(candidate, loss));
        CellRecord {
            measured: measured.to_vec(),
            choice,
        }
    };
    let mut record = SearchRecord::new(settings, 2);
    let first = CellRecord::first_step;
    let rows = [
        vec![first(), first()],
        vec![
            cell(0.5, 0.05, Strategy::ShareCfg),
            cell(0.15, 0.1, Strategy::ShareSteps),
        ],
        vec![
            cell(0.3, 0.25, Strategy::Full),
            cell(0.02, 0.01, Strategy::ShareSteps),
        ],
    ];
    for row in rows {
        record.push_row(row).unwrap();
    }
    CheckedPlan {
        plan: record.plan(WINDOW).unwrap(),
        search: Some(PlanSearch {
            loss: LossKind::Relative,
            record,
        }),
        fingerprint: Some(fingerprint()),
        provenance: Some(Provenance {
            model_id: "tiny".into(),
            seed: 7,
            inputs: CalibrationInputs::Labels(vec![3, 14]),
            negative_prompt: None,
            prompt_embeds_sha256: None,
            size: None,
            num_frames: None,
            fps: None,
            latents_sha256: None,
            width: None,
            tool_version: "dfa test".into(),
        }),
        edited_from: None,
        notes: None,
    }
}

fn fingerprint() -> Fingerprint {
    Fingerprint {
        weights_sha256: ContentHash::of(b"weights"),
        config_sha256: ContentHash::of(b"config"),
        scheduler_sha256: ContentHash::of(b"scheduler"),
        n_tokens: 256,
        n_blocks: 2,
        timesteps: vec![999.0, 500.0, 1.0],
        sampler: SamplerKind::Ddim,
        guidance_scale: 4.0,
        dtype: "f32".into(),
        residual_half: ResidualHalf::Conditional,
    }
}
