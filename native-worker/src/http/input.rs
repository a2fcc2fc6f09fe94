//! What requests bring, read with limits: bodies by size, time and depth, queries and ids
//! by name. Everything that is refused here is a 4xx in the envelope.

use std::str::FromStr;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;

use super::Service;
use super::error::{ApiError, ApiResult, ErrorCode};
use super::query::{GivenTwice, Parameters};

/// Deepest JSON that is read.
pub(super) const MAX_JSON_DEPTH: u32 = 32;

/// A JSON body as a `T`.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Service> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, service: &Service) -> ApiResult<Self> {
        let media_type = media_type_of(request.headers());
        if media_type != "application/json" {
            return Err(wrong_media_type(&media_type, "application/json"));
        }
        let bytes = read_body(request, service).await?;
        json_from_bytes(&bytes).map(Self)
    }
}

/// Reads JSON that is not too deep.
pub(super) fn json_from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> ApiResult<T> {
    if json_depth(bytes) > MAX_JSON_DEPTH {
        let message = format!("the JSON is nested deeper than {MAX_JSON_DEPTH} levels");
        return Err(ApiError::new(ErrorCode::InvalidJson, message));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let code = match error.classify() {
            serde_json::error::Category::Data => ErrorCode::InvalidRequest,
            _ => ErrorCode::InvalidJson,
        };
        ApiError::new(code, format!("the body cannot be used: {error}"))
    })
}

/// Deepest level of brackets outside strings, without reading any value.
pub(super) fn json_depth(bytes: &[u8]) -> u32 {
    let (mut depth, mut deepest) = (0u32, 0);
    let (mut in_string, mut escaped) = (false, false);
    for &byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The media type without its parameters, in lower case; empty if there is none.
pub(super) fn media_type_of(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE);
    let text = value.and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = text.split(';').next().unwrap_or("");
    essence.trim().to_ascii_lowercase()
}

/// The refusal of a body of another kind.
pub(super) fn wrong_media_type(found: &str, expected: &str) -> ApiError {
    let found = match found {
        "" => "nothing",
        found => found,
    };
    let found: String = found.chars().take(80).collect();
    ApiError::new(
        ErrorCode::UnsupportedMediaType,
        format!("the content type says {found}; send {expected}"),
    )
    .about("content-type")
}

/// The whole body, if it is not too large and comes in time.
pub(super) async fn read_body(request: Request, service: &Service) -> ApiResult<Bytes> {
    let limit = service.config().payload_limit_bytes;
    let timeout = service.config().request_timeout;
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|size| size > limit) {
        return Err(too_large(limit));
    }
    tokio::time::timeout(timeout, collect(request.into_body(), limit))
        .await
        .map_err(|_elapsed| timed_out(timeout))?
}

async fn collect(body: Body, limit: usize) -> ApiResult<Bytes> {
    let mut stream = body.into_data_stream();
    let mut whole = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| {
            let message = format!("the body did not arrive whole: {error}");
            ApiError::new(ErrorCode::InvalidRequest, message)
        })?;
        if whole.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.into())
}

fn too_large(limit: usize) -> ApiError {
    let message = format!("the body has more than {limit} bytes (--payload-limit)");
    ApiError::new(ErrorCode::BodyTooLarge, message)
}

/// The refusal of what took too long.
pub(super) fn timed_out(after: Duration) -> ApiError {
    let message = format!("the request was not done in {} s", after.as_secs());
    ApiError::new(ErrorCode::RequestTimeout, message)
}

/// A part of the path that names something.
pub(super) struct PathId<T>(pub(super) T);

impl<T> FromRequestParts<Service> for PathId<T>
where
    T: FromStr<Err: std::fmt::Display> + Send,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> ApiResult<Self> {
        let text = Path::<String>::from_request_parts(parts, service).await;
        let text = text.map_err(|error| ApiError::invalid("id", error.body_text()))?;
        let id = text.0.parse();
        id.map(Self)
            .map_err(|error: T::Err| ApiError::invalid("id", error.to_string()))
    }
}

/// The query, each parameter taken once by name; what is left over is refused.
pub(super) struct Params(Parameters);

impl FromRequestParts<Service> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> ApiResult<Self> {
        let pairs = Query::<Vec<(String, String)>>::from_request_parts(parts, service).await;
        pairs
            .map(|Query(pairs)| Self(Parameters(pairs)))
            .map_err(|error| ApiError::invalid("query", error.body_text()))
    }
}

impl Params {
    /// Takes a parameter's text.
    pub(super) fn text(&mut self, name: &str) -> ApiResult<Option<String>> {
        let twice = |GivenTwice| ApiError::invalid(name, format!("{name} is given twice"));
        self.0.take(name).map_err(twice)
    }

    /// Takes a parameter as a `T`.
    pub(super) fn value<T: FromStr<Err: std::fmt::Display>>(
        &mut self,
        name: &str,
    ) -> ApiResult<Option<T>> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        text.parse()
            .map(Some)
            .map_err(|error: T::Err| ApiError::invalid(name, format!("{name}: {error}")))
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> ApiResult<()> {
        match self.0.left_over() {
            None => Ok(()),
            Some(name) => {
                let name: String = name.chars().take(80).collect();
                let message = format!("there is no parameter {name} here");
                Err(ApiError::invalid(name, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_strings() {
        let check = |text: &str, expected| {
            assert_eq!(json_depth(text.as_bytes()), expected, "{text}");
        };
        check("1", 0);
        check("{}", 1);
        check(r#"{"a":[[1],{"b":2}]}"#, 3);
        check(r#"{"a":"[[[[\"[[["}"#, 1);
        check("]]]][[", 2);
    }
}
