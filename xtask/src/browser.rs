//! The page in a real browser: Chromium, driven by Playwright, against a real worker with
//! the shipped model and against the static copy. The two npm packages have pinned
//! versions and are installed in the build folder, outside the clone.

use std::fs;
use std::path::{Path, PathBuf};

use crate::clients::{FAMILIES, Worker};
use crate::flags::WebRequest;
use crate::repo::{self, Failure, Repo, because};
use crate::stages::{Ending, Stages};
use crate::wasm;
use crate::web;

const TESTS: &str = "tests/web";
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// Builds the page as it is served, then tries it.
pub(crate) fn stages(stages: &mut Stages, repo: &Repo) {
    let static_folder = repo.target_dir.join("web-static");
    stages.stage("the page is built, and small enough", || {
        if wasm::find(repo)?.is_none() {
            return Ok(no_wasm());
        }
        let request = WebRequest {
            dev: false,
            static_folder: Some(static_folder.clone()),
        };
        web::run(repo, &request)?;
        Ok(Ending::Passed)
    });
    stages.stage("the page in a browser", || run(repo, &static_folder));
}

fn no_wasm() -> Ending {
    Ending::skipped(
        "the target wasm32-unknown-unknown is not installed",
        "`cargo xtask setup-wasm --from-source`",
    )
}

fn run(repo: &Repo, static_folder: &Path) -> Result<Ending, Failure> {
    if wasm::find(repo)?.is_none() {
        return Ok(no_wasm());
    }
    let Some(browser) = browser(repo) else {
        return Ok(Ending::skipped(
            "there is no Chromium",
            "install it (Debian: apt-get install chromium), or name one with CHROMIUM",
        ));
    };
    let Some(folder) = installed(repo)? else {
        return Ok(Ending::skipped(
            "npm cannot install the tests' two packages",
            "install Node 20 with npm and let it reach a registry",
        ));
    };
    let worker = Worker::start(repo, &FAMILIES)?;
    let mut command = repo.program("node");
    command
        .current_dir(&folder)
        .args(["--test", "--test-concurrency=1"])
        .args(tests_in(&folder)?)
        .env("DFA_URL", worker.url())
        .env("DFA_STATIC", static_folder)
        .env("DFA_FIXTURES", repo.root.join("tests/fixtures"))
        .env("CHROMIUM", browser);
    repo::run(&mut command)?;
    Ok(Ending::Passed)
}

/// The first browser that answers.
fn browser(repo: &Repo) -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let known = BROWSERS.map(PathBuf::from);
    named.into_iter().chain(known).find_map(|browser| {
        let found = repo::capture(repo.program("which").arg(&browser)).ok()?;
        found.success.then(|| found.stdout.trim().into())
    })
}

/// A copy of the tests with their packages beside them; `None` if npm cannot bring them.
fn installed(repo: &Repo) -> Result<Option<PathBuf>, Failure> {
    let folder = repo.target_dir.join("web-tests");
    fs::create_dir_all(&folder).map_err(because("cannot make the tests' folder"))?;
    for file in files_of(&repo.root.join(TESTS))? {
        let target = folder.join(file.file_name().unwrap_or_default());
        fs::copy(&file, target).map_err(because("cannot copy the browser tests"))?;
    }
    let mut npm = repo.program("npm");
    npm.current_dir(&folder)
        .args(["install", "--no-audit", "--no-fund", "--no-package-lock"]);
    let is_installed = repo::capture(&mut npm).is_ok_and(|captured| captured.success);
    Ok(is_installed.then_some(folder))
}

fn tests_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = files_of(folder)?;
    files.retain(|file| file.to_string_lossy().ends_with(".test.mjs"));
    files.sort();
    Ok(files)
}

fn files_of(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = fs::read_dir(folder)
        .map_err(because(format!("cannot read {}", folder.display())))?
        .flatten();
    Ok(entries
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect())
}
