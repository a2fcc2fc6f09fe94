//! A worker of the tests: the real router on a real socket, with a folder of its own.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use dfa_native_worker::http::serve::serve;
use dfa_native_worker::http::{ApiKeys, HttpConfig};
use dfa_native_worker::jobs::{Jobs, JobsConfig};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use ureq::{Agent, http};

use crate::fixtures::shipped_model;

/// How a worker of the tests differs from the usual.
pub struct Settings {
    pub jobs: JobsConfig,
    pub http: HttpConfig,
}

impl Settings {
    /// The same, with keys.
    #[must_use]
    pub fn with_keys(mut self, keys: &[&str]) -> Self {
        self.http.api_keys = ApiKeys::new(keys);
        self
    }
}

/// A worker that serves the shipped model, until it is dropped.
pub struct TestWorker {
    pub address: SocketAddr,
    /// The jobs behind the routes.
    pub jobs: Jobs,
    agent: Agent,
    closing: CancellationToken,
    thread: Option<JoinHandle<()>>,
    _folder: TempDir,
}

/// An answer, whole.
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Vec<u8>,
}

impl TestWorker {
    /// With the usual settings.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start() -> Self {
        Self::start_with(|settings| settings)
    }

    /// With other settings.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_with(change: impl FnOnce(Settings) -> Settings) -> Self {
        let folder = TempDir::new().unwrap_or_else(|error| panic!("{error}"));
        let settings = change(Settings {
            jobs: JobsConfig::new(folder.path().join("data"), vec![shipped_model()]),
            http: HttpConfig::default(),
        });
        let closing = CancellationToken::new();
        let (tell, told) = std::sync::mpsc::channel();
        let token = closing.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap_or_else(|error| panic!("{error}"));
            runtime.block_on(run(settings, token, tell));
            runtime.shutdown_timeout(Duration::from_secs(2));
        });
        let (address, jobs) = told.recv().unwrap_or_else(|error| panic!("{error}"));
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(120)));
        Self {
            address,
            jobs,
            agent: config.build().new_agent(),
            closing,
            thread: Some(thread),
            _folder: folder,
        }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
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
        let mut request = http::Request::builder().method(method).uri(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into());
        let request = request.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let answer = self.agent.run(request);
        let mut answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let body = answer.body_mut().read_to_vec();
        Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: body.unwrap_or_else(|error| panic!("{method} {path}: {error}")),
        }
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

    /// Sends bytes as they are and reads until the worker closes or says nothing.
    ///
    /// # Panics
    /// If the worker cannot be reached.
    pub fn raw(&self, bytes: &[u8]) -> String {
        let stream = TcpStream::connect(self.address);
        let mut stream = stream.unwrap_or_else(|error| panic!("{error}"));
        let limit = Some(Duration::from_secs(5));
        stream.set_read_timeout(limit).ok();
        // The worker may close before it has read everything.
        stream.write_all(bytes).ok();
        let mut text = Vec::new();
        stream.read_to_end(&mut text).ok();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Tells the worker to stop, as a signal does once nothing runs.
    pub fn close(&self) {
        self.closing.cancel();
    }
}

async fn run(
    settings: Settings,
    closing: CancellationToken,
    tell: std::sync::mpsc::Sender<(SocketAddr, Jobs)>,
) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.unwrap_or_else(|error| panic!("{error}"));
    let jobs = Jobs::open(settings.jobs).await;
    let jobs = jobs.unwrap_or_else(|error| panic!("{error}"));
    let address = listener.local_addr();
    let address = address.unwrap_or_else(|error| panic!("{error}"));
    tell.send((address, jobs.clone())).ok();
    let served = serve(listener, jobs.clone(), settings.http, closing).await;
    served.unwrap_or_else(|error| panic!("{error}"));
    jobs.shutdown(Duration::ZERO).await;
}

impl Drop for TestWorker {
    fn drop(&mut self) {
        self.closing.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic of the worker has been printed; the test fails by its own words.
            thread.join().ok();
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
