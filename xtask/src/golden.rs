//! `cargo xtask golden`: expected results, changed on purpose and reviewed like code; and
//! the comparison of core's numbers with theirs, natively and as WebAssembly.

use std::fs;
use std::path::{Path, PathBuf};

use crate::flags::GoldenRequest;
use crate::repo::{self, Failure, Repo, because};
use crate::stages::Ending;
use crate::wasm::{self, WasmToolchain};

/// The crate that prints the digest of core's numbers, outside the workspace.
pub(crate) const CORE_MANIFEST: &str = "tests/wasm-golden/Cargo.toml";

const CORE_GOLDEN: &str = "tests/golden/core-digest.txt";
const CORE_RUNNER: &str = "tests/wasm-golden/run.mjs";
const FIXTURES: &str = "tests/fixtures";

pub(crate) fn run(repo: &Repo, request: &GoldenRequest) -> Result<(), Failure> {
    if request.core {
        return write_core(repo);
    }
    make_fixtures(repo, request)
}

/// Compares the native digest with the golden file.
pub(crate) fn check_native(repo: &Repo) -> Result<(), Failure> {
    let path = repo.root.join(CORE_GOLDEN);
    let golden = fs::read_to_string(path).map_err(because(format!("cannot read {CORE_GOLDEN}")))?;
    let native = native_digest(repo)?;
    if let Some(difference) = first_difference(&golden, &native) {
        return Err(Failure::new(format!(
            "core's numbers are not those of {CORE_GOLDEN}\n{difference}\n\
             if that is meant: `cargo xtask golden --core`, and say why in the change"
        )));
    }
    print!("{}", last_line(&native));
    Ok(())
}

/// Compares the digest made under Node with the native one.
pub(crate) fn check_wasm(repo: &Repo, toolchain: &WasmToolchain) -> Result<Ending, Failure> {
    let Some(node) = node(repo) else {
        return Ok(Ending::skipped(
            "Node is not installed",
            "install Node 16 or newer (Debian: apt-get install nodejs)",
        ));
    };
    let wasm = wasm_digest(repo, toolchain, &node)?;
    let native = native_digest(repo)?;
    if let Some(difference) = first_difference(&native, &wasm) {
        return Err(Failure::new(format!(
            "WebAssembly decides otherwise than native code\n{difference}"
        )));
    }
    print!("{}", last_line(&wasm));
    Ok(Ending::Passed)
}

fn write_core(repo: &Repo) -> Result<(), Failure> {
    let native = native_digest(repo)?;
    match (wasm::find(repo)?, node(repo)) {
        (Some(toolchain), Some(node)) => {
            let wasm = wasm_digest(repo, &toolchain, &node)?;
            if let Some(difference) = first_difference(&native, &wasm) {
                return Err(Failure::new(format!(
                    "not written: WebAssembly decides otherwise than native code\n{difference}"
                )));
            }
        }
        _ => println!("not compared with WebAssembly: the wasm32 target or Node is missing"),
    }
    let path = repo.root.join(CORE_GOLDEN);
    let old = fs::read_to_string(&path).unwrap_or_default();
    match first_difference(&old, &native) {
        None => println!("{CORE_GOLDEN} is up to date"),
        Some(difference) => {
            let folder = path.parent().unwrap_or(&repo.root);
            fs::create_dir_all(folder)
                .map_err(because("cannot make the folder of golden files"))?;
            fs::write(&path, &native).map_err(because(format!("cannot write {CORE_GOLDEN}")))?;
            println!("{CORE_GOLDEN} changed; review it like code\n{difference}");
        }
    }
    Ok(())
}

fn target_dir(repo: &Repo) -> PathBuf {
    repo.target_dir.join("wasm-golden")
}

fn native_digest(repo: &Repo) -> Result<String, Failure> {
    repo::read(
        repo.cargo(&[
            "run",
            "--quiet",
            "--release",
            "--manifest-path",
            CORE_MANIFEST,
        ])
        .env("CARGO_TARGET_DIR", target_dir(repo)),
    )
}

fn wasm_digest(repo: &Repo, toolchain: &WasmToolchain, node: &str) -> Result<String, Failure> {
    let target_dir = target_dir(repo);
    repo::run(
        toolchain
            .cargo(repo)
            .args(["build", "--quiet", "--release", "--lib"])
            .args(["--manifest-path", CORE_MANIFEST])
            .args(wasm::TARGET_FLAG)
            .env("CARGO_TARGET_DIR", &target_dir),
    )?;
    let module = target_dir
        .join(wasm::TARGET)
        .join("release/dfa_wasm_golden.wasm");
    repo::read(repo.program(node).arg(CORE_RUNNER).arg(module))
}

/// The name of Node's program here, if it is installed.
fn node(repo: &Repo) -> Option<String> {
    ["node", "nodejs"]
        .into_iter()
        .find(|name| {
            let asked = repo::capture(repo.program(name).arg("--version"));
            asked.is_ok_and(|captured| captured.success)
        })
        .map(String::from)
}

/// The first line in which two texts differ, both versions shown.
fn first_difference(expected: &str, found: &str) -> Option<String> {
    if expected == found {
        return None;
    }
    let (mut expected, mut found) = (expected.lines(), found.lines());
    let mut number = 0;
    loop {
        number += 1;
        let (expected, found) = (expected.next(), found.next());
        if expected != found || expected.is_none() {
            let shown = |line: Option<&str>| line.unwrap_or("(no line)").to_string();
            let (expected, found) = (shown(expected), shown(found));
            return Some(format!(
                "line {number}, expected: {expected}\nline {number}, found:    {found}"
            ));
        }
    }
}

fn last_line(text: &str) -> String {
    format!("{}\n", text.lines().last().unwrap_or_default())
}

/// Runs each fixture's own script.
fn make_fixtures(repo: &Repo, request: &GoldenRequest) -> Result<(), Failure> {
    let all = fixture_names(repo)?;
    let chosen = if request.fixtures.is_empty() {
        &all
    } else {
        &request.fixtures
    };
    if let Some(unknown) = chosen.iter().find(|name| !all.contains(name)) {
        return Err(Failure::usage(format!(
            "no fixture `{unknown}`; there are: {}",
            all.join(", ")
        )));
    }
    let Some(python) = &request.python else {
        return Err(Failure::usage(format!(
            "name the Python that has the fixtures' packages: cargo xtask golden --python PYTHON\n\
             which packages and versions: provenance.json in each of {}",
            folders(&all)
        )));
    };
    for name in chosen {
        let script = format!("{FIXTURES}/{name}/make.py");
        println!("{script}");
        let mut command = repo.program(python_path(python));
        command.arg(&script);
        repo::run(&mut command).map_err(|failure| {
            Failure::new(format!(
                "{}\nif a package is missing: {FIXTURES}/{name}/provenance.json lists them with versions",
                failure.message
            ))
        })?;
    }
    println!(
        "made again: {}; review the changes like code",
        chosen.join(", ")
    );
    Ok(())
}

/// A Python given as a path is meant from where the command was typed, not from the root.
fn python_path(python: &str) -> PathBuf {
    let path = Path::new(python);
    if path.components().count() == 1 {
        return path.into();
    }
    std::env::current_dir().unwrap_or_default().join(path)
}

fn fixture_names(repo: &Repo) -> Result<Vec<String>, Failure> {
    let entries = fs::read_dir(repo.root.join(FIXTURES))
        .map_err(because(format!("cannot read {FIXTURES}")))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().join("make.py").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}

fn folders(names: &[String]) -> String {
    let folders: Vec<String> = names
        .iter()
        .map(|name| format!("{FIXTURES}/{name}"))
        .collect();
    folders.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_different_line_is_shown() {
        let check = |expected, found, line: Option<&str>| {
            let difference = first_difference(expected, found);
            let start = difference
                .as_deref()
                .and_then(|text| text.split(',').next());
            assert_eq!(start, line, "{expected:?} {found:?}");
        };
        check("a\nb\n", "a\nb\n", None);
        check("a\nb\n", "a\nc\n", Some("line 2"));
        check("a\n", "a\nb\n", Some("line 2"));
        check("", "a\n", Some("line 1"));
        check("a\n", "a", Some("line 2"));
    }
}
