//! A worker of the tests: the real router on a real socket, with a folder of its own.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::ops::Deref;
use std::thread::JoinHandle;
use std::time::Duration;

use dfa_native_worker::http::serve::serve;
use dfa_native_worker::http::{ApiKeys, HttpConfig};
use dfa_native_worker::jobs::{Jobs, JobsConfig};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub use crate::client::Answer;
use crate::client::Client;
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
    /// The jobs behind the routes.
    pub jobs: Jobs,
    client: Client,
    closing: CancellationToken,
    thread: Option<JoinHandle<()>>,
    _folder: TempDir,
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
        Self {
            jobs,
            client: Client::new(address),
            closing,
            thread: Some(thread),
            _folder: folder,
        }
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

/// A worker is asked as its client is.
impl Deref for TestWorker {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
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
