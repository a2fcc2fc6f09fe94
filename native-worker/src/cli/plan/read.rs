//! Plans from files of any format that is known here.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use clap::ValueEnum;
use dfa_core::Window;
use dfa_core::wire::csv::import_csv;
use dfa_core::wire::plan_file::MAX_PLAN_FILE_BYTES;
use dfa_core::wire::reference::{
    import_reference, window_from_reference, window_from_reference_name,
};
use dfa_core::wire::xdit::import_xdit;
use dfa_core::wire::{CheckedPlan, Imported};

use crate::cli::Failure;

/// A format of plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// This project's plan file.
    Json,
    /// One line per cell.
    Csv,
    /// xDiT's JSON.
    Xdit,
    /// The reference's pickle in a zip.
    Reference,
}

/// A plan, and what is not known about it.
pub(crate) struct ReadPlan {
    pub(crate) checked: CheckedPlan,
    pub(crate) format: Format,
    /// Whether the file says what its window is.
    pub(crate) has_window: bool,
    pub(crate) warnings: Vec<String>,
}

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

/// Reads a plan of a known format. A foreign file has no window: it is `window` if given,
/// else the one in a reference file's name, else an eighth of `tokens` on each side.
pub(crate) fn plan_from_bytes(
    bytes: &[u8],
    format: Format,
    path: &Path,
    (window, tokens): (Option<Window>, Option<usize>),
) -> Result<ReadPlan, Failure> {
    let context = || format!("plan {}", path.display());
    if format == Format::Json {
        let checked = CheckedPlan::parse(text_of(bytes).map_err(Failure::Failed)?);
        return Ok(ReadPlan {
            checked: checked.with_context(context).map_err(Failure::Failed)?,
            format,
            has_window: true,
            warnings: Vec::new(),
        });
    }
    let named = || window_from_name(path, format, tokens);
    let window = window.or_else(named).or(tokens.map(Window::eighth_of));
    let imported = import(bytes, format, window.unwrap_or(Window::symmetric(0)));
    let Imported { plan, warnings } = imported.with_context(context).map_err(Failure::Failed)?;
    Ok(ReadPlan {
        checked: CheckedPlan::bare(plan),
        format,
        has_window: window.is_some(),
        warnings: warnings
            .into_iter()
            .filter(|warning| window.is_some() || !warning.contains("the window is set"))
            .collect(),
    })
}

fn import(bytes: &[u8], format: Format, window: Window) -> anyhow::Result<Imported> {
    Ok(match format {
        Format::Reference => import_reference(bytes, window)?,
        Format::Xdit => import_xdit(text_of(bytes)?, window)?,
        Format::Csv | Format::Json => import_csv(text_of(bytes)?, window)?,
    })
}

fn text_of(bytes: &[u8]) -> anyhow::Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| anyhow!("not a text file: {error}"))
}

/// The window in a reference file's name. An unlimited side needs the number of tokens.
fn window_from_name(path: &Path, format: Format, tokens: Option<usize>) -> Option<Window> {
    let name = path.file_name()?.to_str()?;
    let sides = window_from_reference_name(name).filter(|_| format == Format::Reference)?;
    if sides.iter().any(|&side| side < 0) && tokens.is_none() {
        return None;
    }
    Some(window_from_reference(sides, tokens.unwrap_or(usize::MAX)))
}

/// The format that the content looks like; what looks like nothing is left to the reader
/// of tables, whose message says what was expected.
pub(crate) fn format_of(bytes: &[u8]) -> Format {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    match first {
        Some(b'P') if bytes.starts_with(b"PK") => Format::Reference,
        // A pickle without the zip around it: the reference's reader says so.
        Some(0x80) => Format::Reference,
        Some(b'{') if has_format_key(bytes) => Format::Json,
        Some(b'{') => Format::Xdit,
        Some(b'[') => Format::Json,
        _ => Format::Csv,
    }
}

/// xDiT's keys are all `block…`; ours begin with `format`.
fn has_format_key(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(4096)];
    let text = String::from_utf8_lossy(head);
    let first_key = text.split('"').nth(1).unwrap_or_default();
    !first_key.starts_with("block")
}
