//! Plans from files of any format that is known here.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use dfa_core::Window;
use dfa_core::wire::plan_file::MAX_PLAN_FILE_BYTES;

use crate::cli::Failure;
use crate::plan_import::{self, ImportHints};
pub(crate) use crate::plan_import::{PlanFormat as Format, ReadPlan, format_of};

/// The bytes of a file; `-` is standard input.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let limit = MAX_PLAN_FILE_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    read.with_context(|| format!("cannot read the plan {}; check the path", path.display()))
        .map_err(Failure::Failed)?;
    Ok(bytes)
}

/// Reads a plan whose format is found in its content.
pub(crate) fn read_plan(path: &Path, tokens: Option<usize>) -> Result<ReadPlan, Failure> {
    let bytes = read_bytes(path)?;
    plan_from_bytes(&bytes, format_of(&bytes), path, (None, tokens))
}

/// Reads a plan of a known format; see [`plan_import`](crate::plan_import).
pub(crate) fn plan_from_bytes(
    bytes: &[u8],
    format: Format,
    path: &Path,
    (window, tokens): (Option<Window>, Option<usize>),
) -> Result<ReadPlan, Failure> {
    let hints = ImportHints {
        file_name: path.file_name().and_then(|name| name.to_str()),
        window,
        n_tokens: tokens,
    };
    plan_import::plan_from_bytes(bytes, format, hints)
        .with_context(|| format!("plan {}", path.display()))
        .map_err(Failure::Failed)
}
