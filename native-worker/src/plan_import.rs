//! Plans from files of any format that is known here, found in their content.

use clap::ValueEnum;
use dfa_core::Window;
use dfa_core::wire::csv::{CsvError, import_csv};
use dfa_core::wire::reference::{
    ReferenceError, import_reference, window_from_reference, window_from_reference_name,
};
use dfa_core::wire::xdit::{XditError, import_xdit};
use dfa_core::wire::{CheckedPlan, Imported, PlanFileError};

/// A format of plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
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
#[derive(Clone, Debug)]
pub struct ReadPlan {
    /// The plan.
    pub checked: CheckedPlan,
    /// The format it was read from.
    pub format: PlanFormat,
    /// Whether the file, or whoever asked, said what its window is.
    pub has_window: bool,
    /// What the file does not say.
    pub warnings: Vec<String>,
}

/// What a foreign file does not say about its plan.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImportHints<'a> {
    /// Name of the file, without its folder; the reference's names say the window.
    pub file_name: Option<&'a str>,
    /// The window.
    pub window: Option<Window>,
    /// Image tokens of the model: without a window it is an eighth of them on each side.
    pub n_tokens: Option<usize>,
}

/// Why a file is no plan.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A plan file is wrong.
    #[error(transparent)]
    PlanFile(#[from] PlanFileError),
    /// A table is wrong.
    #[error(transparent)]
    Csv(#[from] CsvError),
    /// xDiT's JSON is wrong.
    #[error(transparent)]
    Xdit(#[from] XditError),
    /// The reference's file is wrong.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The file is no text.
    #[error("not a text file: {0}")]
    NotText(#[from] std::str::Utf8Error),
}

impl ImportError {
    /// Every problem, one entry each.
    pub fn problems(&self) -> Vec<String> {
        match self {
            Self::PlanFile(PlanFileError::Invalid(problems)) => {
                problems.0.iter().map(ToString::to_string).collect()
            }
            other => vec![other.to_string()],
        }
    }
}

/// Reads a plan of a known format. A foreign file has no window: it is the one given, else
/// the one in a reference file's name, else an eighth of the tokens on each side.
///
/// # Errors
/// [`ImportError`].
pub fn plan_from_bytes(
    bytes: &[u8],
    format: PlanFormat,
    hints: ImportHints<'_>,
) -> Result<ReadPlan, ImportError> {
    if format == PlanFormat::Json {
        return Ok(ReadPlan {
            checked: CheckedPlan::parse(std::str::from_utf8(bytes)?)?,
            format,
            has_window: true,
            warnings: Vec::new(),
        });
    }
    let n_tokens = hints.n_tokens;
    let named = || window_from_name(hints.file_name?, format, n_tokens);
    let window = hints.window.or_else(named);
    let window = window.or(n_tokens.map(Window::eighth_of));
    let Imported { plan, warnings } =
        import(bytes, format, window.unwrap_or(Window::symmetric(0)))?;
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

fn import(bytes: &[u8], format: PlanFormat, window: Window) -> Result<Imported, ImportError> {
    Ok(match format {
        PlanFormat::Reference => import_reference(bytes, window)?,
        PlanFormat::Xdit => import_xdit(std::str::from_utf8(bytes)?, window)?,
        PlanFormat::Csv | PlanFormat::Json => import_csv(std::str::from_utf8(bytes)?, window)?,
    })
}

/// The window in a reference file's name. An unlimited side needs the number of tokens.
fn window_from_name(name: &str, format: PlanFormat, n_tokens: Option<usize>) -> Option<Window> {
    let sides = window_from_reference_name(name).filter(|_| format == PlanFormat::Reference)?;
    if sides.iter().any(|&side| side < 0) && n_tokens.is_none() {
        return None;
    }
    Some(window_from_reference(sides, n_tokens.unwrap_or(usize::MAX)))
}

/// The format that the content looks like; what looks like nothing is left to the reader
/// of tables, whose message says what was expected.
pub fn format_of(bytes: &[u8]) -> PlanFormat {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    match first {
        Some(b'P') if bytes.starts_with(b"PK") => PlanFormat::Reference,
        // A pickle without the zip around it: the reference's reader says so.
        Some(0x80) => PlanFormat::Reference,
        Some(b'{') if has_format_key(bytes) => PlanFormat::Json,
        Some(b'{') => PlanFormat::Xdit,
        Some(b'[') => PlanFormat::Json,
        _ => PlanFormat::Csv,
    }
}

/// xDiT's keys are all `block…`; ours begin with `format`.
fn has_format_key(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(4096)];
    let text = String::from_utf8_lossy(head);
    let first_key = text.split('"').nth(1).unwrap_or_default();
    !first_key.starts_with("block")
}
