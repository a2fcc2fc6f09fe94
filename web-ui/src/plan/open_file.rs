//! From the bytes of any file that holds a plan to an opened plan, or to a list of
//! everything that is wrong with it and what to do about it.
//!
//! What a file is is seen in its contents: the reference's plans are archives whose names
//! end in `.json`. Files of other programs hold strategies and little else, so what had to
//! be assumed is said in warnings.

use dfa_core::Window;
use dfa_core::wire::csv::import_csv;
use dfa_core::wire::plan_file::{MAX_PLAN_FILE_BYTES, MAX_TOKENS};
use dfa_core::wire::reference::{
    import_reference, import_reference_pickle, window_from_reference, window_from_reference_name,
};
use dfa_core::wire::xdit::import_xdit;
use dfa_core::wire::{CheckedPlan, Imported, PlanFileError};

use super::opened::{OpenPlan, Origin};

mod remedy;

/// Longest file that is opened, in bytes; ask before reading a larger one.
pub const MAX_FILE_BYTES: usize = MAX_PLAN_FILE_BYTES;
/// Problems that are listed; the rest is only counted.
const MAX_LISTED: usize = 50;
/// The window of a file that does not name it: an eighth of DiT-XL/2's tokens at 512×512.
const ASSUMED_TOKENS: usize = 1024;

/// The files that can be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Our plan file.
    Plan,
    /// A plan of the reference project, an archive of `torch.save`.
    Reference,
    /// The same without the archive around it.
    ReferencePickle,
    /// A plan of xDiT.
    Xdit,
    /// A table with one line per cell.
    Table,
}

impl FileKind {
    /// What people call it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Plan => "plan file",
            Self::Reference => "plan of the reference project",
            Self::ReferencePickle => "bare pickle of the reference project",
            Self::Xdit => "plan of xDiT",
            Self::Table => "table (CSV)",
        }
    }

    /// What the contents are, seen in their first bytes; `None` for anything else.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(b"PK") {
            return Some(Self::Reference);
        }
        if bytes.first() == Some(&0x80) {
            return Some(Self::ReferencePickle);
        }
        let text = text_of(bytes)?;
        if let Some(object) = text.strip_prefix('{') {
            return Some(kind_of_object(object));
        }
        let header = text.lines().next()?;
        let has = |column: &str| header.contains(column);
        (header.contains(',') && (has("step") || has("block"))).then_some(Self::Table)
    }
}

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProblem {
    /// What is wrong, and where.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// A file that cannot be opened, and everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedFile {
    /// The file's name.
    pub name: String,
    /// What it seems to be.
    pub kind: Option<FileKind>,
    /// What is wrong, at most 50 things.
    pub problems: Vec<FileProblem>,
    /// Further problems that are not listed.
    pub n_more: usize,
}

/// Opens a file by its contents; its name may say which window it was made with.
///
/// # Errors
/// [`RefusedFile`] names every problem and its remedy.
pub fn open_file(bytes: &[u8], name: &str, origin: Origin) -> Result<OpenPlan, RefusedFile> {
    let kind = FileKind::of(bytes);
    let opened = match kind {
        _ if bytes.len() > MAX_FILE_BYTES => Err(vec![remedy::too_large(bytes.len())]),
        None => Err(vec![remedy::unknown(bytes)]),
        Some(FileKind::Plan) => open_plan(bytes, name, origin),
        Some(kind) => import(bytes, name, origin, kind),
    };
    opened.map_err(|mut problems| {
        let n_more = problems.len().saturating_sub(MAX_LISTED);
        problems.truncate(MAX_LISTED);
        RefusedFile {
            name: name.to_owned(),
            kind,
            problems,
            n_more,
        }
    })
}

fn open_plan(bytes: &[u8], name: &str, origin: Origin) -> Result<OpenPlan, Vec<FileProblem>> {
    let text = text_of(bytes).unwrap_or_default();
    match CheckedPlan::parse(text) {
        Ok(checked) => Ok(OpenPlan::new(name, origin, checked)),
        Err(PlanFileError::Invalid(problems)) => {
            Err(problems.0.iter().map(remedy::of_problem).collect())
        }
        Err(error) => Err(vec![remedy::of_plan_file(&error)]),
    }
}

fn import(
    bytes: &[u8],
    name: &str,
    origin: Origin,
    kind: FileKind,
) -> Result<OpenPlan, Vec<FileProblem>> {
    let named = named_window(name, kind);
    let window = named.map_or(Window::eighth_of(ASSUMED_TOKENS), |found| found.window);
    let text = || text_of(bytes).unwrap_or_default();
    let imported = match kind {
        FileKind::Xdit => import_xdit(text(), window).map_err(|e| remedy::of_xdit(&e)),
        FileKind::Table => import_csv(text(), window).map_err(|e| remedy::of_table(&e)),
        FileKind::ReferencePickle => {
            import_reference_pickle(bytes, window).map_err(|e| remedy::of_reference(&e))
        }
        _ => import_reference(bytes, window).map_err(|e| remedy::of_reference(&e)),
    };
    let Imported { plan, warnings } = imported.map_err(|problem| vec![problem])?;
    let mut opened = OpenPlan::new(name, origin, CheckedPlan::bare(plan));
    opened.window_is_assumed = named.is_none();
    opened.warnings.push(window_in_words(named));
    // The first warning of an import names the window, which has just been done better.
    opened
        .warnings
        .extend(warnings.iter().skip(1).map(|warning| sentence(warning)));
    Ok(opened)
}

/// A window that was found in a file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NamedWindow {
    window: Window,
    has_unlimited_side: bool,
}

/// The window in a file's name: `…_[128, 128]_4.json` of the reference, and the last
/// number of xDiT's `<model>_<steps>_<inputs>_<threshold>_<window>.json`.
fn named_window(name: &str, kind: FileKind) -> Option<NamedWindow> {
    match kind {
        FileKind::Reference | FileKind::ReferencePickle => {
            let sides = window_from_reference_name(name)?;
            Some(NamedWindow {
                // Nobody knows the number of tokens here, so an unlimited side is as
                // wide as a plan allows.
                window: window_from_reference(sides, MAX_TOKENS),
                has_unlimited_side: sides.iter().any(|&side| side < 0),
            })
        }
        FileKind::Xdit => {
            let mut fields = name.strip_suffix(".json")?.rsplit('_');
            let window = fields
                .next()?
                .parse()
                .ok()
                .filter(|&side| side <= MAX_TOKENS)?;
            let _threshold: f64 = fields.next()?.parse().ok()?;
            let _n_inputs: usize = fields.next()?.parse().ok()?;
            let _n_steps: usize = fields.next()?.parse().ok()?;
            Some(NamedWindow {
                window: Window::symmetric(window),
                has_unlimited_side: false,
            })
        }
        FileKind::Plan | FileKind::Table => None,
    }
}

fn window_in_words(named: Option<NamedWindow>) -> String {
    let Some(named) = named else {
        let side = Window::eighth_of(ASSUMED_TOKENS).left;
        return format!(
            "The file does not name its window. {side} keys on each side are assumed, an eighth \
             of {ASSUMED_TOKENS} image tokens; set the window if the model has another number."
        );
    };
    let Window { left, right } = named.window;
    if named.has_unlimited_side {
        return "The window in the file's name is unlimited on one side, as early releases of \
                the reference passed it; it is kept so."
            .to_owned();
    }
    format!(
        "The window is that of the file's name: {left} keys before and {right} after each query."
    )
}

/// A warning as a sentence.
fn sentence(warning: &str) -> String {
    let mut letters = warning.chars();
    let first = letters
        .next()
        .map(|letter| letter.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

/// Whether an object is xDiT's is seen in its first key.
fn kind_of_object(object: &str) -> FileKind {
    let key = object.trim_start().strip_prefix("\"block");
    match key.is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_digit())) {
        true => FileKind::Xdit,
        false => FileKind::Plan,
    }
}

/// The bytes as text, without the byte-order mark and blanks that editors put in front.
fn text_of(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    Some(text.trim_start_matches('\u{feff}').trim_start())
}

#[cfg(test)]
mod tests;
