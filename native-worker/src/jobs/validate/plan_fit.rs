//! Whether a plan is one for a run.

use dfa_core::wire::job_request::FieldName;
use dfa_core::wire::{CheckedPlan, FingerprintField};

use super::refusals::invalid;
use crate::jobs::answers::Invalid;
use crate::jobs::model_catalog::ServedModel;
use crate::run_setup::CheckedRun;

/// Fingerprint, shape and guidance.
pub(super) fn check_plan(
    plan: &CheckedPlan,
    run: &CheckedRun,
    model: &ServedModel,
    allow: &[FieldName],
) -> Result<(), Invalid> {
    let id = dfa_core::wire::plan_hash(&plan.plan).short();
    if let Some(fingerprint) = &plan.fingerprint {
        let allowed: Vec<FingerprintField> = allow.iter().map(|name| name.0).collect();
        let actual = run.fingerprint(&model.folder, &model.identity);
        fingerprint.check(&actual, &allowed).map_err(|error| {
            let problem = error
                .to_string()
                .replace("--allow-mismatch", "allow_mismatch");
            invalid("plan", &id, problem, "calibrate a plan for this run")
        })?;
    }
    let shape = plan.plan.shape();
    let n_blocks = model.folder.transformer.geometry().n_blocks;
    if shape.n_steps != run.sampler.n_steps() || shape.n_blocks != n_blocks {
        let n_steps = run.sampler.n_steps();
        let problem = format!(
            "the plan is for {shape} but the run has {n_steps} steps and the model {n_blocks} blocks"
        );
        return Err(invalid(
            "plan",
            &id,
            problem,
            "calibrate a plan for this run",
        ));
    }
    if plan.plan.needs_cfg() && !run.guidance.is_on() {
        let problem = "the plan shares the conditional branch, which needs guidance";
        let remedy = "set guidance_scale above 1";
        return Err(invalid(
            "guidance_scale",
            run.guidance.scale(),
            problem,
            remedy,
        ));
    }
    Ok(())
}
