//! `/v1/models` and `/v1/capabilities`: what can be asked for. Pages draw themselves from
//! these answers.

use axum::Json;
use axum::extract::State;
use dfa_core::metric::LossKind;
use dfa_core::sampler::SamplerKind;
use dfa_core::search::{SearchMode, Threshold};
use dfa_core::strategy::Strategy;
use dfa_core::wire::JobKind;
use dfa_core::wire::job_request::MAX_PROMPT_CHARS;
use dfa_core::wire::pixel_size::PixelSize;
use dfa_core::wire::service::{
    Capabilities, ClassView, DefaultsView, DeviceView, LimitsView, ModelDefaults, ModelList,
    ModelMakes, ModelTakes, ModelView, NamedThreshold, StrategyView,
};

use super::Service;
use super::error::{ApiError, ApiResult, ErrorCode};
use super::input::{MAX_JSON_DEPTH, PathId};
use crate::jobs::ServedModel;
use crate::model::LatentSize;
use crate::model_folder::{Family, ModelFolder};
use crate::run_setup::sizes::{VIDEO_FPS, VIDEO_FRAMES, VIDEO_SIZE};

/// The models.
#[utoipa::path(
    get, path = "/v1/models", tag = "models",
    description = "The models that are served, with their classes; the outer shape is OpenAI's.",
    responses((status = 200, description = "the models", body = ref("#/components/schemas/ModelList")))
)]
pub(super) async fn list(State(service): State<Service>) -> Json<ModelList> {
    Json(ModelList {
        object: "list".into(),
        data: views(&service),
    })
}

/// One model.
#[utoipa::path(
    get, path = "/v1/models/{id}", tag = "models",
    description = "A model that is served.",
    params(("id" = String, Path, description = "The model")),
    responses(
        (status = 200, description = "the model", body = ref("#/components/schemas/ModelView")),
        (status = 404, description = "`model_not_found`: it is not served"),
    )
)]
pub(super) async fn get(
    State(service): State<Service>,
    PathId(id): PathId<String>,
) -> ApiResult<Json<ModelView>> {
    let model = service.jobs().models().get(&id);
    let model = model.ok_or_else(|| unknown_model(&id))?;
    Ok(Json(view(&service, model)))
}

/// The refusal of a model that is not served.
pub(super) fn unknown_model(id: &str) -> ApiError {
    let id: String = id.chars().take(80).collect();
    let message = format!("there is no model {id} here; GET /v1/models lists them");
    ApiError::new(ErrorCode::ModelNotFound, message).about("model")
}

/// What the worker can do.
#[utoipa::path(
    get, path = "/v1/capabilities", tag = "models",
    description = "Models, devices, strategies, limits and defaults: everything that a form \
                   needs to know.",
    responses((status = 200, description = "the capabilities", body = ref("#/components/schemas/Capabilities")))
)]
pub(super) async fn capabilities(State(service): State<Service>) -> Json<Capabilities> {
    let texts = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Json(Capabilities {
        version: env!("CARGO_PKG_VERSION").into(),
        kinds: JobKind::ALL.into(),
        models: views(&service),
        devices: vec![device_view(&service)],
        strategies: Strategy::ALL.into_iter().map(strategy_view).collect(),
        losses: texts(&LossKind::ALL.map(LossKind::as_str)),
        samplers: texts(&SamplerKind::ALL.map(SamplerKind::as_str)),
        search_modes: texts(&SearchMode::ALL.map(SearchMode::as_str)),
        thresholds: Threshold::named().map(named_threshold).collect(),
        limits: limits(&service),
        defaults: defaults(&service),
    })
}

/// The one that jobs run on.
fn device_view(service: &Service) -> DeviceView {
    let placement = &service.jobs().config().placement;
    DeviceView {
        id: placement.id(),
        name: placement.name(),
    }
}

fn strategy_view(strategy: Strategy) -> StrategyView {
    StrategyView {
        id: strategy.as_str().into(),
        paper_name: strategy.paper_name().into(),
        is_candidate: Strategy::CANDIDATES.contains(&strategy),
        needs_guidance: strategy.shares_cfg(),
    }
}

fn named_threshold((name, threshold): (&str, Threshold)) -> NamedThreshold {
    NamedThreshold {
        name: name.into(),
        value: threshold.value(),
    }
}

fn limits(service: &Service) -> LimitsView {
    let limits = service.jobs().config().limits;
    LimitsView {
        max_queued_jobs: limits.max_queued_jobs,
        max_steps: limits.max_steps,
        max_images: limits.max_images,
        max_batch_size: limits.max_batch_size,
        max_side: limits.max_side,
        max_tokens: limits.max_tokens,
        max_frames: limits.max_frames,
        max_prompt_chars: MAX_PROMPT_CHARS,
        max_body_bytes: service.config().payload_limit_bytes as u64,
        max_json_depth: MAX_JSON_DEPTH,
    }
}

/// Those of [`job_request`](dfa_core::wire::job_request).
fn defaults(service: &Service) -> DefaultsView {
    let first = service.jobs().models().all().first();
    let threshold = Threshold::named().nth(1);
    let family = first.map_or(Family::Dit, |model| model.folder.transformer.family());
    let defaults = family.defaults();
    DefaultsView {
        model: first.map(|model| model.id().to_owned()).unwrap_or_default(),
        steps: narrow(defaults.n_steps),
        guidance_scale: defaults.guidance_scale,
        threshold: threshold.map_or(0.0, |(_, threshold)| threshold.value()),
        loss: LossKind::default().as_str().into(),
        window: "1/8".into(),
    }
}

fn views(service: &Service) -> Vec<ModelView> {
    let models = service.jobs().models().all().iter();
    models.map(|model| view(service, model)).collect()
}

fn view(service: &Service, model: &ServedModel) -> ModelView {
    let family = model.folder.transformer.family();
    let transformer = model.folder.transformer.geometry();
    let own = OwnSize::of(&model.folder);
    let names = model.folder.class_names.iter();
    ModelView {
        id: model.id().into(),
        object: "model".into(),
        created: service.started_at().unix_ms() / 1000,
        owned_by: "local".into(),
        family: family.name().into(),
        takes: match family.takes_text() {
            true => ModelTakes::Text,
            false => ModelTakes::Classes,
        },
        makes: match family.makes_videos() {
            true => ModelMakes::Videos,
            false => ModelMakes::Images,
        },
        defaults: model_defaults(family),
        weights_sha256: model.identity.weights_sha256,
        n_blocks: narrow(transformer.n_blocks),
        n_heads: narrow(transformer.n_heads),
        width: narrow(transformer.width()),
        n_tokens: narrow(transformer.n_tokens(own.latent)),
        size: own.pixels,
        size_multiple: match family.makes_videos() {
            true => 1,
            false => narrow(transformer.patch_size * own.pixels_per_latent),
        },
        pixels_per_latent: narrow(own.pixels_per_latent),
        patch_size: narrow(transformer.patch_size),
        sampler: model.folder.sampler.kind().as_str().into(),
        n_classes: model.folder.transformer.n_classes().unwrap_or(0),
        classes: names.map(class_view).collect(),
    }
}

fn model_defaults(family: Family) -> ModelDefaults {
    let defaults = family.defaults();
    let is_video = family.makes_videos();
    ModelDefaults {
        steps: narrow(defaults.n_steps),
        guidance_scale: defaults.guidance_scale,
        n_calibration_inputs: narrow(defaults.n_calibration_inputs),
        num_frames: is_video.then_some(narrow(VIDEO_FRAMES)),
        fps: is_video.then_some(VIDEO_FPS),
    }
}

/// The size that a model makes where a request says none.
struct OwnSize {
    latent: LatentSize,
    pixels: PixelSize,
    pixels_per_latent: usize,
}

impl OwnSize {
    fn of(folder: &ModelFolder) -> Self {
        let is_video = folder.transformer.family().makes_videos();
        let factor = folder.vae_factor();
        let native = folder.transformer.geometry().native_size;
        let (width, height) = match is_video {
            true => VIDEO_SIZE,
            false => (native.width * factor, native.height * factor),
        };
        Self {
            latent: LatentSize::image(height / factor, width / factor),
            pixels: PixelSize {
                width: narrow(width),
                height: narrow(height),
            },
            pixels_per_latent: factor,
        }
    }
}

fn class_view((index, name): (u32, &str)) -> ClassView {
    ClassView {
        index,
        name: name.into(),
    }
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
