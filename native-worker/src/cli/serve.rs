//! `dfa serve`: the worker. Flags are those of text-embeddings-inference where it has them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::device_flags::DeviceFlags;
use super::{Failure, GlobalFlags};
use crate::http::config::Origin;
use crate::http::serve::serve;
use crate::http::{ApiKeys, HttpConfig};
use crate::jobs::{Jobs, JobsConfig};

mod logging;
mod stopping;
mod tracing_export;

/// Serve models over HTTP.
#[derive(Args)]
pub(crate) struct ServeArgs {
    /// Model folder in the diffusers layout; repeatable, the first is the default.
    #[arg(
        long,
        env = "DFA_MODEL_ID",
        value_name = "DIR",
        required = true,
        value_delimiter = ','
    )]
    model_id: Vec<PathBuf>,
    /// Address to listen on. One that other machines reach needs --api-key.
    #[arg(
        long,
        env = "DFA_HOSTNAME",
        value_name = "HOST",
        default_value = "127.0.0.1"
    )]
    hostname: String,
    /// Port to listen on; 0 takes a free one.
    #[arg(
        short,
        long,
        env = "DFA_PORT",
        value_name = "PORT",
        default_value_t = 3000
    )]
    port: u16,
    /// Key that requests must carry as Authorization: Bearer KEY; repeatable.
    #[arg(
        long,
        env = "DFA_API_KEY",
        value_name = "KEY",
        value_delimiter = ',',
        hide_env_values = true
    )]
    api_key: Vec<String>,
    /// Folder of jobs, plans and results [default: dfa in the user's data folder].
    #[arg(long, env = "DFA_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Most bytes of a request's body.
    #[arg(
        long,
        env = "DFA_PAYLOAD_LIMIT",
        value_name = "BYTES",
        default_value_t = 2_000_000
    )]
    payload_limit: usize,
    /// Most jobs that wait; more are refused with 429.
    #[arg(
        long,
        env = "DFA_MAX_QUEUED_JOBS",
        value_name = "N",
        default_value_t = 32
    )]
    max_queued_jobs: u32,
    /// Longest time of an ordinary request, in seconds.
    #[arg(long, env = "DFA_REQUEST_TIMEOUT", value_name = "SECS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    request_timeout: u64,
    /// Write the log as one JSON value a line.
    #[arg(long, env = "DFA_JSON_OUTPUT", value_parser = super::switch())]
    json_output: bool,
    /// Collector of OpenTelemetry traces, over HTTP, like http://127.0.0.1:4318; needs the
    /// feature otlp.
    #[arg(long, env = "DFA_OTLP_ENDPOINT", value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// Origin of a page elsewhere that may ask, like https://ui.example; repeatable.
    #[arg(long, env = "DFA_CORS_ALLOW_ORIGIN", value_name = "ORIGIN", value_delimiter = ',', value_parser = Origin::from_str)]
    cors_allow_origin: Vec<Origin>,
    /// Another name in Host that is answered, for a proxy; repeatable.
    #[arg(
        long,
        env = "DFA_ALLOW_HOST",
        value_name = "NAME",
        value_delimiter = ','
    )]
    allow_host: Vec<String>,
    /// Ended jobs and their results are kept so many days.
    #[arg(long, env = "DFA_KEEP_DAYS", value_name = "DAYS", default_value_t = 30)]
    keep_days: u32,
    /// Results are kept up to so many bytes; the oldest go first.
    #[arg(long, env = "DFA_KEEP_BYTES", value_name = "BYTES", default_value_t = 10 << 30)]
    keep_bytes: u64,
    /// New jobs are refused when fewer bytes are free on the disk.
    #[arg(long, env = "DFA_FREE_SPACE_FLOOR", value_name = "BYTES", default_value_t = 512 << 20)]
    free_space_floor: u64,
    /// How long a running job may go on after SIGTERM, in seconds; then it is stopped, and
    /// a calibration goes on from its last step at the next start.
    #[arg(
        long,
        env = "DFA_SHUTDOWN_GRACE",
        value_name = "SECS",
        default_value_t = 20
    )]
    shutdown_grace: u64,
    #[command(flatten)]
    device: DeviceFlags,
}

pub(super) fn run(args: &ServeArgs, _global: GlobalFlags) -> Result<ExitCode, Failure> {
    let _traces =
        logging::start(args.json_output, args.otlp_endpoint.as_deref()).map_err(Failure::usage)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::failed)?;
    runtime.block_on(run_worker(args))?;
    // What a stuck device thread holds must not hold the process.
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(ExitCode::SUCCESS)
}

async fn run_worker(args: &ServeArgs) -> Result<(), Failure> {
    let address = resolve(args).await?;
    let config = http_config(args, address)?;
    let listener = TcpListener::bind(address).await;
    let listener = listener
        .with_context(|| format!("cannot listen on {address}"))
        .map_err(Failure::Failed)?;
    let address = listener.local_addr().map_err(Failure::failed)?;
    let jobs = Jobs::open(jobs_config(args)?)
        .await
        .map_err(Failure::failed)?;
    announce(args, &jobs, address);
    let closing = CancellationToken::new();
    let grace = Duration::from_secs(args.shutdown_grace);
    tokio::spawn(stopping::on_signal(jobs.clone(), closing.clone(), grace));
    serve(listener, jobs.clone(), config, closing)
        .await
        .map_err(Failure::failed)?;
    // The running job had its grace; what still runs is stopped within a step.
    jobs.shutdown(Duration::ZERO).await;
    tracing::info!("stopped");
    Ok(())
}

async fn resolve(args: &ServeArgs) -> Result<SocketAddr, Failure> {
    let host = args.hostname.trim_matches(['[', ']']);
    let found = tokio::net::lookup_host((host, args.port)).await;
    let first = found.ok().and_then(|mut found| found.next());
    first.ok_or_else(|| Failure::Usage(anyhow!("--hostname {host} is no address of this machine")))
}

fn http_config(args: &ServeArgs, address: SocketAddr) -> Result<HttpConfig, Failure> {
    if args.api_key.iter().any(|key| key.trim().is_empty()) {
        return Err(Failure::Usage(anyhow!("an --api-key is empty")));
    }
    let config = HttpConfig {
        api_keys: ApiKeys::new(&args.api_key),
        cors_allow_origins: args.cors_allow_origin.clone(),
        payload_limit_bytes: args.payload_limit,
        request_timeout: Duration::from_secs(args.request_timeout),
        ..HttpConfig::default()
    };
    config
        .for_address(&args.hostname, address.ip(), &args.allow_host)
        .map_err(Failure::usage)
}

fn jobs_config(args: &ServeArgs) -> Result<JobsConfig, Failure> {
    const DAY_SECS: u64 = 24 * 60 * 60;
    let data_dir = match &args.data_dir {
        Some(folder) => folder.clone(),
        None => users_data_folder()?,
    };
    let mut config = JobsConfig::new(data_dir, args.model_id.clone());
    config.placement = args.device.open()?;
    config.limits.max_queued_jobs = args.max_queued_jobs;
    config.retention.max_age = Duration::from_secs(u64::from(args.keep_days) * DAY_SECS);
    config.retention.max_artifact_bytes = args.keep_bytes;
    config.disk.free_floor_bytes = args.free_space_floor;
    Ok(config)
}

/// `dfa` where the desktop standard keeps a user's data.
fn users_data_folder() -> Result<PathBuf, Failure> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let base = set("XDG_DATA_HOME").map(PathBuf::from);
    let base = base.or_else(|| Some(PathBuf::from(set("HOME")?).join(".local/share")));
    base.map(|base| base.join("dfa")).ok_or_else(|| {
        Failure::Usage(anyhow!(
            "there is no home folder to keep jobs in; give --data-dir"
        ))
    })
}

fn announce(args: &ServeArgs, jobs: &Jobs, address: SocketAddr) {
    for model in jobs.models().all() {
        let folder = &model.folder;
        tracing::info!(
            model = model.id(),
            folder = %folder.path.display(),
            family = folder.transformer.family().name(),
            n_blocks = folder.transformer.geometry().n_blocks,
            "serves"
        );
    }
    tracing::info!(
        data_dir = %jobs.config().data_dir.display(),
        device = jobs.config().placement.name(),
        needs_key = !args.api_key.is_empty(),
        max_queued_jobs = args.max_queued_jobs,
        "keeps jobs"
    );
    let url = format!("http://{address}");
    if crate::http::has_page() {
        tracing::info!(url, "ready: open it in a browser; /docs describes the API");
    } else {
        tracing::info!(
            url,
            "ready, without the page (`cargo xtask serve` builds it); /docs describes the API"
        );
    }
}
