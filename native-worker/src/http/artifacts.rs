//! `GET /v1/artifacts/{hash}`: files that jobs made, named by their content. They never
//! change, so whoever has one may keep it for ever.

use std::ops::Range;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dfa_core::wire::ContentHash;

use super::Service;
use super::byte_range::Asked;
use super::error::ApiResult;
use super::input::PathId;
use super::job_errors::beyond;
use crate::jobs::ArtifactMeta;

const FOR_EVER: &str = "private, max-age=31536000, immutable";
/// What a person may open in the browser's own window; other files are saved.
const SHOWN: [&str; 5] = [
    "image/png",
    "image/apng",
    "video/mp4",
    "application/json",
    "text/csv",
];

/// An artifact, or a part of it.
#[utoipa::path(
    get, path = "/v1/artifacts/{hash}", tag = "artifacts",
    description = "A file that a job made, whole or in part.",
    params(
        ("hash" = String, Path, description = "SHA-256 of the file"),
        ("if-none-match" = Option<String>, Header, description = "ETags that the client has"),
        ("range" = Option<String>, Header, description = "One range of bytes, like `bytes=0-99`"),
    ),
    responses(
        (status = 200, description = "the file", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, description = "the part that was asked for", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 304, description = "the client has it"),
        (status = 404, description = "`artifact_not_found`: no job that is kept has it"),
        (status = 416, description = "`range_not_satisfiable`: the file is shorter"),
    )
)]
pub(super) async fn get(
    State(service): State<Service>,
    PathId(hash): PathId<ContentHash>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let meta = service.jobs().artifact(hash).await?;
    if has_it(&headers, hash) {
        return Ok((StatusCode::NOT_MODIFIED, described(&meta)).into_response());
    }
    let range = match asked_range(&headers, hash, meta.size_bytes) {
        Asked::Whole => None,
        Asked::Part(range) => Some(range),
        Asked::Beyond => return Err(beyond(meta.size_bytes)),
    };
    let status = match range {
        Some(_) => StatusCode::PARTIAL_CONTENT,
        None => StatusCode::OK,
    };
    let body = service.jobs().read_artifact(hash, range.clone()).await?;
    let mut headers = described(&body.meta);
    let n_bytes = body.range.end - body.range.start;
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(n_bytes));
    if let Some(Range { start, end }) = range {
        let text = format!("bytes {start}-{}/{}", end - 1, meta.size_bytes);
        insert(&mut headers, header::CONTENT_RANGE, &text);
    }
    Ok((status, headers, Body::from_stream(body.bytes)).into_response())
}

fn described(meta: &ArtifactMeta) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let shown = SHOWN.contains(&meta.media_type.as_str());
    let placing = if shown { "inline" } else { "attachment" };
    let disposition = format!("{placing}; filename=\"{}\"", meta.file_name);
    insert(&mut headers, header::CONTENT_TYPE, &meta.media_type);
    insert(&mut headers, header::CONTENT_DISPOSITION, &disposition);
    insert(&mut headers, header::ETAG, &etag(meta.hash));
    insert(&mut headers, header::CACHE_CONTROL, FOR_EVER);
    insert(&mut headers, header::ACCEPT_RANGES, "bytes");
    // A report is a page made from what clients sent: it runs nothing and asks nobody.
    insert(
        &mut headers,
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox",
    );
    headers
}

fn insert(headers: &mut HeaderMap, name: header::HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

fn etag(hash: ContentHash) -> String {
    format!("\"{hash}\"")
}

fn has_it(headers: &HeaderMap, hash: ContentHash) -> bool {
    let etag = etag(hash);
    let values = headers.get_all(header::IF_NONE_MATCH).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let mut tags = texts.flat_map(|text| text.split(','));
    tags.any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
    })
}

/// What is asked for, if the client's copy of the rest is the same file.
fn asked_range(headers: &HeaderMap, hash: ContentHash, size: u64) -> Asked {
    let same = headers.get(header::IF_RANGE);
    if same.is_some_and(|tag| tag.as_bytes() != etag(hash).as_bytes()) {
        return Asked::Whole;
    }
    let value = headers.get(header::RANGE);
    value
        .and_then(|value| value.to_str().ok())
        .map_or(Asked::Whole, |text| Asked::by(text, size))
}
