//! From text as typed to the values of a request, field by field.

use dfa_core::wire::ContentHash;
use dfa_core::wire::job_request::{DEFAULT_BATCH_SIZE, Label};
use dfa_core::wire::pixel_size::PixelSize;
use dfa_core::wire::service::{LimitsView, ModelMakes, ModelTakes, ModelView};

use super::{Field, FormProblem, GenerateForm, Wish};
use crate::forms::reading::size;
use crate::forms::texts::{checked_prompts, checked_text};

/// The fields that both kinds of job have.
pub(super) struct RunFields {
    pub(super) labels: Vec<Label>,
    pub(super) prompts: Vec<String>,
    pub(super) negative_prompt: Option<String>,
    pub(super) n_images: Option<u32>,
    pub(super) size: Option<PixelSize>,
    pub(super) num_frames: Option<u32>,
    pub(super) fps: Option<f64>,
    pub(super) seed: u64,
    pub(super) steps: Option<u32>,
    pub(super) guidance_scale: Option<f64>,
    pub(super) batch_size: u32,
}

impl GenerateForm {
    pub(super) fn read_run(
        &self,
        model: Option<&ModelView>,
        limits: &LimitsView,
        problems: &mut Vec<FormProblem>,
    ) -> RunFields {
        let takes_text = model.is_some_and(|model| model.takes == ModelTakes::Text);
        let is_video = model.is_some_and(|model| model.makes == ModelMakes::Videos);
        let (prompts, negative_prompt) = match takes_text {
            true => self.read_texts(limits, problems),
            false => (Vec::new(), None),
        };
        let whole = |text: &str, field, most: u32, problems: &mut Vec<_>| {
            let words = format!("a whole number from 1 to {most}, or nothing");
            let fits = |n: &u32| (1..=most).contains(n);
            optional(text, field, fits, words, problems)
        };
        let n_images = whole(&self.n_images, Field::Images, limits.max_images, problems);
        if n_images.is_some_and(|n| prompts.len() > n as usize) {
            let words = format!("at least one per prompt, {}, or nothing", prompts.len());
            let field = Field::Images;
            problems.push(FormProblem { field, words });
        }
        let num_frames = is_video
            .then(|| whole(&self.num_frames, Field::Frames, limits.max_frames, problems))
            .flatten();
        let n_frames = num_frames.or(model.and_then(|model| model.defaults.num_frames));
        let sized = model.filter(|_| takes_text);
        let size = sized.and_then(|model| {
            let read = |text: &str| size(text, model, limits, n_frames.unwrap_or(1));
            self.read_size(read, problems)
        });
        let fps = is_video.then(|| {
            let fits = |fps: &f64| *fps > 0.0 && *fps <= 1000.0;
            let words = "a number above 0, up to 1000, or nothing".into();
            optional(&self.fps, Field::Fps, fits, words, problems)
        });
        let fps = fps.flatten();
        let seed = self.read_seed(problems);
        let steps = whole(&self.steps, Field::Steps, limits.max_steps, problems);
        let guidance_scale = optional(
            &self.guidance_scale,
            Field::Guidance,
            |scale: &f64| scale.is_finite() && *scale >= 0.0,
            "a number from 0, or nothing; 1 or less turns guidance off".into(),
            problems,
        );
        // A batch of videos is a batch of all their frames.
        let batch_size = if is_video { 1 } else { DEFAULT_BATCH_SIZE };
        RunFields {
            labels: if takes_text {
                Vec::new()
            } else {
                self.labels()
            },
            prompts,
            negative_prompt,
            n_images,
            size,
            num_frames,
            fps,
            seed,
            steps,
            guidance_scale,
            batch_size: batch_size.min(limits.max_batch_size),
        }
    }

    fn read_texts(
        &self,
        limits: &LimitsView,
        problems: &mut Vec<FormProblem>,
    ) -> (Vec<String>, Option<String>) {
        let prompts = checked_prompts(&self.prompts, limits).unwrap_or_else(|words| {
            let field = Field::Prompts;
            problems.push(FormProblem { field, words });
            Vec::new()
        });
        let is_blank = self.prompts.trim().is_empty();
        if is_blank && self.wish == Wish::Generate {
            problems.push(FormProblem {
                field: Field::Prompts,
                words: "say what to draw, one prompt a line".into(),
            });
        }
        let negative = self.negative_prompt.trim();
        if let Err(words) = checked_text(negative, limits) {
            let field = Field::Negative;
            problems.push(FormProblem { field, words });
        }
        let negative = (!negative.is_empty()).then(|| negative.to_owned());
        (prompts, negative)
    }

    fn read_size(
        &self,
        read: impl FnOnce(&str) -> Result<PixelSize, String>,
        problems: &mut Vec<FormProblem>,
    ) -> Option<PixelSize> {
        let text = self.size.trim();
        if text.is_empty() {
            return None;
        }
        read(text)
            .map_err(|words| {
                let field = Field::Size;
                problems.push(FormProblem { field, words });
            })
            .ok()
    }

    /// The classes: indices where they are numbers, names where not.
    fn labels(&self) -> Vec<Label> {
        let words = self.labels.split([',', '\n']).map(str::trim);
        let words = words.filter(|word| !word.is_empty());
        let label = |word: &str| match word.parse() {
            Ok(index) => Label::Index(index),
            Err(_) => Label::Name(word.to_owned()),
        };
        words.map(label).collect()
    }

    pub(super) fn read_plan(&self, problems: &mut Vec<FormProblem>) -> Option<ContentHash> {
        let is_needed = self.wish == Wish::Compare;
        if self.plan.is_empty() && !is_needed {
            return None;
        }
        let plan = self.plan.parse().ok();
        if plan.is_none() {
            problems.push(FormProblem {
                field: Field::Plan,
                words: "choose a plan to compare with; without one, choose “Generate”".into(),
            });
        }
        plan
    }

    fn read_seed(&self, problems: &mut Vec<FormProblem>) -> u64 {
        let words = "a whole number from 0, or nothing for 0".to_owned();
        let seed = optional(&self.seed, Field::Seed, |_: &u64| true, words, problems);
        seed.unwrap_or(0)
    }
}

/// A field that may be empty.
fn optional<T: std::str::FromStr>(
    text: &str,
    field: Field,
    fits: impl Fn(&T) -> bool,
    words: String,
    problems: &mut Vec<FormProblem>,
) -> Option<T> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let value = text.parse().ok().filter(fits);
    if value.is_none() {
        problems.push(FormProblem { field, words });
    }
    value
}
