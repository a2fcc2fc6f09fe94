//! `dfa submit`: a job for a worker.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use clap::Args;
use dfa_core::wire::{JobKind, JobRequest, JobView};
use serde_json::{Map, Value};

use super::client::WorkerFlags;
use super::plan::read::read_bytes;
use super::terminal::{note, print_result};
use super::{Failure, GlobalFlags, watch};

/// Fields that are lists; their values are separated by commas.
const LISTS: [&str; 3] = ["labels", "candidates", "allow_mismatch"];
/// A list of texts, which may have commas in them: given once per text.
const TEXTS: &str = "prompts";
/// A text even where it looks like a number.
const TEXT: &str = "negative_prompt";

/// Give a worker a job.
#[derive(Args)]
pub(crate) struct SubmitArgs {
    /// What to do: calibrate, generate or compare.
    #[arg(value_name = "KIND", required_unless_present = "file")]
    kind: Option<JobKind>,
    /// Fields of the request, for example model=avatars-dit labels=micah,thumbs steps=20;
    /// prompts=TEXT is given once per text.
    #[arg(value_name = "FIELD=VALUE", conflicts_with = "file")]
    fields: Vec<String>,
    /// The whole request as JSON; - is standard input.
    #[arg(
        long,
        env = "DFA_REQUEST",
        value_name = "FILE",
        conflicts_with = "kind"
    )]
    file: Option<PathBuf>,
    /// Your own name for this request: sent twice, it makes one job.
    #[arg(long, env = "DFA_IDEMPOTENCY_KEY", value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Watch the job until it ends.
    #[arg(long, env = "DFA_WATCH", value_parser = super::switch())]
    watch: bool,
    /// Folder for the job's files, with --watch.
    #[arg(
        short,
        long,
        env = "DFA_OUTPUT",
        value_name = "DIR",
        requires = "watch"
    )]
    output: Option<PathBuf>,
    #[command(flatten)]
    worker: WorkerFlags,
}

pub(super) fn run(args: &SubmitArgs, global: GlobalFlags) -> Result<ExitCode, Failure> {
    let request = request_of(args)?;
    // A mistake is found here already, with the same words as the worker's.
    serde_json::from_value::<JobRequest>(request.clone())
        .context("the request cannot be used")
        .map_err(Failure::Usage)?;
    let client = args.worker.client();
    let job: JobView = client.post("/v1/jobs", &request, args.idempotency_key.as_deref())?;
    if args.watch {
        note(&format!("job {}", job.id));
        return watch::until_end(&client, job.id, args.output.as_deref(), global);
    }
    if global.json {
        print_result(&serde_json::to_string(&job).map_err(Failure::failed)?)?;
    } else {
        print_result(&job.id.to_string())?;
        note(&format!("dfa watch {} shows how it goes", job.id));
    }
    Ok(ExitCode::SUCCESS)
}

fn request_of(args: &SubmitArgs) -> Result<Value, Failure> {
    if let Some(file) = &args.file {
        let bytes = read_bytes(file)?;
        return serde_json::from_slice(&bytes)
            .with_context(|| file.display().to_string())
            .map_err(Failure::Usage);
    }
    let mut request = Map::new();
    if let Some(kind) = args.kind {
        request.insert("kind".into(), kind.as_str().into());
    }
    for field in &args.fields {
        let (name, text) = field
            .split_once('=')
            .ok_or_else(|| Failure::Usage(anyhow!("{field} is not of the form FIELD=VALUE")))?;
        let value = value_of(name, text);
        match (request.get_mut(name), value) {
            (Some(Value::Array(texts)), Value::Array(more)) if name == TEXTS => texts.extend(more),
            (_, value) => drop(request.insert(name.into(), value)),
        }
    }
    Ok(Value::Object(request))
}

/// Numbers, true and false are themselves, everything else is text.
fn value_of(name: &str, text: &str) -> Value {
    match name {
        TEXTS => return vec![text].into(),
        TEXT => return text.into(),
        _ => {}
    }
    if LISTS.contains(&name) {
        let parts = text.split(',').map(str::trim);
        let parts = parts.filter(|part| !part.is_empty());
        return parts.map(|part| value_of("", part)).collect();
    }
    match serde_json::from_str(text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_become_json() {
        let check = |name, text, expected: Value| {
            assert_eq!(value_of(name, text), expected, "{name}={text}");
        };
        check("steps", "20", json!(20));
        check("reject_early", "true", json!(true));
        check("target", "macs=50%", json!("macs=50%"));
        check("guidance_scale", "3.5", json!(3.5));
        check("threshold", "D2", json!("D2"));
        check("size", "64x64", json!("64x64"));
        check("labels", "micah, 3", json!(["micah", 3]));
        check("labels", "", json!([]));
        check("model", "null", json!("null"));
        check("prompts", "a cat, in a hat", json!(["a cat, in a hat"]));
        check("negative_prompt", "7", json!("7"));
    }
}
