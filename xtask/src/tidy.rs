//! `cargo xtask tidy`: checks on the text of the repository. Each is a rule that the
//! compiler cannot hold: where things live, what is absent, what documents promise.
//!
//! - [`source`]: a Rust file parted into code and comments.
//! - [`rules`]: what must hold in one file.
//! - [`documents`]: what must hold between documents, lock files and the tree.

mod documents;
mod rules;
mod source;

use std::fs;

use crate::repo::{self, Failure, Repo};

/// One file of the repository, tracked or about to be.
pub(crate) struct RepoFile {
    /// Relative to the root, with forward slashes.
    pub(crate) path: String,
    pub(crate) size_bytes: u64,
    /// `None` for a file that is not text.
    pub(crate) text: Option<String>,
}

impl RepoFile {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }
}

/// What the rules found.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) errors: Vec<String>,
    pub(crate) warnings: Vec<String>,
    /// Rules that could not be checked, and why.
    pub(crate) skipped: Vec<String>,
}

pub(crate) fn run(repo: &Repo) -> Result<(), Failure> {
    let files = repository_files(repo)?;
    let mut findings = Findings::default();
    for file in &files {
        rules::check_file(file, &mut findings);
    }
    documents::check(&files, &mut findings);
    report(&files, &findings)
}

fn report(files: &[RepoFile], findings: &Findings) -> Result<(), Failure> {
    for line in &findings.skipped {
        println!("skipped: {line}");
    }
    for line in &findings.warnings {
        println!("warning: {line}");
    }
    if findings.errors.is_empty() {
        println!("tidy: {} files, nothing to repair", files.len());
        return Ok(());
    }
    Err(Failure::new(format!(
        "tidy found {} things to repair\n  {}",
        findings.errors.len(),
        findings.errors.join("\n  ")
    )))
}

/// The files that git tracks or would add.
fn repository_files(repo: &Repo) -> Result<Vec<RepoFile>, Failure> {
    // git refuses another user's clone unless told that this one is meant.
    let trusted = format!("safe.directory={}", repo.root.display());
    let listed = repo::read(
        repo.program("git")
            .args(["-c", &trusted, "-c", "core.quotePath=false"])
            .args(["ls-files", "-co", "--exclude-standard", "-z"]),
    )?;
    let mut paths: Vec<&str> = listed.split('\0').filter(|path| !path.is_empty()).collect();
    paths.sort_unstable();
    paths.dedup();
    let files = paths.into_iter().filter_map(|path| {
        // A tracked file that was just deleted is not there to be checked.
        let bytes = fs::read(repo.root.join(path)).ok()?;
        Some(RepoFile {
            path: path.into(),
            size_bytes: bytes.len() as u64,
            text: text_from_bytes(bytes),
        })
    });
    Ok(files.collect())
}

fn text_from_bytes(bytes: Vec<u8>) -> Option<String> {
    if bytes.contains(&0) {
        return None;
    }
    String::from_utf8(bytes).ok()
}
