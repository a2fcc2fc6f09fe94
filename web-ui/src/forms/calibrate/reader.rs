//! From texts to a job: reads every field and collects what is wrong with them.

use dfa_core::Strategy;
use dfa_core::search::{Goal, Threshold, check_candidates, default_candidates};
use dfa_core::window::WindowChoice;
use dfa_core::wire::job_request::{CalibrateJob, Label, StrategyName};
use dfa_core::wire::service::Capabilities;

use super::{CalibrateForm, Field, Problem};
use crate::forms::reading::{
    frames_per_second, list, not_negative, optional, parsed, sentence, size, whole,
};
use crate::forms::texts::{checked_prompts, checked_text};

/// Reads fields and collects what is wrong with them.
pub(super) struct Reader<'a> {
    form: &'a CalibrateForm,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn of(form: &'a CalibrateForm) -> Self {
        Self {
            form,
            problems: Vec::new(),
        }
    }

    fn read<T>(&mut self, field: Field, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let answer = read(self.form.get(field));
        answer
            .map_err(|words| self.problems.push(Problem { field, words }))
            .ok()
    }

    /// Every field is read, so that every problem is found; a missing one is a problem.
    pub(super) fn job(&mut self, worker: &Capabilities) -> Option<CalibrateJob> {
        let form = self.form;
        let limits = &worker.limits;
        let most = u64::from(limits.max_images);
        let model = self.read(Field::Model, |_| served(form, worker));
        let labels = self.read(Field::Labels, |_| labels(form, worker));
        let prompts = self.read(Field::Prompts, |text| match form.takes_text(worker) {
            true => checked_prompts(text, limits),
            false => Ok(Vec::new()),
        });
        let negative_prompt = self.read(Field::NegativePrompt, |text| {
            let text = optional(text, |text| {
                checked_text(text, limits).map(|()| text.to_owned())
            })?;
            Ok(text.filter(|_| form.takes_text(worker)))
        });
        let n_images = self.read(Field::NImages, |text| n_images(text, form, worker, most));
        let is_video = form.makes_videos(worker);
        let num_frames = self.read(Field::NumFrames, |text| match is_video {
            true => optional(text, |text| whole(text, 1..=limits.max_frames.into())),
            false => Ok(None),
        });
        let fps = self.read(Field::Fps, |text| match is_video {
            true => optional(text, frames_per_second),
            false => Ok(None),
        });
        let n_frames = form.n_frames(worker);
        let size = self.read(Field::Size, |text| match form.model(worker) {
            Some(model) => optional(text, |text| size(text, model, limits, n_frames)),
            None => Ok(None),
        });
        let steps = self.read(Field::Steps, |_| form.steps(worker));
        let guidance_scale = self.read(Field::GuidanceScale, not_negative);
        let seed = self.read(Field::Seed, |text| whole(text, 0..=u64::MAX));
        let sampler = self.read(Field::Sampler, |text| optional(text, parsed));
        let residual_half = self.read(Field::ResidualHalf, |text| optional(text, parsed));
        let aim = self.read(Field::Threshold, aim);
        let (threshold, target) = aim.unwrap_or_default();
        let window = self.read(Field::Window, parsed::<WindowChoice>);
        let loss = self.read(Field::Loss, parsed);
        let candidates = self.read(Field::Candidates, |_| candidates(form));
        let search = self.read(Field::Search, |_| form.search());
        Some(CalibrateJob {
            model: model?,
            labels: labels?,
            prompts: prompts?,
            negative_prompt: negative_prompt?,
            n_images: n_images?,
            size: size?,
            num_frames: num_frames?.map(narrow),
            fps: fps?,
            steps: Some(narrow(steps?)),
            sampler: sampler?,
            guidance_scale: Some(guidance_scale?),
            seed: seed?,
            residual_half: residual_half?,
            threshold,
            target,
            window: window?,
            loss: loss?,
            candidates: candidates?,
            search: search?,
            reject_early: false,
        })
    }
}

/// A threshold, or what the plan is to reach.
fn aim(text: &str) -> Result<(Option<Threshold>, Option<Goal>), String> {
    match text.contains('=') {
        true => Ok((None, Some(parsed(text)?))),
        false => Ok((Some(parsed(text)?), None)),
    }
}

fn served(form: &CalibrateForm, worker: &Capabilities) -> Result<String, String> {
    let model = form.model(worker).map(|model| model.id.clone());
    model.ok_or_else(|| "This worker does not serve that model; choose another.".into())
}

fn labels(form: &CalibrateForm, worker: &Capabilities) -> Result<Vec<Label>, String> {
    if form.takes_text(worker) {
        return Ok(Vec::new());
    }
    let labels: Vec<u32> = list(form.get(Field::Labels))
        .map_err(|_| "Classes are given by their numbers, separated by commas.".to_owned())?;
    let n_classes = form.model(worker).map_or(u32::MAX, |model| model.n_classes);
    if let Some(label) = labels.iter().find(|&&label| label >= n_classes) {
        return Err(format!(
            "The model has no class {label}; its classes are 0 to {}.",
            n_classes.saturating_sub(1)
        ));
    }
    let most = worker.limits.max_images as usize;
    if labels.len() > most {
        return Err(format!("Choose at most {most} classes."));
    }
    Ok(labels.into_iter().map(Label::Index).collect())
}

fn n_images(
    text: &str,
    form: &CalibrateForm,
    worker: &Capabilities,
    most: u64,
) -> Result<Option<u32>, String> {
    let (n_given, given, one) = match form.takes_text(worker) {
        true => (form.prompts().len(), "prompts are given", "prompt"),
        false => (form.labels().len(), "classes are chosen", "class"),
    };
    let least = (n_given as u64).clamp(1, most);
    let n_images = optional(text, |text| whole(text, 1..=most))?;
    if n_images.is_some_and(|n_images| n_images < least) {
        return Err(format!(
            "{least} {given}: give at least {least} inputs, or none for one per {one}."
        ));
    }
    Ok(n_images.map(narrow))
}

/// `None` where the worker would choose the same by itself.
fn candidates(form: &CalibrateForm) -> Result<Option<Vec<StrategyName>>, String> {
    list::<Strategy>(form.get(Field::Candidates))?;
    let guided = form.is_guided();
    let candidates = form.tried_candidates();
    if candidates.is_empty() {
        return Err("Choose at least one candidate: without any, every cell stays full.".into());
    }
    check_candidates(&candidates, guided).map_err(|error| sentence(&error.to_string()))?;
    if candidates == default_candidates(guided) {
        return Ok(None);
    }
    Ok(Some(candidates.into_iter().map(StrategyName).collect()))
}

/// Only for numbers that were read within a limit.
fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
