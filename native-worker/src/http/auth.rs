//! Who may ask: bearer keys, and for browsers a cookie that a key was exchanged for.
//!
//! Neither keys nor cookies are kept: only their SHA-256, compared in constant time. What
//! a session names is a random token of 256 bits.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use dfa_core::wire::service::LoginRequest;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use super::error::{ApiError, ApiResult, ErrorCode};
use super::input::JsonBody;
use super::{Service, cookie, page};

const COOKIE: &str = "dfa_session";
/// More browsers than this are not logged in at once; the oldest is forgotten.
const MAX_SESSIONS: usize = 1000;

/// What anybody may ask: whether the worker lives, and how it is spoken to.
const OPEN_ROUTES: [&str; 8] = [
    "/health",
    "/v2/health/live",
    "/v2/health/ready",
    "/ping",
    "/metrics",
    "/openapi.json",
    "/login",
    "/logout",
];

/// SHA-256 of the keys that may ask.
#[derive(Clone, Default)]
pub struct ApiKeys(Vec<[u8; 32]>);

impl ApiKeys {
    /// The hashes of some keys.
    pub fn new<K: AsRef<str>>(keys: impl IntoIterator<Item = K>) -> Self {
        Self(keys.into_iter().map(|key| digest(key.as_ref())).collect())
    }

    /// Whether everybody may ask.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `key` is one of them; takes the same time for every wrong key.
    pub fn contains(&self, key: &str) -> bool {
        let asked = digest(key);
        let found = self
            .0
            .iter()
            .fold(Choice::from(0), |found, known| found | known.ct_eq(&asked));
        found.into()
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeys({} redacted)", self.0.len())
    }
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Browsers that are logged in: the hash of their token, and when it stops.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<[u8; 32], Instant>>);

impl Sessions {
    /// A new token.
    fn open(&self, age: Duration) -> ApiResult<String> {
        let mut bytes = [0u8; 32];
        getrandom::fill(&mut bytes).map_err(|error| ApiError::internal(&error))?;
        let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut sessions = self.lock();
        let now = Instant::now();
        sessions.retain(|_, ends| *ends > now);
        if sessions.len() >= MAX_SESSIONS {
            let oldest = sessions.iter().min_by_key(|(_, ends)| **ends);
            if let Some(hash) = oldest.map(|(hash, _)| *hash) {
                sessions.remove(&hash);
            }
        }
        sessions.insert(digest(&token), now + age);
        Ok(token)
    }

    /// Looking up a hash tells nothing about the token that it is of.
    fn knows(&self, token: &str) -> bool {
        let ends = self.lock().get(&digest(token)).copied();
        ends.is_some_and(|ends| ends > Instant::now())
    }

    fn close(&self, token: &str) {
        self.lock().remove(&digest(token));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets through who may ask.
pub(super) async fn require_key(
    State(service): State<Service>,
    request: Request,
    next: Next,
) -> Response {
    let is_open = |path: &str| {
        OPEN_ROUTES.contains(&path) || path.starts_with("/docs") || page::is_page(path)
    };
    let keys = &service.config().api_keys;
    let is_preflight = request.method() == axum::http::Method::OPTIONS;
    if keys.is_empty()
        || is_preflight
        || is_open(request.uri().path())
        || may_ask(&service, request.headers())
    {
        return next.run(request).await;
    }
    no_key("a key is needed: send Authorization: Bearer KEY, or log in with POST /login")
        .into_response()
}

fn may_ask(service: &Service, headers: &HeaderMap) -> bool {
    if let Some(key) = bearer(headers) {
        return service.config().api_keys.contains(key);
    }
    session_token(headers).is_some_and(|token| service.sessions().knows(token))
}

fn no_key(message: &str) -> ApiError {
    ApiError::new(ErrorCode::InvalidApiKey, message)
        .about("authorization")
        .with_header(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"dfa\""),
        )
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

fn session_token(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter();
    let mut texts = cookies.filter_map(|cookie| cookie.to_str().ok());
    texts.find_map(|text| cookie::value_of(text, COOKIE))
}

/// Exchanges a key for a cookie.
#[utoipa::path(
    post, path = "/login", tag = "browser",
    description = "Exchanges a key for a cookie that scripts cannot read; for browsers, which \
                   cannot send a header with every request.",
    security(()),
    request_body(content = ref("#/components/schemas/LoginRequest"), content_type = "application/json"),
    responses(
        (status = 204, description = "logged in", headers(("set-cookie" = String, description = "HttpOnly, SameSite=Strict"))),
        (status = 401, description = "`invalid_api_key`: the key is wrong"),
        (status = 413, description = "`body_too_large`: the body is too large"),
        (status = 415, description = "`unsupported_media_type`: the body is no JSON"),
    )
)]
pub(super) async fn login(
    State(service): State<Service>,
    JsonBody(login): JsonBody<LoginRequest>,
) -> ApiResult<Response> {
    let keys = &service.config().api_keys;
    if !keys.is_empty() && !keys.contains(&login.api_key) {
        return Err(no_key("the key is wrong"));
    }
    let age = service.config().session_age;
    let token = service.sessions().open(age)?;
    let cookie = format!(
        "{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/; Max-Age={}",
        age.as_secs()
    );
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// Forgets a cookie.
#[utoipa::path(
    post, path = "/logout", tag = "browser",
    description = "Forgets the cookie, here and in the browser.",
    security(()),
    responses((status = 204, description = "logged out"))
)]
pub(super) async fn logout(State(service): State<Service>, headers: HeaderMap) -> Response {
    if let Some(token) = session_token(&headers) {
        service.sessions().close(token);
    }
    let cookie = format!("{COOKIE}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0");
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_compared_and_never_shown() {
        let keys = ApiKeys::new(["first", "second"]);
        let check = |key, expected| assert_eq!(keys.contains(key), expected, "{key:?}");
        check("first", true);
        check("second", true);
        check("third", false);
        check("", false);
        check("firs", false);
        assert_eq!(format!("{keys:?}"), "ApiKeys(2 redacted)");
    }

    #[test]
    fn sessions_end() {
        let sessions = Sessions::default();
        let kept = sessions.open(Duration::from_secs(60)).unwrap();
        let ended = sessions.open(Duration::ZERO).unwrap();
        assert!(sessions.knows(&kept));
        assert!(!sessions.knows(&ended));
        sessions.close(&kept);
        assert!(!sessions.knows(&kept));
    }
}
