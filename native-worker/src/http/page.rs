//! The page: files that `cargo xtask web` made before this program was compiled. A program
//! that was compiled without them says how to get them.
//!
//! The files are anybody's to read: they hold no data, and a browser needs them to log in.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{Embed, EmbeddedFile};

use super::error::{ApiError, ErrorCode};

#[derive(Embed)]
#[folder = "../web-ui/dist"]
#[allow_missing = true]
struct Files;

const INDEX: &str = "index.html";
const SAMPLE: &str = "sample/";
/// The name of the page's file that a path asks for, if it may be one.
fn file_name(path: &str) -> Option<&str> {
    let name = match path {
        "/" => INDEX,
        path => path.strip_prefix('/')?,
    };
    let (kinds, last): (&[&str], &str) = match name.strip_prefix(SAMPLE) {
        Some(last) => (&[".json", ".png"], last),
        None => (&[".html", ".css", ".js", ".wasm", ".svg"], name),
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_known = kinds.iter().any(|kind| last.ends_with(kind));
    (is_known && !last.starts_with('.') && last.bytes().all(is_plain)).then_some(name)
}

/// Whether anybody may ask for a path because it is a part of the page.
pub(super) fn is_page(path: &str) -> bool {
    file_name(path).is_some()
}

/// Whether this program has the page.
pub(super) fn is_built() -> bool {
    Files::get(INDEX).is_some()
}

/// The file of the page that is asked for; `None` if something else is.
pub(super) fn answer(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Response> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    let name = file_name(uri.path())?;
    match Files::get(name) {
        Some(file) => Some(file_response(name, file, headers)),
        None if name == INDEX => Some(not_built().into_response()),
        None => None,
    }
}

fn not_built() -> ApiError {
    let message = "the page is not in this program; `cargo xtask serve` builds both. \
                   The API is described at /docs";
    ApiError::new(ErrorCode::PageNotBuilt, message)
}

fn file_response(name: &str, file: EmbeddedFile, headers: &HeaderMap) -> Response {
    let etag = etag(&file);
    let mut answer = HeaderMap::new();
    answer.insert(header::ETAG, etag.clone());
    answer.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    // Asked about at every visit, so that a page never meets a worker of another version.
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if headers.get(header::IF_NONE_MATCH) == Some(&etag) {
        return (StatusCode::NOT_MODIFIED, answer).into_response();
    }
    answer.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(media_type(name)),
    );
    let packed = takes_gzip(headers).then(|| Files::get(&format!("{name}.gz")));
    let bytes = match packed.flatten() {
        Some(packed) => {
            answer.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            packed.data
        }
        None => file.data,
    };
    (StatusCode::OK, answer, Body::from(bytes.into_owned())).into_response()
}

fn etag(file: &EmbeddedFile) -> HeaderValue {
    let hash = file.metadata.sha256_hash();
    let hex: String = hash[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    HeaderValue::try_from(format!("\"{hex}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter();
    let mut parts = accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','));
    parts.any(|part| {
        let (name, weight) = part.split_once(';').unwrap_or((part, ""));
        name.trim().eq_ignore_ascii_case("gzip") && weight.replace(' ', "") != "q=0"
    })
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pages_own_files_are_open() {
        let check = |path, expected| assert_eq!(is_page(path), expected, "{path}");
        check("/", true);
        check("/page.js", true);
        check("/page_bg.wasm", true);
        check("/sample/plan.json", true);
        check("/v1/jobs", false);
        check("/metrics", false);
        check("/README.md", false);
        check("/split_jobs.wasm", true);
        check("/openapi.json", false);
        check("/sample/../page.js", false);
        check("/sample/more/plan.json", false);
        check("/.hidden.js", false);
    }

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        let check = |value: &'static str, expected| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(takes_gzip(&headers), expected, "{value}");
        };
        check("gzip, deflate, br", true);
        check("br;q=1.0, GZIP;q=0.5", true);
        check("br", false);
        check("gzip; q=0", false);
    }
}
