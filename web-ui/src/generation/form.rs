//! The form of the page "Generate": text as typed, and the request that it stands for.
//!
//! A field that is empty is left to the worker, which takes the plan's value or its own
//! default. What is checked here is the form of each field and the worker's limits; the
//! worker checks everything again.

use dfa_core::wire::job_request::{CompareJob, DEFAULT_BATCH_SIZE, GenerateJob, Label};
use dfa_core::wire::service::LimitsView;
use dfa_core::wire::{ContentHash, JobRequest};

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
    /// Number of pictures.
    pub n_images: String,
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
    /// Number of pictures.
    Images,
    /// Seed.
    Seed,
    /// Denoising steps.
    Steps,
    /// Guidance scale.
    Guidance,
}

impl Field {
    /// The name that the worker has for it, in its refusals.
    pub const fn param(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Labels => "labels",
            Self::Images => "n_images",
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

impl Default for GenerateForm {
    fn default() -> Self {
        Self {
            wish: Wish::default(),
            model: String::new(),
            plan: String::new(),
            labels: String::new(),
            n_images: "4".into(),
            seed: "0".into(),
            steps: String::new(),
            guidance_scale: String::new(),
        }
    }
}

impl GenerateForm {
    /// The form that asks for what a job was asked for; `None` for a calibration.
    pub fn of(request: &JobRequest) -> Option<Self> {
        let (wish, plan, labels, n_images, seed, steps, guidance) = match request {
            JobRequest::Calibrate(_) => return None,
            JobRequest::Compare(job) => (
                Wish::Compare,
                Some(job.plan),
                &job.labels,
                job.n_images,
                job.seed,
                job.steps,
                job.guidance_scale,
            ),
            JobRequest::Generate(job) => (
                Wish::Generate,
                job.plan,
                &job.labels,
                job.n_images,
                job.seed,
                job.steps,
                job.guidance_scale,
            ),
        };
        let labels: Vec<String> = labels.iter().map(ToString::to_string).collect();
        Some(Self {
            wish,
            model: request.model().to_owned(),
            plan: typed(plan),
            labels: labels.join(", "),
            n_images: typed(n_images),
            seed: seed.to_string(),
            steps: typed(steps),
            guidance_scale: typed(guidance),
        })
    }

    /// The request.
    ///
    /// # Errors
    /// Every problem, in the order of the fields.
    pub fn request(&self, limits: &LimitsView) -> Result<JobRequest, Vec<FormProblem>> {
        let mut problems = Vec::new();
        let plan = self.read_plan(&mut problems);
        let whole = |text: &str, field, most: u32, problems: &mut Vec<_>| {
            let words = format!("a whole number from 1 to {most}, or nothing");
            let fits = |n: &u32| (1..=most).contains(n);
            optional(text, field, fits, words, problems)
        };
        let n_images = whole(
            &self.n_images,
            Field::Images,
            limits.max_images,
            &mut problems,
        );
        let seed = self.read_seed(&mut problems);
        let steps = whole(&self.steps, Field::Steps, limits.max_steps, &mut problems);
        let guidance_scale = optional(
            &self.guidance_scale,
            Field::Guidance,
            |scale: &f64| scale.is_finite() && *scale >= 0.0,
            "a number from 0, or nothing; 1 or less turns guidance off".into(),
            &mut problems,
        );
        if !problems.is_empty() {
            return Err(problems);
        }
        let batch_size = DEFAULT_BATCH_SIZE.min(limits.max_batch_size);
        let (model, labels) = (self.model.clone(), self.labels());
        Ok(match (self.wish, plan) {
            (Wish::Compare, Some(plan)) => JobRequest::Compare(CompareJob {
                model,
                labels,
                n_images,
                size: None,
                steps,
                sampler: None,
                guidance_scale,
                seed,
                residual_half: None,
                plan,
                allow_mismatch: Vec::new(),
                batch_size,
            }),
            (_, plan) => JobRequest::Generate(GenerateJob {
                model,
                labels,
                n_images,
                size: None,
                steps,
                sampler: None,
                guidance_scale,
                seed,
                residual_half: None,
                plan,
                allow_mismatch: Vec::new(),
                batch_size,
            }),
        })
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

    const LIMITS: LimitsView = LimitsView {
        max_queued_jobs: 4,
        max_steps: 100,
        max_images: 16,
        max_batch_size: 4,
        max_side: 512,
        max_tokens: 1024,
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
            let request = form.request(&LIMITS).unwrap();
            let again = GenerateForm::of(&request).unwrap();
            assert_eq!(again.labels, "micah, 3, Bottts");
            assert_eq!(again.request(&LIMITS).unwrap(), request);
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
        let JobRequest::Generate(job) = form.request(&LIMITS).unwrap() else {
            panic!("not asked to compare");
        };
        assert_eq!((job.plan, job.n_images, job.steps), (None, None, None));
        assert_eq!((job.seed, job.guidance_scale, job.batch_size), (0, None, 4));
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
        let problems = form.request(&LIMITS).unwrap_err();
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
