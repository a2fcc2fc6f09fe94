//! The form of a calibration, and the job that it asks for.
//!
//! Every field is a text under its name in JSON, so that a control, the page's address and
//! the worker's refusals all mean the same one. An empty text leaves the choice to the
//! worker. Only [`CalibrateForm::check`] gives texts a meaning.

use dfa_core::Strategy;
use dfa_core::search::SearchMode;
use dfa_core::wire::job_request::CalibrateJob;
use dfa_core::wire::service::{Capabilities, ModelMakes, ModelTakes, ModelView};

use super::measurements::{Measurements, measurements};
use super::reading::{not_negative, whole};
use super::texts::{as_lines, prompts};
use crate::link::Link;

mod field;
mod reader;

pub use field::Field;
use reader::Reader;

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which.
    pub field: Field,
    /// What, and what would be right.
    pub words: String,
}

/// What is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalibrateForm {
    texts: [String; Field::ALL.len()],
}

impl CalibrateForm {
    /// The worker's defaults, but for the search: the page records every loss, so that δ
    /// can be moved afterwards.
    pub fn new(worker: &Capabilities) -> Self {
        Self::for_model(&worker.defaults.model, worker)
    }

    /// The same for a model of the worker.
    fn for_model(model: &str, worker: &Capabilities) -> Self {
        let defaults = &worker.defaults;
        let mut form = Self {
            texts: Default::default(),
        };
        form.set(Field::Model, model);
        form.set(Field::Seed, "0");
        form.set(Field::Threshold, defaults.threshold.to_string());
        form.set(Field::Window, &defaults.window);
        let own = form.model(worker).map(|model| model.defaults);
        let steps = own.map_or(defaults.steps, |own| own.steps);
        let guidance = own.map_or(defaults.guidance_scale, |own| own.guidance_scale);
        form.set(Field::Steps, steps.to_string());
        form.set(Field::GuidanceScale, guidance.to_string());
        form.set(Field::Loss, &defaults.loss);
        form.set(Field::Search, SearchMode::RecordAll.as_str());
        form.set_candidates(&Strategy::CANDIDATES);
        form
    }

    /// The defaults, changed by what an address says.
    pub fn from_link(link: &Link, worker: &Capabilities) -> Self {
        let model = link.get(Field::Model.as_str());
        let mut form = Self::for_model(model.unwrap_or(&worker.defaults.model), worker);
        for field in Field::ALL {
            if let Some(text) = link.get(field.as_str()) {
                form.set(field, text);
            }
        }
        form
    }

    /// An address with what differs from the defaults, and without what does not.
    #[must_use]
    pub fn to_link(&self, link: Link, worker: &Capabilities) -> Link {
        let mut defaults = Self::for_model(self.get(Field::Model), worker);
        defaults.set(Field::Model, &worker.defaults.model);
        Field::ALL.into_iter().fold(link, |link, field| {
            let text = self.get(field);
            let is_changed = text != defaults.get(field);
            link.with(field.as_str(), is_changed.then_some(text))
        })
    }

    /// The form that asks for a job that was asked for before.
    pub fn from_job(job: &CalibrateJob, worker: &Capabilities) -> Self {
        let mut form = Self::for_model(&job.model, worker);
        let labels: Vec<String> = job.labels.iter().map(ToString::to_string).collect();
        form.set(Field::Labels, labels.join(","));
        form.set(Field::Prompts, as_lines(&job.prompts));
        form.set_given(Field::NegativePrompt, job.negative_prompt.as_ref());
        form.set_given(Field::NumFrames, job.num_frames);
        form.set_given(Field::Fps, job.fps);
        form.set(Field::Seed, job.seed.to_string());
        match job.target {
            Some(target) => form.set(Field::Threshold, target.to_string()),
            None => form.set(Field::Threshold, job.threshold_or_default().to_string()),
        }
        form.set(Field::Window, job.window.to_string());
        form.set(Field::Loss, job.loss.as_str());
        form.set(Field::Search, job.search.as_str());
        form.set_given(Field::NImages, job.n_images);
        form.set_given(Field::Steps, job.steps);
        form.set_given(Field::GuidanceScale, job.guidance_scale);
        form.set_given(Field::Sampler, job.sampler);
        form.set_given(Field::Size, job.size);
        form.set_given(
            Field::ResidualHalf,
            job.residual_half.map(|half| half.as_str()),
        );
        if let Some(names) = &job.candidates {
            let candidates: Vec<Strategy> = names.iter().map(|name| name.0).collect();
            form.set_candidates(&candidates);
        }
        form
    }

    fn set_given(&mut self, field: Field, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.set(field, value.to_string());
        }
    }

    /// The text of a field.
    pub fn get(&self, field: Field) -> &str {
        &self.texts[field as usize]
    }

    /// Changes the text of a field.
    pub fn set(&mut self, field: Field, text: impl Into<String>) {
        self.texts[field as usize] = text.into();
    }

    /// The model that is chosen, if it is served.
    pub fn model<'a>(&self, worker: &'a Capabilities) -> Option<&'a ModelView> {
        let mut models = worker.models.iter();
        models.find(|model| model.id == self.get(Field::Model))
    }

    /// Chooses a model. What stood there as the default of the model before becomes the
    /// default of this one; what a person typed stays.
    pub fn choose_model(&mut self, id: &str, worker: &Capabilities) {
        let before = Self::for_model(self.get(Field::Model), worker);
        let after = Self::for_model(id, worker);
        for field in Field::ALL {
            if self.get(field) == before.get(field) {
                self.set(field, after.get(field));
            }
        }
        self.set(Field::Model, id);
    }

    /// Whether the chosen model draws what a text says.
    pub fn takes_text(&self, worker: &Capabilities) -> bool {
        self.model(worker)
            .is_some_and(|model| model.takes == ModelTakes::Text)
    }

    /// Whether the chosen model makes videos.
    pub fn makes_videos(&self, worker: &Capabilities) -> bool {
        self.model(worker)
            .is_some_and(|model| model.makes == ModelMakes::Videos)
    }

    /// The prompts that are typed.
    pub fn prompts(&self) -> Vec<String> {
        prompts(self.get(Field::Prompts))
    }

    /// Frames of one input: those that are typed, or the model's; 1 for a picture.
    pub fn n_frames(&self, worker: &Capabilities) -> u32 {
        let own = self
            .model(worker)
            .and_then(|model| model.defaults.num_frames);
        let Some(own) = own else { return 1 };
        self.get(Field::NumFrames).trim().parse().unwrap_or(own)
    }

    /// Whether the run has two branches; only then can one be shared with the other.
    pub fn is_guided(&self) -> bool {
        not_negative(self.get(Field::GuidanceScale)).is_ok_and(|scale| scale > 1.0)
    }

    /// The classes that are chosen, as far as they can be read.
    pub fn labels(&self) -> Vec<u32> {
        let parts = self.get(Field::Labels).split(',');
        parts.filter_map(|part| part.trim().parse().ok()).collect()
    }

    /// Chooses a class, or chooses it no longer.
    pub fn toggle_label(&mut self, index: u32) {
        let mut labels = self.labels();
        match labels.iter().position(|&label| label == index) {
            Some(place) => drop(labels.remove(place)),
            None => labels.push(index),
        }
        let texts: Vec<String> = labels.iter().map(u32::to_string).collect();
        self.set(Field::Labels, texts.join(","));
    }

    /// The candidates that are chosen, in their order, as far as they can be read; those
    /// that need guidance are among them whether the run is guided or not.
    pub fn candidates(&self) -> Vec<Strategy> {
        let parts = self.get(Field::Candidates).split(',');
        parts.filter_map(|part| part.trim().parse().ok()).collect()
    }

    /// The candidates that the run tries.
    pub fn tried_candidates(&self) -> Vec<Strategy> {
        let guided = self.is_guided();
        let mut candidates = self.candidates();
        candidates.retain(|candidate| guided || !candidate.shares_cfg());
        candidates
    }

    fn set_candidates(&mut self, candidates: &[Strategy]) {
        let names: Vec<&str> = candidates.iter().map(|it| it.as_str()).collect();
        self.set(Field::Candidates, names.join(","));
    }

    /// Tries a strategy, as the last one, or tries it no longer.
    pub fn toggle_candidate(&mut self, strategy: Strategy) {
        let mut candidates = self.candidates();
        match candidates.iter().position(|&known| known == strategy) {
            Some(place) => drop(candidates.remove(place)),
            None => candidates.push(strategy),
        }
        self.set_candidates(&candidates);
    }

    /// Tries a candidate one place earlier.
    pub fn raise_candidate(&mut self, strategy: Strategy) {
        let mut candidates = self.candidates();
        let place = candidates.iter().position(|&known| known == strategy);
        if let Some(place @ 1..) = place {
            candidates.swap(place - 1, place);
            self.set_candidates(&candidates);
        }
    }

    /// What the search will measure; `None` while a number cannot be read.
    pub fn measurements(&self, worker: &Capabilities) -> Option<Measurements> {
        let n_steps = self.steps(worker).ok()?;
        let n_candidates = self.tried_candidates().len() as u64;
        let n_blocks = self.model(worker)?.n_blocks.into();
        Some(measurements(
            self.search().ok()?,
            n_steps,
            n_blocks,
            n_candidates,
        ))
    }

    fn steps(&self, worker: &Capabilities) -> Result<u64, String> {
        let most = worker.limits.max_steps.into();
        whole(self.get(Field::Steps), 1..=most)
    }

    fn search(&self) -> Result<SearchMode, String> {
        let mut modes = SearchMode::ALL.into_iter();
        let mode = modes.find(|mode| mode.as_str() == self.get(Field::Search));
        mode.ok_or_else(|| "Choose exact, record-all or fast.".into())
    }

    /// The job that the form asks for.
    ///
    /// # Errors
    /// Everything that the worker would refuse, as far as the page can know.
    pub fn check(&self, worker: &Capabilities) -> Result<CalibrateJob, Vec<Problem>> {
        let mut reader = Reader::of(self);
        let job = reader.job(worker);
        match job {
            Some(job) if reader.problems.is_empty() => Ok(job),
            _ => Err(reader.problems),
        }
    }
}

#[cfg(test)]
mod tests;
