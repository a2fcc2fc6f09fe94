//! From what a client wrote to what the engine is asked: every value checked against the
//! limits, the model and the plan, before anything large is made. Used when a job is
//! submitted and again when it begins.

use dfa_core::metric::LossKind;
use dfa_core::search::{Goal, Quantity, SearchSettings, check_candidates, default_candidates};
use dfa_core::window::WindowChoice;
use dfa_core::wire::job_request::{CalibrateJob, FieldName, JobRequest, Label, MAX_PROMPT_CHARS};
use dfa_core::wire::pixel_size::PixelSize;
use dfa_core::wire::{CheckedPlan, FingerprintField, JobKind};

use super::answers::Invalid;
use super::config::Limits;
use super::model_catalog::ServedModel;
use crate::device::Placement;
use crate::made_files::why_no_pictures;
use crate::run_setup::{CheckedRun, Purpose, RunSpec, SetupError};

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

/// The fields that every kind of job has.
struct RunFields<'a> {
    labels: &'a [Label],
    n_images: Option<u32>,
    size: Option<PixelSize>,
    spec: RunSpec,
    batch_size: u32,
    allow_mismatch: &'a [FieldName],
}

macro_rules! run_fields {
    ($job:expr, $plan:expr, $placement:expr, $purpose:expr, $batch_size:expr, $allow:expr) => {{
        let job = $job;
        let plan: Option<&CheckedPlan> = $plan;
        let fingerprint = plan.and_then(|plan| plan.fingerprint.as_ref());
        let n_steps = job.steps.map(|n| n as usize);
        let n_steps = n_steps.or(plan.map(|plan| plan.plan.shape().n_steps));
        let planned = fingerprint.map(|fingerprint| fingerprint.guidance_scale);
        let half = fingerprint.map(|fingerprint| fingerprint.residual_half);
        let sampler = fingerprint.map(|fingerprint| fingerprint.sampler);
        RunFields {
            labels: &job.labels,
            n_images: job.n_images,
            size: job.size,
            spec: RunSpec {
                model: std::path::PathBuf::new(),
                labels: job.labels.iter().map(ToString::to_string).collect(),
                prompts: job.prompts.clone(),
                negative_prompt: job.negative_prompt.clone(),
                prompt_embeds: None,
                n_images: job.n_images.map(|n| n as usize),
                purpose: $purpose,
                latents: None,
                step_noise: None,
                size: job
                    .size
                    .map(|size| (size.width as usize, size.height as usize)),
                resolution_binning: false,
                n_frames: job.num_frames.map(|n| n as usize),
                fps: job.fps,
                n_steps,
                sampler: job.sampler.or(sampler),
                guidance_scale: job.guidance_scale.or(planned),
                seed: job.seed,
                residual_half: job.residual_half.or(half).unwrap_or_default(),
                placement: $placement.clone(),
            },
            batch_size: $batch_size,
            allow_mismatch: $allow,
        }
    }};
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

fn invalid(
    field: &'static str,
    value: impl std::fmt::Display,
    problem: impl Into<String>,
    remedy: impl Into<String>,
) -> Invalid {
    Invalid {
        field,
        value: value.to_string().chars().take(80).collect(),
        problem: problem.into(),
        remedy: remedy.into(),
    }
}

/// The model that a request names is not served.
pub fn unknown_model(id: &str, served: &[ServedModel]) -> Invalid {
    let names: Vec<&str> = served.iter().map(ServedModel::id).collect();
    let problem = "no such model is served here";
    let remedy = format!("choose one of {}", names.join(", "));
    invalid("model", id, problem, remedy)
}

/// The plan that a request names is not in the library.
pub fn unknown_plan(id: impl std::fmt::Display) -> Invalid {
    let remedy = "GET /v1/plans lists the plans; POST /v1/plans brings one in";
    invalid("plan", id, "no such plan is in the library", remedy)
}

fn check_limits(
    fields: &RunFields<'_>,
    kind: JobKind,
    model: &ServedModel,
    limits: &Limits,
) -> Result<(), Invalid> {
    let within = |field, found: usize, most: u32| {
        if (1..=most as usize).contains(&found) {
            return Ok(());
        }
        let problem = format!("{found} is out of range");
        Err(invalid(
            field,
            found,
            problem,
            format!("choose from 1 to {most}"),
        ))
    };
    let defaults = model.folder.transformer.family().defaults();
    let n_steps = fields.spec.n_steps.unwrap_or(defaults.n_steps);
    within("steps", n_steps, limits.max_steps)?;
    if let Some(n) = fields.n_images {
        within("n_images", n as usize, limits.max_images)?;
    }
    if !fields.labels.is_empty() {
        within("labels", fields.labels.len(), limits.max_images)?;
    }
    if !fields.spec.prompts.is_empty() {
        within("prompts", fields.spec.prompts.len(), limits.max_images)?;
    }
    if let Some(n_frames) = fields.spec.n_frames {
        within("num_frames", n_frames, limits.max_frames)?;
    }
    if kind != JobKind::Calibrate {
        within(
            "batch_size",
            fields.batch_size as usize,
            limits.max_batch_size,
        )?;
    }
    if let Some(size) = fields.size {
        within(
            "size",
            size.width.max(size.height) as usize,
            limits.max_side,
        )?;
        within(
            "size",
            size.width.min(size.height) as usize,
            limits.max_side,
        )?;
    }
    Ok(())
}

/// Prompts are kept with their job, so their length is limited wherever they go.
fn check_texts(spec: &RunSpec) -> Result<(), Invalid> {
    let most = MAX_PROMPT_CHARS as usize;
    let check = |field, which: String, text: &str| {
        let n_chars = text.chars().count();
        if n_chars <= most {
            return Ok(());
        }
        let problem = format!("{which} has {n_chars} characters");
        Err(invalid(
            field,
            text,
            problem,
            format!("give at most {most}"),
        ))
    };
    for (index, prompt) in spec.prompts.iter().enumerate() {
        check("prompts", format!("prompt {}", index + 1), prompt)?;
    }
    let negative = spec.negative_prompt.as_deref().unwrap_or_default();
    check("negative_prompt", "it".into(), negative)
}

/// Memory and time grow with the tokens of an image, or of all frames of a video.
fn check_tokens(run: &CheckedRun, model: &ServedModel, limits: &Limits) -> Result<(), Invalid> {
    let n_tokens = run.n_tokens(&model.folder) * run.size.n_sequences();
    if n_tokens <= limits.max_tokens as usize {
        return Ok(());
    }
    let problem = format!("it has {n_tokens} image tokens");
    let fewer = run.size.frames.map_or("", |_| "; ask for fewer frames");
    let remedy = format!("this worker takes at most {}{fewer}", limits.max_tokens);
    Err(invalid("size", run.size, problem, remedy))
}

/// The field of a request that a flag of the command line stands for.
fn field_of(flag: &str) -> &'static str {
    match flag {
        "--labels" | "the number of labels" => "labels",
        "--prompt" | "--prompt-embeds" | "the number of prompts" | "the length of a prompt" => {
            "prompts"
        }
        "--negative-prompt" => "negative_prompt",
        "--num-frames" => "num_frames",
        "--fps" => "fps",
        "--steps" => "steps",
        "the number of images" => "n_images",
        _ => "size",
    }
}

/// What a model takes instead of what it was given.
fn remedy_for(model: &ServedModel) -> &'static str {
    let family = model.folder.transformer.family();
    match (family.takes_text(), family.makes_videos()) {
        (false, _) => "the model makes images of classes: give labels and leave it out",
        (true, false) => "the model makes images of a text: give prompts and leave it out",
        (true, true) => "the model makes videos of a text: give prompts and leave it out",
    }
}

fn invalid_setup(error: &SetupError, fields: &RunFields<'_>, model: &ServedModel) -> Invalid {
    let spec = &fields.spec;
    let labels = || spec.labels.join(",");
    let size = || {
        fields
            .size
            .map_or_else(|| "the model's".into(), |size| size.to_string())
    };
    let problem = error.to_string();
    let or_default = |value: Option<String>| value.unwrap_or_else(|| "the model's".into());
    let n_steps = || or_default(spec.n_steps.map(|n| n.to_string()));
    let say = |field, value: String, remedy: &str| invalid(field, value, &*problem, remedy);
    match error {
        SetupError::Label(_) => say("labels", labels(), "GET /v1/models lists the classes"),
        SetupError::Guidance(_) => {
            let value = or_default(spec.guidance_scale.map(|scale| scale.to_string()));
            say("guidance_scale", value, "choose a finite number")
        }
        SetupError::Sampler(_) => {
            // These errors end with what to do.
            let own = problem.split_once("; ");
            let (problem, remedy) = own.unwrap_or((&problem, "choose another sampler"));
            invalid("steps", n_steps(), problem, remedy)
        }
        SetupError::NoPrompt => {
            let problem = "there is nothing to draw";
            invalid("prompts", "", problem, "give a text per image")
        }
        SetupError::NotForThisFamily { what, family, .. } => {
            let remedy = remedy_for(model);
            let problem = format!("it is not for {family} models");
            invalid(field_of(what), "", problem, remedy)
        }
        SetupError::OutOfRange {
            what,
            found,
            expected,
        } => match field_of(what) {
            "size" => say("size", size(), "leave it out for the model's own size"),
            "labels" | "prompts" | "n_images" => {
                let remedy = "give at most one label or prompt per image";
                say("n_images", found.clone(), remedy)
            }
            field => {
                let problem = format!("{found} is out of range");
                invalid(field, found, problem, format!("choose {expected}"))
            }
        },
        _ => say("model", String::new(), "look at the worker's log"),
    }
}

fn check_plan(
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
