//! What must hold in one file.

use super::source::{Source, is_word};
use super::{Findings, RepoFile};

/// A file is longer than this only with a reason.
const LONG_FILE_LINES: usize = 450;
const MAX_FILE_BYTES: u64 = 1_000_000;
/// Weights are the one thing that is large on purpose.
const MAX_MODEL_FILE_BYTES: u64 = 16_000_000;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 5] = ["utils", "helpers", "common", "misc", "types"];

/// The places where a type may be made readable or writable as text.
const SERDE_PLACES: [&str; 7] = [
    "core/src/wire/",
    "native-worker/src/config.rs",
    "native-worker/src/model_folder.rs",
    "native-worker/src/model_folder/",
    "native-worker/src/diffusion/sampler_config.rs",
    "native-worker/src/text/t5_config.rs",
    "tests/it/",
];

/// The kernels, and the one place that maps a file of weights into memory, may step
/// outside what the compiler checks; nothing else.
const UNSAFE_PLACES: [&str; 2] = [
    "native-worker/kernels/src/",
    "native-worker/src/model_folder/weights.rs",
];

/// A module that is called from outside must export its symbols.
const EXPORT_PLACES: [&str; 1] = ["tests/wasm-golden/"];

const HTTP_PLACE: &str = "native-worker/src/http";
const MAIN: &str = "native-worker/src/main.rs";

/// Starts of a path that only exists on somebody's own machine.
const MACHINE_PATHS: [&str; 5] = ["/home/", "/root/", "/work/", "/Users/", "C:\\"];

/// Files whose comments are searched for reminders, Rust aside.
const SCRIPT_ENDINGS: [&str; 6] = [".py", ".mjs", ".wgsl", ".cu", ".sh", ".toml"];

pub(super) fn check_file(file: &RepoFile, findings: &mut Findings) {
    let mut errors = Vec::new();
    check_name(file, &mut errors);
    check_size(file, &mut errors);
    check_machine_paths(file, &mut errors);
    if file.is_rust() {
        let source = Source::new(file.text());
        check_opening(file, &mut errors);
        check_places(&file.path, &source.code, &mut errors);
        check_reminders(&source.comments, &mut errors);
        let n_lines = file.text().lines().count();
        if n_lines > LONG_FILE_LINES {
            findings.warnings.push(format!(
                "{}: {n_lines} lines; look for a second file in it",
                file.path
            ));
        }
    } else if SCRIPT_ENDINGS.iter().any(|end| file.path.ends_with(end)) {
        check_reminders(file.text(), &mut errors);
    }
    let located = errors.into_iter().map(|error| match error.line {
        Some(line) => format!("{}:{line}: {}", file.path, error.text),
        None => format!("{}: {}", file.path, error.text),
    });
    findings.errors.extend(located);
}

/// Something to repair in a file.
#[derive(Debug, PartialEq, Eq)]
struct Error {
    /// Counted from 1.
    line: Option<usize>,
    text: String,
}

impl Error {
    fn of_file(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { line: None, text }
    }

    fn of_line(idx: usize, text: impl Into<String>) -> Self {
        Self {
            line: Some(idx + 1),
            text: text.into(),
        }
    }
}

fn check_name(file: &RepoFile, errors: &mut Vec<Error>) {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    if EMPTY_NAMES.contains(&stem) {
        errors.push(Error::of_file(
            "this name says nothing about what is inside; find the missing noun",
        ));
    }
}

fn check_size(file: &RepoFile, errors: &mut Vec<Error>) {
    let limit = if file.path.starts_with("models/") {
        MAX_MODEL_FILE_BYTES
    } else {
        MAX_FILE_BYTES
    };
    if file.size_bytes > limit {
        errors.push(Error::of_file(format!(
            "{} bytes are more than the {limit} that a clone should carry",
            file.size_bytes
        )));
    }
}

fn check_machine_paths(file: &RepoFile, errors: &mut Vec<Error>) {
    for (idx, line) in file.text().lines().enumerate() {
        for path in MACHINE_PATHS {
            if starts_a_path(line, path) && !is_this_list(&file.path) {
                errors.push(Error::of_line(
                    idx,
                    format!(
                        "{path} exists on one machine only; write a path relative to the repository"
                    ),
                ));
            }
        }
    }
}

/// This file has to name what it looks for.
fn is_this_list(path: &str) -> bool {
    path == "xtask/src/tidy/rules.rs"
}

/// Whether `path` stands in `line` where an absolute path can begin, so not inside a
/// relative path or a URL.
fn starts_a_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back().unwrap_or(' ');
        !(is_word(before) || ".-~}*/".contains(before))
    })
}

fn check_opening(file: &RepoFile, errors: &mut Vec<Error>) {
    if !file.text().starts_with("//!") {
        errors.push(Error::of_file(
            "open the file for a stranger: its first line is a `//!` that says what it is",
        ));
    }
}

fn check_places(path: &str, code: &str, errors: &mut Vec<Error>) {
    let is_in = |places: &[&str]| places.iter().any(|place| path.starts_with(place));
    for (idx, line) in code.lines().enumerate() {
        if has_word(line, "axum") && !path.starts_with(HTTP_PLACE) && path != MAIN {
            errors.push(Error::of_line(
                idx,
                format!("axum belongs under {HTTP_PLACE} only"),
            ));
        }
        if line.contains("candle") && path.starts_with(HTTP_PLACE) {
            errors.push(Error::of_line(idx, "the HTTP part knows no tensor library"));
        }
        let is_export = line.contains("unsafe(no_mangle)") && is_in(&EXPORT_PLACES);
        if has_word(line, "unsafe") && !is_in(&UNSAFE_PLACES) && !is_export {
            errors.push(Error::of_line(
                idx,
                "unsafe code belongs in the worker's kernels (and where weights are mapped) only",
            ));
        }
    }
    if !is_in(&SERDE_PLACES) {
        for idx in serde_derives(code) {
            errors.push(Error::of_line(
                idx,
                "a type that crosses a file or a wire belongs in core/src/wire/ \
                 (or is one of the worker's readers of foreign files)",
            ));
        }
    }
}

/// Lines of the derives that name serde's traits.
fn serde_derives(code: &str) -> Vec<usize> {
    let start = "derive(";
    code.match_indices(start)
        .filter(|(at, _)| {
            let list = code[at + start.len()..]
                .split(')')
                .next()
                .unwrap_or_default();
            has_word(list, "Serialize") || has_word(list, "Deserialize")
        })
        .map(|(at, _)| code[..at].matches('\n').count())
        .collect()
}

/// A reminder without a tag is forgotten; one with a tag can be looked up.
fn check_reminders(text: &str, errors: &mut Vec<Error>) {
    for (idx, line) in text.lines().enumerate() {
        for word in REMINDERS {
            if words_at(line, word).any(|at| !line[at + word.len()..].starts_with('(')) {
                errors.push(Error::of_line(
                    idx,
                    format!("{word} needs a tag, as in {word}(tag), that an issue or a document explains"),
                ));
            }
        }
    }
}

const REMINDERS: [&str; 3] = ["TODO", "FIXME", "XXX"];

/// Whether `word` stands alone somewhere in `line`.
fn has_word(line: &str, word: &str) -> bool {
    words_at(line, word).next().is_some()
}

fn words_at<'a>(line: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    line.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |&at| {
            let before = line[..at].chars().next_back();
            let after = line[at + word.len()..].chars().next();
            !before.is_some_and(is_word) && !after.is_some_and(is_word)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors_of(path: &str, text: &str) -> usize {
        let file = RepoFile {
            path: path.into(),
            size_bytes: text.len() as u64,
            text: Some(text.into()),
        };
        let mut findings = Findings::default();
        check_file(&file, &mut findings);
        findings.errors.len()
    }

    #[test]
    fn rules_of_one_file() {
        let check = |path: &str, text: &str, expected| {
            assert_eq!(errors_of(path, text), expected, "{path}: {text:?}");
        };
        check("core/src/plan.rs", "//! A plan.\n", 0);
        check("core/src/plan.rs", "use a;\n", 1);
        check("core/src/utils.rs", "//! Things.\n", 1);
        check(
            "core/src/plan.rs",
            "//! A.\n#[derive(Clone, Serialize)]\n",
            1,
        );
        check(
            "core/src/plan.rs",
            "//! A.\n#[derive(\n    Deserialize,\n)]\n",
            1,
        );
        check("core/src/plan.rs", "//! A.\n// derive(Serialize)\n", 0);
        check(
            "core/src/wire/report.rs",
            "//! A.\n#[derive(Serialize)]\n",
            0,
        );
        check(
            "native-worker/src/jobs.rs",
            "//! A.\nuse axum::Router;\n",
            1,
        );
        check(
            "native-worker/src/http/jobs.rs",
            "//! A.\nuse axum::Router;\n",
            0,
        );
        check(
            "native-worker/src/http.rs",
            "//! A.\nuse candle_core::Tensor;\n",
            1,
        );
        check("core/src/plan.rs", "//! A.\nunsafe { f() }\n", 1);
        check("core/src/lib.rs", "//! A.\n#![forbid(unsafe_code)]\n", 0);
        check(
            "native-worker/kernels/src/exp.rs",
            "//! A.\nunsafe { f() }\n",
            0,
        );
        check(
            "tests/wasm-golden/src/lib.rs",
            "//! A.\n#[unsafe(no_mangle)]\n",
            0,
        );
        check("core/src/plan.rs", "//! A.\n// TODO: this\n", 1);
        check("core/src/plan.rs", "//! A.\n// TODO(tag): this\n", 0);
        check("core/src/plan.rs", "//! A.\nlet s = \"TODO\";\n", 0);
        check("train.py", "# FIXME\n", 1);
    }

    #[test]
    fn machine_paths_are_told_from_relative_ones() {
        let check = |line: &str, expected| {
            assert_eq!(errors_of("README.md", line), expected, "{line}");
        };
        check("open /home/me/model", 1);
        check("(\"/work/data\")", 1);
        check("C:\\models", 1);
        check("a/work/b and ../work/c and $HOME/work/d", 0);
        check("at http://host/root/ or ${A}/work/", 0);
    }

    #[test]
    fn large_files_are_for_models_only() {
        let check = |path: &str, size_bytes, expected| {
            let file = RepoFile {
                path: path.into(),
                size_bytes,
                text: None,
            };
            let mut findings = Findings::default();
            check_file(&file, &mut findings);
            assert_eq!(findings.errors.len(), expected, "{path} {size_bytes}");
        };
        check("docs/images/grid.png", 999_999, 0);
        check("docs/images/grid.png", 1_000_001, 1);
        check("models/a/weights.safetensors", 15_000_000, 0);
        check("models/a/weights.safetensors", 16_000_001, 1);
    }
}
