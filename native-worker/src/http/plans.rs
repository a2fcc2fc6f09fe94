//! `/v1/plans`: the plan library. Import reports every problem of a file, export writes the
//! known formats, `redecide` runs the same code as the browser's.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dfa_core::search::{Threshold, redecide};
use dfa_core::window::Window;
use dfa_core::wire::csv::export_csv;
use dfa_core::wire::job::PlanList;
use dfa_core::wire::plan_answer::{PlanImport, RedecideAnswer, RedecideRequest};
use dfa_core::wire::plan_file::MAX_TOKENS;
use dfa_core::wire::xdit::export_xdit;

use super::Service;
use super::error::{ApiError, ApiResult, ErrorCode};
use super::input::{
    JsonBody, MAX_JSON_DEPTH, Params, PathId, json_depth, media_type_of, read_body,
    wrong_media_type,
};
use super::job_routes::page_size;
use super::plan_name::{PlanForm, PlanName};
use super::query::window_sides;
use super::redecision::answer;
use crate::jobs::{ImportSettings, PlanFormat};

/// Lists plans.
#[utoipa::path(
    get, path = "/v1/plans", tag = "plans",
    description = "Plans of the library, newest first, in pages.",
    params(
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "Most plans of the page, 1 to 200; 50 if not given"),
    ),
    responses((status = 200, description = "a page", body = ref("#/components/schemas/PlanList")))
)]
pub(super) async fn list(
    State(service): State<Service>,
    mut params: Params,
) -> ApiResult<Json<PlanList>> {
    let cursor = params.text("cursor")?;
    let limit = page_size(&mut params)?;
    params.end()?;
    let page = service.jobs().plans(cursor.as_deref(), limit).await?;
    Ok(Json(page))
}

/// Brings a plan into the library.
#[utoipa::path(
    post, path = "/v1/plans", tag = "plans",
    description = "Reads a plan into the library: this project's plan file, its CSV form, or \
                   xDiT's JSON. Every problem of the file is listed.",
    params(
        ("format" = Option<String>, Query, description = "json, csv or xdit; found in the content if not given"),
        ("window" = Option<String>, Query, description = "For csv and xdit: keys on each side, or LEFT,RIGHT"),
        ("n_tokens" = Option<u32>, Query, description = "For csv and xdit: image tokens; the window is then an eighth of them"),
    ),
    request_body(content(
        (ref("#/components/schemas/PlanFile") = "application/json"),
        (String = "text/csv"),
    )),
    responses(
        (status = 201, description = "kept", body = ref("#/components/schemas/PlanImport"),
            headers(("location" = String, description = "Path of the plan"))),
        (status = 200, description = "it was there already", body = ref("#/components/schemas/PlanImport")),
        (status = 413, description = "`body_too_large`: the file has too many bytes"),
        (status = 415, description = "`unsupported_media_type`: the file is neither JSON nor CSV"),
        (status = 507, description = "`disk_full`: there is no room for plans"),
    )
)]
pub(super) async fn import(
    State(service): State<Service>,
    mut params: Params,
    request: Request,
) -> ApiResult<Response> {
    let settings = import_settings(&mut params, request.headers())?;
    params.end()?;
    let bytes = read_body(request, &service).await?;
    if json_depth(&bytes) > MAX_JSON_DEPTH && settings.format != Some(PlanFormat::Csv) {
        let message = format!("the JSON is nested deeper than {MAX_JSON_DEPTH} levels");
        return Err(ApiError::new(ErrorCode::InvalidJson, message));
    }
    if bytes.starts_with(b"PK") {
        let message = "a pickle is not read here; make a plan file of it with dfa plan convert";
        return Err(ApiError::new(ErrorCode::InvalidPlan, message));
    }
    let imported = service.jobs().import_plan(&bytes, &settings).await?;
    let status = match imported.is_new {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    let location = format!("/v1/plans/{}", imported.plan.id);
    let answer = PlanImport {
        plan: imported.plan,
        is_new: imported.is_new,
        warnings: imported.warnings,
    };
    Ok((status, [(header::LOCATION, location)], Json(answer)).into_response())
}

fn import_settings(params: &mut Params, headers: &HeaderMap) -> ApiResult<ImportSettings> {
    let media_type = media_type_of(headers);
    let named = params.text("format")?;
    let format = match (named.as_deref(), media_type.as_str()) {
        (Some("json"), "application/json") => Some(PlanFormat::Json),
        (Some("xdit"), "application/json") => Some(PlanFormat::Xdit),
        (None, "application/json") => None,
        (None | Some("csv"), "text/csv") => Some(PlanFormat::Csv),
        (Some("json" | "xdit" | "csv") | None, found) => {
            return Err(wrong_media_type(found, "application/json or text/csv"));
        }
        (Some(_), _) => {
            return Err(ApiError::invalid("format", "format is json, csv or xdit"));
        }
    };
    let window = params.text("window")?.map(|text| parse_window(&text));
    let n_tokens: Option<usize> = params.value("n_tokens")?;
    if n_tokens.is_some_and(|n| n == 0 || n > MAX_TOKENS) {
        let message = format!("n_tokens is 1 to {MAX_TOKENS}");
        return Err(ApiError::invalid("n_tokens", message));
    }
    Ok(ImportSettings {
        format,
        window: window.transpose()?,
        n_tokens,
    })
}

fn parse_window(text: &str) -> ApiResult<Window> {
    let sides = window_sides(text, MAX_TOKENS);
    let window = sides.map(|(left, right)| Window { left, right });
    window.ok_or_else(|| ApiError::invalid("window", "a window is N or LEFT,RIGHT"))
}

/// A plan.
#[utoipa::path(
    get, path = "/v1/plans/{id}", tag = "plans",
    description = "A plan file; as `{id}.csv` one line per cell, as `{id}.xdit.json` in \
                   xDiT's form.",
    params(("id" = String, Path, description = "The plan, with `.json`, `.csv` or `.xdit.json` for a form")),
    responses(
        (status = 200, description = "the plan", content(
            (ref("#/components/schemas/PlanFile") = "application/json"),
            (String = "text/csv"),
        )),
        (status = 404, description = "`plan_not_found`: it is not in the library"),
    )
)]
pub(super) async fn get(
    State(service): State<Service>,
    PathId(name): PathId<PlanName>,
) -> ApiResult<Response> {
    let plan = service.jobs().plan(name.id).await?;
    let (media_type, text) = match name.form {
        PlanForm::File => ("application/json", plan.text),
        PlanForm::Csv => ("text/csv; charset=utf-8", export_csv(&plan.checked)),
        PlanForm::Xdit => {
            let text = export_xdit(&plan.checked.plan);
            let text = text.map_err(|error| ApiError::invalid("id", error.to_string()))?;
            ("application/json", text)
        }
    };
    let file_name = format!("attachment; filename=\"{name}\"");
    let headers = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (header::CONTENT_DISPOSITION, file_name),
        (header::ETAG, format!("\"{name}\"")),
    ];
    Ok((headers, text).into_response())
}

/// Decides a plan again.
#[utoipa::path(
    post, path = "/v1/plans/{id}/redecide", tag = "plans",
    description = "The plan that the recorded losses give at another threshold: exact at the \
                   recorded one, an estimate elsewhere. Nothing is kept.",
    params(("id" = String, Path, description = "The plan")),
    request_body(content = ref("#/components/schemas/RedecideRequest"), content_type = "application/json"),
    responses(
        (status = 200, description = "the plan at the threshold", body = ref("#/components/schemas/RedecideAnswer")),
        (status = 404, description = "`plan_not_found`: it is not in the library"),
        (status = 409, description = "`plan_without_losses`: it records no losses"),
        (status = 413, description = "`body_too_large`: the body has too many bytes"),
        (status = 415, description = "`unsupported_media_type`: the body is no JSON"),
    )
)]
pub(super) async fn redecide_at(
    State(service): State<Service>,
    PathId(name): PathId<PlanName>,
    JsonBody(request): JsonBody<RedecideRequest>,
) -> ApiResult<Json<RedecideAnswer>> {
    let threshold = threshold_from(&request.threshold)?;
    let stored = service.jobs().plan(name.id).await?;
    let Some(search) = &stored.checked.search else {
        let message = "the plan records no losses; calibrate with search record-all";
        return Err(ApiError::new(ErrorCode::PlanWithoutLosses, message).about("id"));
    };
    let decided = redecide(&search.record, threshold, stored.checked.plan.window());
    let decided = decided.map_err(|error| ApiError::internal(&error))?;
    answer(&stored.checked, &decided, threshold).map(Json)
}

fn threshold_from(value: &serde_json::Value) -> ApiResult<Threshold> {
    let read = match (value.as_f64(), value.as_str()) {
        (Some(number), _) => Threshold::new(number),
        (None, Some(text)) => text.parse(),
        (None, None) => {
            let message = "a threshold is a number, or D1 to D6";
            return Err(ApiError::invalid("threshold", message));
        }
    };
    read.map_err(|error| ApiError::invalid("threshold", error.to_string()))
}
