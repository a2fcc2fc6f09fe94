//! A client of a worker: answers whole, or a stream of events as they come.

use std::io::{BufRead as _, BufReader, Lines};
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use ureq::{Agent, BodyReader, http};

/// Asks one worker. A clone shares its connections.
#[derive(Clone)]
pub struct Client {
    pub address: SocketAddr,
    agent: Agent,
}

/// An answer, whole.
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Vec<u8>,
}

impl Client {
    /// A client of the worker at this address.
    pub fn new(address: SocketAddr) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(120)));
        let agent = config.build().new_agent();
        Self { address, agent }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Asks a worker that may die meanwhile.
    ///
    /// # Errors
    /// If no answer comes, or only a part of it.
    pub fn try_ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Result<Answer, ureq::Error> {
        let mut request = http::Request::builder().method(method).uri(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = self.agent.run(request.body(body.into())?)?;
        Ok(Answer {
            body: answer.body_mut().read_to_vec()?,
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
        })
    }

    /// Asks with method, path, headers and body.
    ///
    /// # Panics
    /// If no answer comes.
    pub fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        let answer = self.try_ask(method, path, headers, body);
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// `GET path`.
    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }

    /// `POST path` with JSON.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        let json = [("content-type", "application/json")];
        self.ask("POST", path, &json, body.to_string())
    }

    /// A job's events after the one with this number, as they come; dropping them cuts the
    /// connection.
    ///
    /// # Panics
    /// If the worker does not answer with a stream.
    pub fn events(&self, job: &str, after: u64) -> EventStream {
        let url = self.url(&format!("/v1/jobs/{job}/events"));
        let request = self.agent.get(url);
        let answer = request.header("last-event-id", after.to_string()).call();
        let answer = answer.unwrap_or_else(|error| panic!("{job}: {error}"));
        assert_eq!(answer.status(), 200, "the events of {job}");
        let lines = BufReader::new(answer.into_body().into_reader()).lines();
        EventStream { lines }
    }
}

/// An event as a client reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamEvent {
    pub name: String,
    pub id: u64,
    pub data: Value,
}

/// Events, until the worker ends the stream or dies.
pub struct EventStream {
    lines: Lines<BufReader<BodyReader<'static>>>,
}

impl Iterator for EventStream {
    type Item = StreamEvent;

    fn next(&mut self) -> Option<StreamEvent> {
        let (mut name, mut id, mut data) = (None, None, None);
        loop {
            let line = self.lines.next()?.ok()?;
            match line.split_once(": ") {
                Some(("event", text)) => name = Some(text.to_owned()),
                Some(("id", text)) => id = text.parse().ok(),
                Some(("data", text)) => data = serde_json::from_str(text).ok(),
                // A blank line ends an event; after a comment there was none.
                _ => {
                    if let (Some(name), Some(id), Some(data)) = (name.take(), id, data.take()) {
                        return Some(StreamEvent { name, id, data });
                    }
                }
            }
        }
    }
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// The code of the error, if the body is the envelope and nothing else.
    pub fn error_code(&self) -> Option<String> {
        let json = self.json();
        let error = json.get("error")?.as_object()?;
        let has = |name| error.get(name).is_some();
        let is_envelope = ["message", "type", "param", "code"].into_iter().all(has);
        let is_message = error["message"]
            .as_str()
            .is_some_and(|text| !text.is_empty());
        (is_envelope && is_message && json.as_object()?.len() == 1)
            .then(|| error["code"].as_str().unwrap_or_default().to_owned())
    }
}
