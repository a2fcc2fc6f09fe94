//! `/openapi.json` and `/docs`: the API, described.
//!
//! Routes describe themselves where they are written, so none can be missing here. What a
//! value looks like is in `openapi/schemas.json`, by hand, because it is a promise: a test
//! compares it with the wire types. Refusals need only a status and a code at their route;
//! the envelope, an example, and the refusals that every route has are added here.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::Service;

const SCHEMAS: &str = include_str!("openapi/schemas.json");
const PLAN_SCHEMA: &str = include_str!("../../../docs/plan.schema.json");

/// Refusals that every route has.
const EVERYWHERE: [(&str, &str); 6] = [
    (
        "400",
        "`invalid_request`: a parameter, header or field cannot be used",
    ),
    ("401", "`invalid_api_key`: no key, or a wrong one"),
    (
        "403",
        "`host_not_allowed` or `origin_not_allowed`: not from there",
    ),
    ("405", "`method_not_allowed`: the route has other methods"),
    ("408", "`request_timeout`: it took too long"),
    ("500", "`internal`: the worker failed"),
];

/// The description of the API as JSON text.
#[derive(Clone)]
pub(super) struct Document(Arc<str>);

impl Document {
    /// From what the routes say.
    pub(super) fn new(routes: &utoipa::openapi::OpenApi) -> serde_json::Result<Self> {
        let mut document = serde_json::to_value(routes)?;
        document["info"] = json!({
            "title": "DiTFastAttn worker",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Calibrates compression plans for Diffusion Transformers and generates with them.",
            "license": {"name": "MIT OR Apache-2.0"},
        });
        document["security"] = json!([{"key": []}, {"cookie": []}, {}]);
        document["components"] = json!({
            "schemas": schemas()?,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "dfa_session"},
            },
        });
        let paths = document["paths"].as_object_mut();
        for (path, operations) in paths.into_iter().flatten() {
            let operations = operations.as_object_mut();
            for (_, operation) in operations.into_iter().flatten() {
                complete(path, operation);
            }
        }
        Ok(Self(document.to_string().into()))
    }
}

/// The components. The plan file's schema is that of its own document.
fn schemas() -> serde_json::Result<Value> {
    let mut schemas: Value = serde_json::from_str(SCHEMAS)?;
    let plan = PLAN_SCHEMA.replace("\"#/$defs/", "\"#/components/schemas/PlanFile/$defs/");
    let mut plan: Value = serde_json::from_str(&plan)?;
    if let Some(plan) = plan.as_object_mut() {
        plan.remove("$schema");
        plan.remove("$id");
    }
    schemas["PlanFile"] = plan;
    Ok(schemas)
}

fn complete(path: &str, operation: &mut Value) {
    sharpen(path, operation);
    let Some(responses) = operation["responses"].as_object_mut() else {
        return;
    };
    for (status, description) in EVERYWHERE {
        let response = json!({"description": description});
        responses.entry(status).or_insert(response);
    }
    for (status, response) in responses {
        if status.starts_with(['4', '5']) {
            add_envelope(status, response);
        }
    }
}

/// Gives parameters the forms that their names have everywhere.
fn sharpen(path: &str, operation: &mut Value) {
    let parameters = operation.get_mut("parameters");
    let parameters = parameters.and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let hash = json!({"$ref": "#/components/schemas/Hash"});
        let schema = match (parameter["name"].as_str(), path) {
            (Some("hash"), _) => hash,
            (Some("id"), path) if path.contains("/jobs/") => {
                json!({"$ref": "#/components/schemas/JobId"})
            }
            (Some("id"), path) if path.contains("redecide") => hash,
            (Some("id"), path) if path.contains("/plans/") => {
                json!({"type": "string", "pattern": "^[0-9a-f]{64}(\\.json|\\.csv|\\.xdit\\.json)?$"})
            }
            (Some("id"), _) => json!({"type": "string", "minLength": 1}),
            (Some("status"), _) => json!({"$ref": "#/components/schemas/JobState"}),
            (Some("kind"), _) => json!({"$ref": "#/components/schemas/JobKind"}),
            (Some("cursor"), "/v1/jobs") => json!({"$ref": "#/components/schemas/JobId"}),
            (Some("limit"), _) => json!({"type": "integer", "minimum": 1, "maximum": 200}),
            (Some("wait"), _) => json!({"type": "integer", "minimum": 0, "maximum": 60}),
            (Some("after"), _) => json!({"type": "integer", "minimum": 0}),
            (Some("last-event-id"), _) => json!({"type": "string", "pattern": "^[0-9]{1,19}$"}),
            (Some("idempotency-key"), _) => {
                json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"})
            }
            (Some("format"), _) => json!({"type": "string", "enum": ["json", "csv", "xdit"]}),
            (Some("window"), _) => {
                json!({"type": "string", "pattern": "^[0-9]{1,7}(,[0-9]{1,7})?$"})
            }
            (Some("n_tokens"), _) => json!({"type": "integer", "minimum": 1, "maximum": 16777216}),
            _ => continue,
        };
        parameter["schema"] = schema;
    }
}

fn add_envelope(status: &str, response: &mut Value) {
    let description = response["description"].as_str().unwrap_or_default();
    let code = description
        .split('`')
        .nth(1)
        .unwrap_or("internal")
        .to_owned();
    let message = description.split_once(": ").map_or("", |(_, text)| text);
    let family = match status {
        "401" => "authentication_error",
        "403" => "permission_error",
        "404" | "410" => "not_found_error",
        "409" => "conflict_error",
        "429" => "rate_limit_error",
        "500" => "server_error",
        "503" | "507" => "unavailable_error",
        _ => "invalid_request_error",
    };
    let error = json!({"message": message, "type": family, "param": null, "code": code});
    response["content"] = json!({"application/json": {
        "schema": {"$ref": "#/components/schemas/ErrorEnvelope"},
        "example": {"error": error},
    }});
    if matches!(status, "429" | "503") {
        response["headers"] = json!({"retry-after": {
            "description": "Seconds after which to try again",
            "schema": {"type": "integer", "minimum": 1},
        }});
    }
}

/// The description.
#[utoipa::path(
    get, path = "/openapi.json", tag = "operations",
    description = "This description, OpenAPI 3.1.",
    security(()),
    responses((status = 200, description = "the description", body = Object))
)]
pub(super) async fn openapi(State(service): State<Service>) -> Response {
    let text = service.document().0.to_string();
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// Swagger UI, from files inside the program.
pub(super) fn docs() -> Router<Service> {
    let config = Config::new(["/openapi.json"]).try_it_out_enabled(true);
    SwaggerUi::new("/docs").config(config).into()
}
