//! A calibration's words: the settings that decide its plan, as text, and the plan file
//! that it ends with.

use dfa_core::search::Goal;
use dfa_core::wire::{CheckedPlan, ContentHash, PlanSearch};

use super::checkpoint::Settings;
use super::{CalibrateRequest, Calibration, Reached};
use crate::run_setup::RunSetup;

/// Everything that decides the plan, by name. A goal stands in place of the threshold.
pub fn settings(setup: &RunSetup, request: &CalibrateRequest, goal: Option<Goal>) -> Settings {
    let candidates: Vec<&str> = request
        .search
        .candidates
        .iter()
        .map(|candidate| candidate.as_str())
        .collect();
    let fingerprint = setup.fingerprint();
    let entries = [
        ("weights_sha256", fingerprint.weights_sha256.to_string()),
        ("config_sha256", fingerprint.config_sha256.to_string()),
        ("scheduler_sha256", fingerprint.scheduler_sha256.to_string()),
        ("size", setup.run.size.to_string()),
        ("timesteps", format!("{:?}", setup.run.sampler.timesteps())),
        ("sampler", fingerprint.sampler.to_string()),
        ("guidance_scale", fingerprint.guidance_scale.to_string()),
        ("residual_half", fingerprint.residual_half.to_string()),
        ("subjects", format!("{:?}", setup.run.subjects)),
        ("seed", setup.run.seed.to_string()),
        ("latents", hash_or("from the seed", setup.latents_sha256)),
        (
            "step_noise",
            hash_or("from the seed", setup.step_noise_sha256),
        ),
        ("prompt_embeds", hash_or("none", setup.embeds_sha256)),
        match goal {
            Some(goal) => ("target", goal.to_string()),
            None => ("threshold", request.search.threshold.to_string()),
        },
        (
            "window",
            format!("{},{}", request.window.left, request.window.right),
        ),
        ("loss", request.loss.to_string()),
        ("candidates", candidates.join(",")),
        ("search", request.search.mode.as_str().to_owned()),
        ("reject_early", request.rejects_early.to_string()),
    ];
    entries.map(|(name, value)| (name.to_owned(), value)).into()
}

fn hash_or(otherwise: &str, hash: Option<ContentHash>) -> String {
    hash.map_or_else(|| otherwise.to_owned(), |hash| hash.to_string())
}

/// The plan file of a finished calibration.
pub fn plan_of(setup: &RunSetup, request: &CalibrateRequest, found: &Calibration) -> CheckedPlan {
    CheckedPlan {
        plan: found.plan.clone(),
        search: Some(PlanSearch {
            loss: request.loss,
            record: found.record.clone(),
        }),
        fingerprint: Some(setup.fingerprint()),
        provenance: Some(setup.provenance()),
        edited_from: None,
        notes: None,
    }
}

/// The plan file of a finished calibration with a goal; its notes say what was reached.
pub fn plan_reached(setup: &RunSetup, reached: &Reached) -> CheckedPlan {
    CheckedPlan {
        notes: Some(reached.words()),
        ..plan_of(setup, &reached.request, &reached.calibration)
    }
}
