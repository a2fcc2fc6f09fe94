//! The form of the page "Generate": text as typed, and the request that it stands for.
//!
//! A field that is empty is left to the worker, which takes the plan's value or its own
//! default. What is checked here is the form of each field and the worker's limits; the
//! worker checks everything again.

use dfa_core::wire::job_request::{CompareJob, DEFAULT_BATCH_SIZE, GenerateJob, Label};
use dfa_core::wire::pixel_size::PixelSize;
use dfa_core::wire::service::{LimitsView, ModelMakes, ModelTakes, ModelView};
use dfa_core::wire::{ContentHash, JobRequest};

use crate::forms::reading::size;
use crate::forms::texts::{as_lines, checked_prompts, checked_text};

/// The fields, as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerateForm {
    /// Raw and compressed, or one of them.
    pub wish: Wish,
    /// Id of a served model.
    pub model: String,
    /// Id of a plan of the library, or nothing.
    pub plan: String,
    /// Classes, separated by commas.
    pub labels: String,
    /// Texts to draw, one a line.
    pub prompts: String,
    /// Text that guidance leads away from.
    pub negative_prompt: String,
    /// Number of pictures.
    pub n_images: String,
    /// Size in pixels.
    pub size: String,
    /// Frames of a video.
    pub num_frames: String,
    /// Frames per second of a video.
    pub fps: String,
    /// Seed of the start noise.
    pub seed: String,
    /// Denoising steps.
    pub steps: String,
    /// Weight of classifier-free guidance.
    pub guidance_scale: String,
}

/// What is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// The same pictures without compression and with the plan.
    #[default]
    Compare,
    /// Pictures, with the plan if one is chosen.
    Generate,
}

/// A field of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Id of a plan.
    Plan,
    /// Classes.
    Labels,
    /// Texts.
    Prompts,
    /// Text to lead away from.
    Negative,
    /// Number of pictures.
    Images,
    /// Size.
    Size,
    /// Frames.
    Frames,
    /// Frames per second.
    Fps,
    /// Seed.
    Seed,
    /// Denoising steps.
    Steps,
    /// Guidance scale.
    Guidance,
}

impl Field {
    /// Every field.
    pub const ALL: [Self; 11] = [
        Self::Plan,
        Self::Labels,
        Self::Prompts,
        Self::Negative,
        Self::Images,
        Self::Size,
        Self::Frames,
        Self::Fps,
        Self::Seed,
        Self::Steps,
        Self::Guidance,
    ];

    /// The name that the worker has for it, in its refusals.
    pub const fn param(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Labels => "labels",
            Self::Prompts => "prompts",
            Self::Negative => "negative_prompt",
            Self::Images => "n_images",
            Self::Size => "size",
            Self::Frames => "num_frames",
            Self::Fps => "fps",
            Self::Seed => "seed",
            Self::Steps => "steps",
            Self::Guidance => "guidance_scale",
        }
    }
}

/// Why a form is no request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormProblem {
    /// The field.
    pub field: Field,
    /// What to do about it.
    pub words: String,
}

/// The fields that both kinds of job have.
struct RunFields {
    labels: Vec<Label>,
    prompts: Vec<String>,
    negative_prompt: Option<String>,
    n_images: Option<u32>,
    size: Option<PixelSize>,
    num_frames: Option<u32>,
    fps: Option<f64>,
    seed: u64,
    steps: Option<u32>,
    guidance_scale: Option<f64>,
    batch_size: u32,
}

/// A job of a kind; the kinds have these fields alike, and no type in common.
macro_rules! job_of {
    ($kind:ident, $model:expr, $run:expr, $plan:expr) => {{
        let run: RunFields = $run;
        $kind {
            model: $model,
            labels: run.labels,
            prompts: run.prompts,
            negative_prompt: run.negative_prompt,
            n_images: run.n_images,
            size: run.size,
            num_frames: run.num_frames,
            fps: run.fps,
            steps: run.steps,
            sampler: None,
            guidance_scale: run.guidance_scale,
            seed: run.seed,
            residual_half: None,
            plan: $plan,
            allow_mismatch: Vec::new(),
            batch_size: run.batch_size,
        }
    }};
}

/// The form of a job of a kind.
macro_rules! form_of {
    ($job:expr, $wish:expr, $plan:expr) => {{
        let job = $job;
        let labels: Vec<String> = job.labels.iter().map(ToString::to_string).collect();
        GenerateForm {
            wish: $wish,
            model: job.model.clone(),
            plan: typed($plan),
            labels: labels.join(", "),
            prompts: as_lines(&job.prompts),
            negative_prompt: job.negative_prompt.clone().unwrap_or_default(),
            n_images: typed(job.n_images),
            size: typed(job.size),
            num_frames: typed(job.num_frames),
            fps: typed(job.fps),
            seed: job.seed.to_string(),
            steps: typed(job.steps),
            guidance_scale: typed(job.guidance_scale),
        }
    }};
}

impl Default for GenerateForm {
    fn default() -> Self {
        Self {
            wish: Wish::default(),
            model: String::new(),
            plan: String::new(),
            labels: String::new(),
            prompts: String::new(),
            negative_prompt: String::new(),
            n_images: "4".into(),
            size: String::new(),
            num_frames: String::new(),
            fps: String::new(),
            seed: "0".into(),
            steps: String::new(),
            guidance_scale: String::new(),
        }
    }
}

impl GenerateForm {
    /// The form that asks for what a job was asked for; `None` for a calibration.
    pub fn of(request: &JobRequest) -> Option<Self> {
        match request {
            JobRequest::Calibrate(_) => None,
            JobRequest::Compare(job) => Some(form_of!(job, Wish::Compare, Some(job.plan))),
            JobRequest::Generate(job) => Some(form_of!(job, Wish::Generate, job.plan)),
        }
    }

    /// Chooses a model. The number of pictures follows unless somebody typed another: one
    /// per prompt where texts are drawn, and one where each is a video.
    pub fn choose_model(&mut self, id: &str, models: &[ModelView]) {
        let usual = |id: &str| {
            let model = models.iter().find(|model| model.id == id);
            match model.map(|model| (model.takes, model.makes)) {
                Some((_, ModelMakes::Videos)) => "1",
                Some((ModelTakes::Text, _)) => "",
                _ => "4",
            }
        };
        if self.n_images == usual(&self.model) {
            self.n_images = usual(id).into();
        }
        self.model = id.to_owned();
    }

    /// The request, for the model that is chosen.
    ///
    /// # Errors
    /// Every problem, in the order of the fields.
    pub fn request(
        &self,
        model: Option<&ModelView>,
        limits: &LimitsView,
    ) -> Result<JobRequest, Vec<FormProblem>> {
        let mut problems = Vec::new();
        let plan = self.read_plan(&mut problems);
        let run = self.read_run(model, limits, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(match (self.wish, plan) {
            (Wish::Compare, Some(plan)) => {
                JobRequest::Compare(job_of!(CompareJob, self.model.clone(), run, plan))
            }
            (_, plan) => JobRequest::Generate(job_of!(GenerateJob, self.model.clone(), run, plan)),
        })
    }

    fn read_run(
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

    fn read_plan(&self, problems: &mut Vec<FormProblem>) -> Option<ContentHash> {
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

fn typed(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forms::examples::capabilities;

    const LIMITS: LimitsView = LimitsView {
        max_queued_jobs: 4,
        max_steps: 100,
        max_images: 16,
        max_batch_size: 4,
        max_side: 512,
        max_tokens: 1024,
        max_frames: 20,
        max_prompt_chars: 100,
        max_body_bytes: 1 << 20,
        max_json_depth: 16,
    };

    fn form() -> GenerateForm {
        GenerateForm {
            model: "tiny".into(),
            plan: ContentHash::of(b"a plan").to_string(),
            labels: "micah, 3,\n Bottts ,".into(),
            n_images: "2".into(),
            seed: "7".into(),
            guidance_scale: "1.5".into(),
            ..GenerateForm::default()
        }
    }

    #[test]
    fn a_form_is_a_request_and_a_request_is_a_form() {
        for wish in [Wish::Compare, Wish::Generate] {
            let form = GenerateForm { wish, ..form() };
            let request = form.request(None, &LIMITS).unwrap();
            let again = GenerateForm::of(&request).unwrap();
            assert_eq!(again.labels, "micah, 3, Bottts");
            assert_eq!(again.request(None, &LIMITS).unwrap(), request);
        }
    }

    #[test]
    fn empty_fields_are_left_to_the_worker() {
        let form = GenerateForm {
            wish: Wish::Generate,
            plan: String::new(),
            n_images: " ".into(),
            seed: String::new(),
            guidance_scale: String::new(),
            ..form()
        };
        let JobRequest::Generate(job) = form.request(None, &LIMITS).unwrap() else {
            panic!("not asked to compare");
        };
        assert_eq!((job.plan, job.n_images, job.steps), (None, None, None));
        assert_eq!((job.seed, job.guidance_scale, job.batch_size), (0, None, 4));
    }

    #[test]
    fn texts_and_videos_are_asked_for_by_models_that_take_them() {
        let models = capabilities().models;
        let [classes, text, video] = &models[..] else {
            panic!("three models");
        };
        let mut form = GenerateForm {
            wish: Wish::Generate,
            plan: String::new(),
            n_images: "4".into(),
            model: classes.id.clone(),
            prompts: "a fox\na tram, at night".into(),
            negative_prompt: " blur ".into(),
            num_frames: "8".into(),
            size: "64x64".into(),
            ..form()
        };
        let job = |form: &GenerateForm, model| match form.request(Some(model), &LIMITS) {
            Ok(JobRequest::Generate(job)) => job,
            other => panic!("{other:?}"),
        };
        assert!(job(&form, classes).prompts.is_empty());
        form.choose_model("pixart", &models);
        let asked = job(&form, text);
        assert_eq!(asked.prompts, ["a fox", "a tram, at night"]);
        assert_eq!(asked.negative_prompt.as_deref(), Some("blur"));
        assert_eq!(
            (asked.n_images, asked.num_frames, asked.labels.len()),
            (None, None, 0)
        );
        form.choose_model("open-sora", &models);
        assert_eq!(form.n_images, "1");
        form.n_images = "2".into();
        let asked = job(&form, video);
        assert_eq!((asked.num_frames, asked.batch_size), (Some(8), 1));
        assert_eq!(
            asked.size.map(|size| size.to_string()).as_deref(),
            Some("64x64")
        );
        let again = GenerateForm::of(&JobRequest::Generate(asked.clone())).unwrap();
        assert_eq!(job(&again, video), asked);
        form.prompts = " ".into();
        let problems = form.request(Some(video), &LIMITS).unwrap_err();
        assert_eq!(problems[0].field, Field::Prompts);
    }

    #[test]
    fn every_problem_is_named() {
        let form = GenerateForm {
            plan: "nothing".into(),
            n_images: "17".into(),
            seed: "-1".into(),
            steps: "0".into(),
            guidance_scale: "inf".into(),
            ..form()
        };
        let problems = form.request(None, &LIMITS).unwrap_err();
        let fields: Vec<_> = problems
            .iter()
            .map(|problem| problem.field.param())
            .collect();
        assert_eq!(
            fields,
            ["plan", "n_images", "seed", "steps", "guidance_scale"]
        );
        assert!(problems[1].words.contains("16"), "{problems:?}");
    }
}
