//! The form of the page "Generate": text as typed, and the request that it stands for.
//!
//! A field that is empty is left to the worker, which takes the plan's value or its own
//! default. What is checked here is the form of each field and the worker's limits; the
//! worker checks everything again.

use dfa_core::wire::JobRequest;
use dfa_core::wire::job_request::{CompareJob, GenerateJob};
use dfa_core::wire::service::{LimitsView, ModelMakes, ModelTakes, ModelView};

use crate::forms::texts::as_lines;

mod field;
mod reading;

pub use field::{Field, FormProblem};
use reading::RunFields;

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
}

fn typed(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

#[cfg(test)]
mod tests;
