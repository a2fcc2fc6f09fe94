//! What must hold between documents, lock files and the tree: a document that names what
//! is gone is worse than none.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Source;
use super::{Findings, RepoFile};

const ARCHITECTURE: &str = "ARCHITECTURE.md";
const DEVIATIONS: &str = "docs/deviations.md";
const MAIN_LOCK: &str = "Cargo.lock";

/// Endings by which a backticked word is known to be a file.
const FILE_ENDINGS: [&str; 8] = [
    ".rs", ".md", ".toml", ".mjs", ".py", ".wgsl", ".html", ".txt",
];

/// Folders that a run makes; they are named in documents and not in the tree.
const MADE_BY_RUNS: [&str; 2] = ["out/", "target/"];

pub(super) fn check(files: &[RepoFile], findings: &mut Findings) {
    check_architecture(files, findings);
    check_deviations(files, findings);
    check_locks(files, findings);
}

fn find<'a>(files: &'a [RepoFile], path: &str) -> Option<&'a RepoFile> {
    files.iter().find(|file| file.path == path)
}

fn check_architecture(files: &[RepoFile], findings: &mut Findings) {
    let Some(document) = find(files, ARCHITECTURE) else {
        findings.skipped.push(format!(
            "what {ARCHITECTURE} names, because it does not exist yet"
        ));
        return;
    };
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    for folder in top_folders(&paths) {
        if !document.text().contains(&format!("{folder}/")) {
            findings.errors.push(format!(
                "{ARCHITECTURE}: does not name the folder {folder}/"
            ));
        }
    }
    for package in package_names(files) {
        if !document.text().contains(&package) {
            findings.errors.push(format!(
                "{ARCHITECTURE}: does not name the package {package}"
            ));
        }
    }
    for name in named_paths(document.text(), &paths) {
        if !exists(&name, &paths) {
            findings.errors.push(format!(
                "{ARCHITECTURE}: names `{name}`, which does not exist"
            ));
        }
    }
}

/// Folders at the root, hidden ones aside.
fn top_folders<'a>(paths: &[&'a str]) -> BTreeSet<&'a str> {
    let folders = paths
        .iter()
        .filter_map(|path| Some(path.split_once('/')?.0));
    folders.filter(|folder| !folder.starts_with('.')).collect()
}

/// Packages of the workspace: the first `name = "…"` of each manifest one folder deep.
fn package_names(files: &[RepoFile]) -> Vec<String> {
    let manifests = files.iter().filter(|file| {
        let folder = file.path.strip_suffix("/Cargo.toml");
        folder.is_some_and(|folder| !folder.contains('/'))
    });
    let names = manifests.filter_map(|manifest| {
        let line = manifest
            .text()
            .lines()
            .find(|line| line.starts_with("name = "))?;
        line.split('"').nth(1).map(String::from)
    });
    names.collect()
}

/// Words in backticks that are paths of this repository.
fn named_paths(document: &str, paths: &[&str]) -> BTreeSet<String> {
    let folders = top_folders(paths);
    let is_path = |word: &str| {
        let plain = word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
        let first = word.split('/').next().unwrap_or_default();
        let in_tree = word.contains('/') && folders.contains(first);
        let is_file = FILE_ENDINGS.iter().any(|ending| word.ends_with(ending));
        let is_made = MADE_BY_RUNS.iter().any(|folder| word.starts_with(folder));
        plain && !is_made && (in_tree || is_file)
    };
    // Every second piece is inside backticks; a fence's three make an empty piece more.
    let words = document
        .lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2));
    words
        .filter(|word| is_path(word))
        .map(String::from)
        .collect()
}

/// Whether a name is a file or folder of the tree, in full or without its crate's folder.
fn exists(name: &str, paths: &[&str]) -> bool {
    let name = name.trim_end_matches('/');
    paths.iter().any(|path| {
        path.match_indices(name).any(|(at, _)| {
            let starts = at == 0 || path[..at].ends_with('/');
            let rest = &path[at + name.len()..];
            starts && (rest.is_empty() || rest.starts_with('/'))
        })
    })
}

/// Each departure that the code marks has an entry that explains it.
fn check_deviations(files: &[RepoFile], findings: &mut Findings) {
    let entries = find(files, DEVIATIONS).map_or("", RepoFile::text);
    for file in files.iter().filter(|file| file.is_rust()) {
        let comments = Source::new(file.text()).comments;
        for tag in deviation_tags(&comments) {
            if !has_entry(entries, tag) {
                findings.errors.push(format!(
                    "{}: deviation `{tag}` has no entry in {DEVIATIONS}",
                    file.path
                ));
            }
        }
    }
}

fn deviation_tags(comments: &str) -> impl Iterator<Item = &str> {
    let pieces = comments.split("DEVIATION(").skip(1);
    pieces.filter_map(|piece| Some(piece.split_once(')')?.0))
}

/// An entry is a heading that names the tag.
fn has_entry(document: &str, tag: &str) -> bool {
    let mut headings = document.lines().filter(|line| line.starts_with('#'));
    headings.any(|heading| {
        let mut words = heading.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_'));
        words.any(|word| word == tag)
    })
}

/// The crates outside the workspace have lock files of their own; what they share with the
/// workspace must be the same, or they would prove something about other code.
fn check_locks(files: &[RepoFile], findings: &mut Findings) {
    let Some(main) = find(files, MAIN_LOCK) else {
        findings.skipped.push(format!(
            "agreement of lock files, because there is no {MAIN_LOCK} yet"
        ));
        return;
    };
    let expected = locked_versions(main.text());
    for file in files.iter().filter(|file| file.path.starts_with("tests/")) {
        if !file.path.ends_with("/Cargo.lock") {
            continue;
        }
        for (name, versions) in locked_versions(file.text()) {
            let main_versions = expected.get(name);
            if main_versions.is_some_and(|main| !versions.is_subset(main)) {
                findings.errors.push(format!(
                    "{}: {name} is not the version of {MAIN_LOCK}; \
                     repair it with `cargo update --manifest-path {} -p {name} --precise VERSION`",
                    file.path,
                    file.path.replace("Cargo.lock", "Cargo.toml"),
                ));
            }
        }
    }
}

fn locked_versions(lock: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut name = "";
    for line in lock.lines() {
        if let Some(value) = line.strip_prefix("name = ") {
            name = value.trim_matches('"');
        } else if let Some(value) = line.strip_prefix("version = \"") {
            versions
                .entry(name)
                .or_default()
                .insert(value.trim_end_matches('"'));
        }
    }
    versions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> RepoFile {
        RepoFile {
            path: path.into(),
            size_bytes: text.len() as u64,
            text: Some(text.into()),
        }
    }

    fn n_errors(files: &[RepoFile]) -> usize {
        let mut findings = Findings::default();
        check(files, &mut findings);
        findings.errors.len()
    }

    #[test]
    fn the_architecture_names_what_exists() {
        let check = |document: &str, expected| {
            let files = [
                file(ARCHITECTURE, document),
                file("core/Cargo.toml", "[package]\nname = \"dfa-core\"\n"),
                file("core/src/plan.rs", "//! A plan.\n"),
            ];
            assert_eq!(n_errors(&files), expected, "{document}");
        };
        check(
            "`core/` is dfa-core; see `plan.rs` and `core/src/plan.rs`",
            0,
        );
        check(
            "core/ is dfa-core; see `core/src/grid.rs` and `plan_file.rs`",
            2,
        );
        check("core/ is dfa-core; see `lan.rs`", 1);
        check(
            "core/ is dfa-core; `f32`, `a/b`, `out/demo/report.html` are no paths",
            0,
        );
        check("nothing is named", 2);
    }

    #[test]
    fn deviations_have_entries() {
        let check = |entries: &str, expected| {
            let code = "//! A.\n// DEVIATION(band-meaning): why\nlet s = \"DEVIATION(x)\";\n";
            let files = [file(DEVIATIONS, entries), file("core/src/a.rs", code)];
            assert_eq!(n_errors(&files), expected, "{entries}");
        };
        check("## band-meaning\n", 0);
        check("## `band-meaning`: what a band means\n", 0);
        check("## band\n\nband-meaning\n", 1);
    }

    #[test]
    fn locks_agree_on_what_they_share() {
        let check = |version: &str, expected| {
            let lock =
                |version: &str| format!("[[package]]\nname = \"libm\"\nversion = \"{version}\"\n");
            let files = [
                file(MAIN_LOCK, &lock("0.2.16")),
                file("tests/wasm-golden/Cargo.lock", &lock(version)),
            ];
            assert_eq!(n_errors(&files), expected, "{version}");
        };
        check("0.2.16", 0);
        check("0.2.15", 1);
    }
}
