//! From what a client wrote to what the engine is asked: every value checked against the
//! limits, the model and the plan, before anything large is made. Used when a job is
//! submitted and again when it begins.

use dfa_core::metric::LossKind;
use dfa_core::search::{Goal, Quantity, SearchSettings, check_candidates, default_candidates};
use dfa_core::window::WindowChoice;
use dfa_core::wire::job_request::{CalibrateJob, JobRequest};
use dfa_core::wire::{CheckedPlan, JobKind};

use super::answers::Invalid;
use super::config::Limits;
use super::model_catalog::ServedModel;
use crate::device::Placement;
use crate::made_files::why_no_pictures;
use crate::run_setup::{CheckedRun, Purpose, RunSpec};

mod limits;
mod plan_fit;
mod refusals;
mod run_fields;

use limits::{check_limits, check_texts, check_tokens};
use plan_fit::check_plan;
use refusals::{invalid, invalid_setup};
pub use refusals::{unknown_model, unknown_plan};
use run_fields::{RunFields, run_fields};

/// What the engine is asked to do.
#[derive(Clone, Debug)]
pub struct CheckedJob {
    /// The run.
    pub spec: RunSpec,
    /// What to do with it.
    pub task: JobTask,
}

/// What to do with a run.
#[derive(Clone, Debug)]
pub enum JobTask {
    /// Make a plan.
    Calibrate {
        /// Threshold, candidates, mode.
        search: SearchSettings,
        /// The loss.
        loss: LossKind,
        /// The window; its size depends on the tokens.
        window: WindowChoice,
        /// What the plan is to reach; its threshold is then found, not given.
        target: Option<Goal>,
        /// Whether candidates are given up as soon as they are certain to fail.
        rejects_early: bool,
    },
    /// Make images.
    Generate {
        /// Most images at once.
        batch_size: usize,
    },
    /// Make images twice.
    Compare {
        /// Most images at once.
        batch_size: usize,
    },
}

/// Checks a request for a model and, if it names one, a plan.
///
/// # Errors
/// [`Invalid`] for the first thing that is wrong.
pub fn check(
    request: &JobRequest,
    model: &ServedModel,
    plan: Option<&CheckedPlan>,
    (limits, placement): (&Limits, &Placement),
) -> Result<CheckedJob, Invalid> {
    let fields = match request {
        JobRequest::Calibrate(job) => run_fields!(job, None, placement, Purpose::Calibrate, 1, &[]),
        JobRequest::Generate(job) => {
            let allow = &job.allow_mismatch;
            run_fields!(
                job,
                plan,
                placement,
                Purpose::Generate,
                job.batch_size,
                allow
            )
        }
        JobRequest::Compare(job) => {
            let allow = &job.allow_mismatch;
            run_fields!(
                job,
                plan,
                placement,
                Purpose::Compare,
                job.batch_size,
                allow
            )
        }
    };
    check_limits(&fields, request.kind(), model, limits)?;
    check_texts(&fields.spec)?;
    let run = CheckedRun::new(&fields.spec, &model.folder)
        .map_err(|error| invalid_setup(&error, &fields, model))?;
    check_tokens(&run, model, limits)?;
    if let Some(plan) = plan {
        check_plan(plan, &run, model, fields.allow_mismatch)?;
    }
    if request.kind() != JobKind::Calibrate
        && let Some(reason) = why_no_pictures(&model.folder)
    {
        let remedy = "calibrate works without pictures; choose another model for them";
        return Err(invalid("model", request.model(), reason, remedy));
    }
    let task = task(request, &run, model)?;
    let spec = fields.spec;
    Ok(CheckedJob { spec, task })
}

/// A target stands alone, and one of PSNR needs pictures.
fn checked_target(job: &CalibrateJob, model: &ServedModel) -> Result<Option<Goal>, Invalid> {
    let Some(goal) = job.target else {
        return Ok(None);
    };
    if job.threshold.is_some() {
        let problem = "a threshold is given as well";
        let remedy = "give the one or the other: a target finds its own threshold";
        return Err(invalid("target", goal, problem, remedy));
    }
    if goal.quantity() == Quantity::Psnr
        && let Some(reason) = why_no_pictures(&model.folder)
    {
        let remedy = "choose a target of macs or speedup";
        return Err(invalid("target", goal, reason, remedy));
    }
    Ok(Some(goal))
}

fn task(request: &JobRequest, run: &CheckedRun, model: &ServedModel) -> Result<JobTask, Invalid> {
    let job = match request {
        JobRequest::Calibrate(job) => job,
        JobRequest::Generate(job) => {
            let batch_size = job.batch_size as usize;
            return Ok(JobTask::Generate { batch_size });
        }
        JobRequest::Compare(job) => {
            let batch_size = job.batch_size as usize;
            return Ok(JobTask::Compare { batch_size });
        }
    };
    let guided = run.guidance.is_on();
    let candidates = match &job.candidates {
        Some(names) => names.iter().map(|name| name.0).collect(),
        None => default_candidates(guided),
    };
    check_candidates(&candidates, guided).map_err(|error| {
        let names: Vec<&str> = candidates.iter().map(|c| c.as_str()).collect();
        let remedy = "leave candidates out for all that the run allows";
        invalid("candidates", names.join(","), error.to_string(), remedy)
    })?;
    Ok(JobTask::Calibrate {
        search: SearchSettings {
            threshold: job.threshold_or_default(),
            candidates,
            mode: job.search,
        },
        loss: job.loss,
        window: job.window,
        target: checked_target(job, model)?,
        rejects_early: job.reject_early,
    })
}
