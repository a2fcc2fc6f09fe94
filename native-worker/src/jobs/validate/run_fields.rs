//! The fields that every kind of job has, taken out of each.

use dfa_core::wire::job_request::{FieldName, Label};
use dfa_core::wire::pixel_size::PixelSize;

use crate::run_setup::RunSpec;

/// The fields that every kind of job has.
pub(super) struct RunFields<'a> {
    pub(super) labels: &'a [Label],
    pub(super) n_images: Option<u32>,
    pub(super) size: Option<PixelSize>,
    pub(super) spec: RunSpec,
    pub(super) batch_size: u32,
    pub(super) allow_mismatch: &'a [FieldName],
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

pub(super) use run_fields;
