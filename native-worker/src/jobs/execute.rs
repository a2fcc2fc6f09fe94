//! Does what a job asks, on the device thread: a checked request → the library → files.

use std::path::{Path, PathBuf};

use dfa_core::Strategy;
use dfa_core::search::Goal;
use dfa_core::wire::job::{JobError, JobErrorCode, JobPhase};
use dfa_core::wire::{CheckedPlan, JobRequest, Report};

use super::config::Limits;
use super::job_observer::{JobLine, JobObserver, WorkSize};
use super::model_catalog::ServedModel;
use super::validate::{self, CheckedJob, JobTask};
use crate::calibrate::checkpoint::Settings;
use crate::calibrate::{
    CalibrateError, CalibrateRequest, Checkpoint, CheckpointError, Saving, Target, calibrate,
    calibrate_to, plan_file,
};
use crate::compare::{CompareError, compare};
use crate::device::Placement;
use crate::generate::RunError;
use crate::image_batch::ImageBatches;
use crate::made_files::{MadeFile, comparison_files, image_files};
use crate::run_setup::{LoadedModel, RunSetup, SetupError};
use crate::text::TextError;

/// A job, with everything that it needs.
pub struct Assignment {
    /// What is asked for.
    pub request: JobRequest,
    /// The model.
    pub model: ServedModel,
    /// The plan, if the request names one.
    pub plan: Option<CheckedPlan>,
    /// Where a calibration saves its state.
    pub state_file: PathBuf,
    /// What is allowed.
    pub limits: Limits,
    /// Where to compute.
    pub placement: Placement,
}

/// What a job made, not yet kept.
pub struct Made {
    /// Files.
    pub files: Vec<MadeFile>,
    /// A new plan and its file.
    pub plan: Option<(CheckedPlan, String)>,
    /// The numbers of a comparison.
    pub report: Option<Report>,
}

/// Why a job made nothing.
#[derive(Debug)]
pub enum Unmade {
    /// It was stopped.
    Stopped,
    /// It failed.
    Failed(JobError),
}

fn failed(code: JobErrorCode, error: impl std::fmt::Display) -> Unmade {
    let message = error.to_string();
    Unmade::Failed(JobError { code, message })
}

impl From<RunError> for Unmade {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Cancelled => Self::Stopped,
            error => failed(JobErrorCode::RunFailed, error),
        }
    }
}

impl From<SetupError> for Unmade {
    fn from(error: SetupError) -> Self {
        match error {
            SetupError::Text(TextError::Stopped) => Self::Stopped,
            error @ (SetupError::Folder(_)
            | SetupError::Text(_)
            | SetupError::OtherTextEncoder { .. }) => failed(JobErrorCode::ModelUnusable, error),
            error => failed(JobErrorCode::Invalid, error),
        }
    }
}

/// The model that was loaded last; it stays in memory between jobs.
#[derive(Default)]
pub struct ModelInMemory(Option<LoadedModel>);

impl ModelInMemory {
    fn get(
        &mut self,
        model: &ServedModel,
        placement: &Placement,
    ) -> Result<LoadedModel, SetupError> {
        if let Some(loaded) = &self.0
            && loaded.folder.path == model.folder.path
        {
            return Ok(loaded.clone());
        }
        // Two models at once may not fit.
        self.0 = None;
        let loaded = LoadedModel::load(model.folder.clone(), model.identity, placement)?;
        self.0 = Some(loaded.clone());
        Ok(loaded)
    }
}

/// Runs a job to its end.
///
/// # Errors
/// [`Unmade`].
pub fn execute(
    assignment: &Assignment,
    memory: &mut ModelInMemory,
    line: &JobLine,
) -> Result<Made, Unmade> {
    let plan = assignment.plan.as_ref();
    let (model, limits) = (&assignment.model, &assignment.limits);
    let CheckedJob { spec, task } = validate::check(
        &assignment.request,
        model,
        plan,
        (limits, &assignment.placement),
    )
    .map_err(|error| failed(JobErrorCode::Invalid, error))?;
    let loaded = memory.get(model, &assignment.placement)?;
    if line.stop.any() {
        return Err(Unmade::Stopped);
    }
    if loaded.folder.transformer.family().takes_text() {
        line.phase(JobPhase::EncodingText);
    }
    let setup = RunSetup::with_model(&spec, loaded, &|| line.stop.any())?;
    for warning in &setup.warnings {
        line.warn("setup", warning.clone());
    }
    if plan.is_some_and(|plan| plan.fingerprint.is_none()) {
        let message = "the plan says nothing about the model it was made for; used unchecked";
        line.warn("unchecked_plan", message.into());
    }
    match task {
        JobTask::Calibrate {
            search,
            loss,
            window,
            target,
            rejects_early,
        } => {
            let window = window.for_tokens(setup.n_tokens());
            let request = CalibrateRequest {
                search,
                loss,
                window,
                rejects_early,
            };
            make_plan(assignment, &setup, (&request, target), line)
        }
        JobTask::Generate { batch_size } => make_images(&setup, plan, batch_size, line),
        JobTask::Compare { batch_size } => {
            let missing = "its plan is not in the library any more";
            let plan = plan.ok_or_else(|| failed(JobErrorCode::PlanGone, missing))?;
            make_comparison(&setup, plan, batch_size, line)
        }
    }
}

fn make_plan(
    assignment: &Assignment,
    setup: &RunSetup,
    (request, target): (&CalibrateRequest, Option<Goal>),
    line: &JobLine,
) -> Result<Made, Unmade> {
    let settings = plan_file::settings(setup, request, target);
    let path = &assignment.state_file;
    let saving = Saving {
        path,
        settings: &settings,
        resume: has_state(path, &settings, line),
    };
    let n_blocks = setup.geometry().n_blocks;
    let mut observer = JobObserver::new(
        line.clone(),
        WorkSize {
            phase: JobPhase::Calibrating,
            n_steps: setup.run.sampler.n_steps(),
            n_batches: 1,
            alternates: false,
            batch_size: setup.n_images(),
            search: Some((n_blocks, request.search.threshold)),
            n_searches: if target.is_some() { 2 } else { 1 },
        },
    );
    let plan = match target {
        None => {
            let (denoiser, latent) = (setup.whole_denoiser(), &setup.latent);
            let found = calibrate(&denoiser, request, latent, Some(&saving), &mut observer);
            plan_file::plan_of(setup, request, &found.map_err(uncalibrated)?)
        }
        Some(goal) => {
            let target = Target {
                setup,
                request,
                goal,
            };
            let reached = calibrate_to(target, Some(&saving), &mut observer);
            let reached = reached.map_err(uncalibrated)?;
            if !reached.suited.is_met {
                line.warn("target_not_reached", reached.words());
            }
            plan_file::plan_reached(setup, &reached)
        }
    };
    warn_if_mostly_full(&plan, line);
    let text = plan
        .to_json()
        .map_err(|error| failed(JobErrorCode::Internal, error))?;
    Ok(Made {
        files: vec![MadeFile::plan(text.clone())],
        plan: Some((plan, text)),
        report: None,
    })
}

/// Whether an earlier attempt left a state to go on from.
fn has_state(path: &Path, settings: &Settings, line: &JobLine) -> bool {
    match Checkpoint::load(path, settings) {
        Ok(_) => true,
        Err(CheckpointError::Nothing(_)) => false,
        Err(error) => {
            let message = format!("the saved state is not usable, it begins again: {error}");
            line.warn("state_discarded", message);
            false
        }
    }
}

fn uncalibrated(error: CalibrateError) -> Unmade {
    match error {
        CalibrateError::Run(error) => error.into(),
        CalibrateError::Checkpoint(error) => failed(JobErrorCode::StorageFailed, error),
        error => failed(JobErrorCode::RunFailed, error),
    }
}

fn warn_if_mostly_full(plan: &CheckedPlan, line: &JobLine) {
    let n_full = plan.plan.count(Strategy::Full);
    if n_full as f64 >= 0.95 * plan.plan.shape().n_cells() as f64 {
        let message = "at least 95 % of the cells are full attention: this threshold saves next to nothing here; try a larger one";
        line.warn("mostly_full_plan", message.into());
    }
}

fn image_work(setup: &RunSetup, batch_size: usize, alternates: bool) -> WorkSize {
    let n_batches = setup.n_images().div_ceil(batch_size.max(1));
    WorkSize {
        phase: JobPhase::GeneratingRaw,
        n_steps: setup.run.sampler.n_steps(),
        n_batches: if alternates { 2 * n_batches } else { n_batches },
        alternates,
        batch_size,
        search: None,
        n_searches: 1,
    }
}

fn make_images(
    setup: &RunSetup,
    plan: Option<&CheckedPlan>,
    batch_size: usize,
    line: &JobLine,
) -> Result<Made, Unmade> {
    let mut size = image_work(setup, batch_size, false);
    if plan.is_some() {
        size.phase = JobPhase::GeneratingCompressed;
    }
    let mut observer = JobObserver::new(line.clone(), size);
    let batches = ImageBatches { setup, batch_size };
    let made = batches.run_all(plan.map(|plan| &plan.plan), &mut observer)?;
    line.phase(JobPhase::Decoding);
    let files = image_files(setup, plan, &made);
    Ok(Made {
        files: files.map_err(|error| failed(JobErrorCode::RunFailed, error))?,
        plan: None,
        report: None,
    })
}

fn make_comparison(
    setup: &RunSetup,
    plan: &CheckedPlan,
    batch_size: usize,
    line: &JobLine,
) -> Result<Made, Unmade> {
    let mut observer = JobObserver::new(line.clone(), image_work(setup, batch_size, true));
    let found = compare(setup, plan, None, batch_size, &mut observer);
    let found = found.map_err(|error| match error {
        CompareError::Run(error) => error.into(),
        error => failed(JobErrorCode::RunFailed, error),
    })?;
    // The request is the way to make it again; it is part of the job.
    let files = comparison_files(setup, plan, &found, &[]);
    Ok(Made {
        files: files.map_err(|error| failed(JobErrorCode::RunFailed, error))?,
        plan: None,
        report: Some(found.report),
    })
}
