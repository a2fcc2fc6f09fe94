//! What a worker takes at most, of steps, images, sizes, tokens and texts.

use dfa_core::wire::JobKind;
use dfa_core::wire::job_request::MAX_PROMPT_CHARS;

use super::refusals::invalid;
use super::run_fields::RunFields;
use crate::jobs::answers::Invalid;
use crate::jobs::config::Limits;
use crate::jobs::model_catalog::ServedModel;
use crate::run_setup::{CheckedRun, RunSpec};

/// Counts and sizes that can be told before a run is made of them.
pub(super) fn check_limits(
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
pub(super) fn check_texts(spec: &RunSpec) -> Result<(), Invalid> {
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
pub(super) fn check_tokens(
    run: &CheckedRun,
    model: &ServedModel,
    limits: &Limits,
) -> Result<(), Invalid> {
    let n_tokens = run.n_tokens(&model.folder) * run.size.n_sequences();
    if n_tokens <= limits.max_tokens as usize {
        return Ok(());
    }
    let problem = format!("it has {n_tokens} image tokens");
    let fewer = run.size.frames.map_or("", |_| "; ask for fewer frames");
    let remedy = format!("this worker takes at most {}{fewer}", limits.max_tokens);
    Err(invalid("size", run.size, problem, remedy))
}
