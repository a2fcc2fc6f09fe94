//! OpenAI's request for images → a generate job, with words about what it does not do.

use dfa_core::wire::JobRequest;
use dfa_core::wire::job_request::{DEFAULT_BATCH_SIZE, GenerateJob, Label};
use dfa_core::wire::openai_images::ImagesRequest;
use dfa_core::wire::pixel_size::PixelSize;

use super::error::{ApiError, ApiResult};
use super::models::unknown_model;
use crate::jobs::{ModelCatalog, ServedModel};
use crate::model_folder::Family;

/// How images are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ImageForm {
    Url,
    Base64,
}

/// What a request means.
#[derive(Debug)]
pub(super) struct AskedImages {
    pub(super) job: JobRequest,
    pub(super) form: ImageForm,
    pub(super) warnings: Vec<String>,
}

/// Reads a request.
pub(super) fn job_from(models: &ModelCatalog, request: &ImagesRequest) -> ApiResult<AskedImages> {
    let model = model_of(models, request.model.as_deref())?;
    let form = match request.response_format.as_deref() {
        None | Some("url") => ImageForm::Url,
        Some("b64_json") => ImageForm::Base64,
        Some(_) => {
            return Err(ApiError::invalid(
                "response_format",
                "response_format is url or b64_json",
            ));
        }
    };
    if !matches!(request.output_format.as_deref(), None | Some("png")) {
        return Err(ApiError::invalid("output_format", "images are PNG here"));
    }
    let family = model.folder.transformer.family();
    let warnings = warnings_of(request, family);
    let (labels, prompts) = match family.takes_text() {
        true => (Vec::new(), vec![request.prompt.clone()]),
        false => (
            vec![Label::Index(class_of(model, &request.prompt)?)],
            Vec::new(),
        ),
    };
    let negative_prompt = request.negative_prompt.clone();
    let job = GenerateJob {
        model: model.id().to_owned(),
        labels,
        prompts,
        negative_prompt: negative_prompt.filter(|_| family.takes_text()),
        n_images: Some(request.n.unwrap_or(1)),
        size: size_of(request.size.as_deref())?,
        num_frames: request.num_frames,
        fps: request.fps,
        steps: request.num_inference_steps,
        sampler: None,
        guidance_scale: request.guidance_scale,
        seed: request.seed.unwrap_or(0),
        residual_half: None,
        plan: plan_of(request.plan.as_deref())?,
        allow_mismatch: Vec::new(),
        batch_size: DEFAULT_BATCH_SIZE,
    };
    Ok(AskedImages {
        job: JobRequest::Generate(job),
        form,
        warnings,
    })
}

fn model_of<'a>(models: &'a ModelCatalog, id: Option<&str>) -> ApiResult<&'a ServedModel> {
    match id {
        Some(id) => models.get(id).ok_or_else(|| unknown_model(id)),
        None => models.all().first().ok_or_else(|| unknown_model("")),
    }
}

fn class_of(model: &ServedModel, prompt: &str) -> ApiResult<u32> {
    let n_classes = model.folder.transformer.n_classes().unwrap_or(0);
    let class = model.folder.class_names.resolve(prompt, n_classes);
    class.map_err(|error| {
        let words: String = error.to_string().chars().take(300).collect();
        let message = format!(
            "the prompt has to be a class of the model, by name or index: {words}; GET /v1/models lists them"
        );
        ApiError::invalid("prompt", message)
    })
}

fn size_of(text: Option<&str>) -> ApiResult<Option<PixelSize>> {
    match text {
        None | Some("auto") => Ok(None),
        Some(text) => {
            let size = text.parse();
            size.map(Some)
                .map_err(|error: dfa_core::wire::pixel_size::BadSize| {
                    ApiError::invalid("size", error.to_string())
                })
        }
    }
}

fn plan_of(text: Option<&str>) -> ApiResult<Option<dfa_core::wire::ContentHash>> {
    match text {
        None | Some("none") => Ok(None),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|_| ApiError::invalid("plan", "plan is the id of a plan, or none")),
    }
}

/// What was asked for and is not done; nothing is ignored without a word.
fn warnings_of(request: &ImagesRequest, family: Family) -> Vec<String> {
    /// Names after this many are counted only.
    const MAX_NAMED: usize = 20;
    let mut warnings = Vec::new();
    let negative = request.negative_prompt.as_deref().unwrap_or_default();
    if !family.takes_text() && !negative.is_empty() {
        warnings.push("negative_prompt has no meaning for a class-conditional model".into());
    }
    if family.makes_videos() {
        warnings.push("the model makes videos: each image is an animated PNG".into());
    }
    let names = request.unknown.keys().take(MAX_NAMED);
    warnings.extend(names.map(|name| {
        let name: String = name.chars().take(80).collect();
        format!("{name} is not known here and has no effect")
    }));
    let n_more = request.unknown.len().saturating_sub(MAX_NAMED);
    if n_more > 0 {
        warnings.push(format!("{n_more} more fields are not known here"));
    }
    warnings
}
