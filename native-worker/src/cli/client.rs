//! A small client of a worker's API, for `submit`, `jobs` and `watch`.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use dfa_core::wire::api_error::ErrorEnvelope;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::{Agent, Body, RequestBuilder, http};

use super::Failure;

/// Longest answer that is read, artifacts included.
const MAX_ANSWER_BYTES: u64 = 1 << 30;

/// Which worker is asked.
#[derive(Clone, Args)]
pub(crate) struct WorkerFlags {
    /// Where the worker is.
    #[arg(
        long,
        env = "DFA_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:3000"
    )]
    url: String,
    /// The worker's key.
    #[arg(long, env = "DFA_API_KEY", value_name = "KEY", hide_env_values = true)]
    api_key: Option<String>,
}

/// A worker that is asked.
pub(crate) struct Client {
    agent: Agent,
    base: String,
    key: Option<String>,
}

type Answer = http::Response<Body>;

impl WorkerFlags {
    pub(crate) fn client(&self) -> Client {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(10)))
            .build();
        Client {
            agent: config.new_agent(),
            base: self.url.trim_end_matches('/').to_owned(),
            key: self.api_key.clone(),
        }
    }
}

impl Client {
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.json(path, self.with_key(self.agent.get(self.url(path))).call())
    }

    pub(crate) fn get_bytes(&self, path: &str) -> Result<Vec<u8>, Failure> {
        let request = self.with_key(self.agent.get(self.url(path)));
        let mut answer = self.checked(path, request.call())?;
        let read = answer.body_mut().with_config().limit(MAX_ANSWER_BYTES);
        read.read_to_vec().map_err(|error| self.broken(path, error))
    }

    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
        key: Option<&str>,
    ) -> Result<T, Failure> {
        let mut request = self.with_key(self.agent.post(self.url(path)));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        self.json(path, request.send_json(body))
    }

    pub(crate) fn delete(&self, path: &str) -> Result<(), Failure> {
        let request = self.with_key(self.agent.delete(self.url(path)));
        self.checked(path, request.call()).map(|_| ())
    }

    /// Lines of a stream of events, after the one with this id.
    pub(crate) fn lines(&self, path: &str, after: u64) -> Result<impl BufRead + use<>, Failure> {
        let request = self
            .with_key(self.agent.get(self.url(path)))
            .header("last-event-id", after.to_string());
        let answer = self.checked(path, request.call())?;
        Ok(BufReader::new(answer.into_body().into_reader()))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn with_key<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.key {
            Some(key) => request.header("authorization", format!("Bearer {key}")),
            None => request,
        }
    }

    fn json<T: DeserializeOwned>(
        &self,
        path: &str,
        answer: Result<Answer, ureq::Error>,
    ) -> Result<T, Failure> {
        let mut answer = self.checked(path, answer)?;
        let read = answer.body_mut().with_config().limit(MAX_ANSWER_BYTES);
        read.read_json().map_err(|error| self.broken(path, error))
    }

    /// The worker's own words where it refuses.
    fn checked(&self, path: &str, answer: Result<Answer, ureq::Error>) -> Result<Answer, Failure> {
        let mut answer = answer
            .with_context(|| format!("no worker answers at {}", self.base))
            .map_err(Failure::Failed)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let text = answer.body_mut().read_to_string().unwrap_or_default();
        let words = match serde_json::from_str::<ErrorEnvelope>(&text) {
            Ok(envelope) => envelope.error.message,
            Err(_) => format!("it answered {status} to {path}; is it a dfa worker?"),
        };
        let error = anyhow!("{}: {words}", self.base);
        Err(if status.is_client_error() {
            Failure::Usage(error)
        } else {
            Failure::Failed(error)
        })
    }

    fn broken(&self, path: &str, error: ureq::Error) -> Failure {
        let words = format!("the answer of {} to {path} is broken", self.base);
        Failure::Failed(anyhow::Error::new(error).context(words))
    }
}
