//! What a browser must not be used for: names that point here from elsewhere (DNS
//! rebinding), pages of other sites that change something, content that is run.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::Service;
use super::config::Origin;
use super::error::{ApiError, ApiResult, ErrorCode};

/// For everything but `/docs`. `wasm-unsafe-eval` compiles WebAssembly and nothing else.
const STRICT_CSP: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
    style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; \
    manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Swagger UI writes style attributes and draws its icons from data URLs.
const DOCS_CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self' data:; connect-src 'self'; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";

const SECURITY_HEADERS: [(&str, &str); 5] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    (
        "permissions-policy",
        "camera=(), geolocation=(), microphone=()",
    ),
];

/// Checks `Host` and `Origin` before anything else looks at a request.
pub(super) async fn check_origin(
    State(service): State<Service>,
    request: Request,
    next: Next,
) -> Response {
    match check(&service, &request) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn check(service: &Service, request: &Request) -> ApiResult<()> {
    let config = service.config();
    let host = host_of(request)?;
    if let Some(allowed) = &config.allowed_hosts {
        let name = without_port(&host).to_ascii_lowercase();
        if !allowed.contains(&name) {
            let message = format!(
                "this worker does not answer to the name {}; add it with --allow-host",
                shortened(&name)
            );
            return Err(ApiError::new(ErrorCode::HostNotAllowed, message).about("host"));
        }
    }
    if matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    ) {
        return Ok(());
    }
    if is_foreign(request.headers(), &host, &config.cors_allow_origins) {
        let message = "a page of another site may not do this; list its origin with --cors-allow-origin if it may";
        return Err(ApiError::new(ErrorCode::OriginNotAllowed, message).about("origin"));
    }
    Ok(())
}

fn host_of(request: &Request) -> ApiResult<String> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let first = hosts.next().and_then(|host| host.to_str().ok());
    let named = request.uri().authority();
    match (
        named.map_or(first, |named| Some(named.as_str())),
        hosts.next(),
    ) {
        (Some(host), None) if !host.contains('@') => Ok(host.to_owned()),
        _ => Err(ApiError::invalid("host", "one Host header is needed")),
    }
}

/// `name` of `name:port`, `[::1]` of `[::1]:port`.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether a page of another origin asks. Programs send no `Origin`.
fn is_foreign(headers: &HeaderMap, host: &str, allowed: &[Origin]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        let site = headers.get("sec-fetch-site");
        return site.is_some_and(|site| site == "cross-site" || site == "same-site");
    };
    let own = origin.to_str().ok().and_then(|text| text.split_once("://"));
    let is_own = own.is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host));
    !is_own && !allowed.iter().any(|allowed| allowed.value() == origin)
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Adds the headers that tell browsers what not to do.
pub(super) async fn security_headers(request: Request, next: Next) -> Response {
    let is_docs = request.uri().path().starts_with("/docs");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    let csp = if is_docs { DOCS_CSP } else { STRICT_CSP };
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(csp));
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// CORS for the listed origins. Credentials are
/// never allowed: other sites use a key, not the browser's cookie.
pub(super) fn cors(origins: &[Origin]) -> CorsLayer {
    let exposed = ["location", "retry-after", "x-request-id", "etag"];
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(
            origins.iter().map(|origin| origin.value().clone()),
        ))
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::RANGE,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("last-event-id"),
        ])
        .expose_headers(exposed.map(HeaderName::from_static))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_cut_off_names() {
        let check = |host, expected| assert_eq!(without_port(host), expected, "{host}");
        check("localhost", "localhost");
        check("localhost:8080", "localhost");
        check("[::1]:8080", "[::1]");
        check("[::1]", "[::1]");
    }

    #[test]
    fn pages_of_other_sites_are_foreign() {
        let allowed = ["https://ui.example".parse().unwrap()];
        let check = |name: &'static str, value: &'static str, expected| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            let found = is_foreign(&headers, "localhost:8080", &allowed);
            assert_eq!(found, expected, "{name}: {value}");
        };
        check("accept", "*/*", false);
        check("origin", "http://localhost:8080", false);
        check("origin", "https://ui.example", false);
        check("origin", "http://localhost:9090", true);
        check("origin", "https://evil.example", true);
        check("origin", "null", true);
        check("sec-fetch-site", "cross-site", true);
        check("sec-fetch-site", "same-origin", false);
    }
}
