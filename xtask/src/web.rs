//! `cargo xtask web` and `cargo xtask serve`: the page's files, and the worker that serves
//! them.
//!
//! The page is compiled with the toolchain that [`wasm`] finds, into a build folder of its
//! own. What turns the WebAssembly into files for a browser ([`bundle`](crate::bundle)) is
//! a library of the same version as the page's own `wasm-bindgen`, so no tool has to be
//! installed that matches. It is a feature of this program and is compiled when it is
//! first asked for.

use std::fs;
use std::path::Path;

use crate::flags::WebRequest;
use crate::repo::{self, Failure, Repo, because};
use crate::wasm::{self, WasmToolchain};

/// Where the worker looks for the page when it is compiled.
const DIST: &str = "web-ui/dist";
/// The line of `index.html` that says that a worker serves the page.
const WITH_WORKER: &str = r#"<meta name="dfa-worker" content="same-origin">"#;
const WITHOUT_WORKER: &str = r#"<meta name="dfa-worker" content="none">"#;
/// How the page is compiled, in a variable that reaches no build script: vector instructions,
/// which every browser of the last years has, and components without their types, which
/// makes the page smaller.
pub(crate) const RUSTFLAGS_VARIABLE: &str = "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS";
pub(crate) const RUSTFLAGS: &str = "-Ctarget-feature=+simd128 --cfg erase_components";

/// `cargo xtask web`.
pub(crate) fn run(repo: &Repo, request: &WebRequest) -> Result<(), Failure> {
    let Some(toolchain) = wasm::find(repo)? else {
        return Err(Failure::new(format!(
            "the page is WebAssembly, and the target {target} is not installed\n\
             with rustup:                    rustup target add {target}\n\
             where rustup cannot fetch it:   cargo xtask setup-wasm --from-source",
            target = wasm::TARGET
        )));
    };
    build(repo, &toolchain, request.dev)?;
    if let Some(folder) = &request.static_folder {
        write_static(repo, folder)?;
    }
    Ok(())
}

/// Compiles the page and writes its files to [`DIST`].
pub(crate) fn build(repo: &Repo, toolchain: &WasmToolchain, dev: bool) -> Result<(), Failure> {
    let profile = if dev { "web-dev" } else { "web" };
    let target_dir = repo.target_dir.join("wasm");
    let mut command = toolchain.cargo(repo);
    command
        .args(["build", "-p", "dfa-web-ui", "--bin", "dfa-page"])
        .args(["--profile", profile])
        .args(wasm::TARGET_FLAG)
        .env(RUSTFLAGS_VARIABLE, RUSTFLAGS)
        // A folder of its own: another toolchain must not rebuild the main one.
        .env("CARGO_TARGET_DIR", &target_dir);
    repo::run(&mut command)?;
    let wasm = target_dir
        .join(wasm::TARGET)
        .join(profile)
        .join("dfa-page.wasm");
    bundle(repo, &wasm, dev)
}

/// Asks the optimised build of this program, with its feature `bundle`, for the files.
fn bundle(repo: &Repo, wasm: &Path, dev: bool) -> Result<(), Failure> {
    let mut command = repo.cargo(&["run", "--quiet", "--profile", "xtask", "-p", "xtask"]);
    command
        .args(["--features", "bundle", "--", "bundle"])
        .arg(wasm)
        .arg(repo.root.join(DIST));
    if dev {
        command.arg("--dev");
    }
    repo::run(&mut command)
}

/// A copy of the page for any static file server: it asks for no worker.
fn write_static(repo: &Repo, folder: &Path) -> Result<(), Failure> {
    let dist = repo.root.join(DIST);
    copy_tree(&dist, folder)?;
    let index = folder.join("index.html");
    let text = fs::read_to_string(&index).map_err(because("cannot read the page"))?;
    if !text.contains(WITH_WORKER) {
        return Err(Failure::new(format!(
            "web-ui/index.html lacks the line {WITH_WORKER}"
        )));
    }
    fs::write(&index, text.replace(WITH_WORKER, WITHOUT_WORKER))
        .map_err(because("cannot write the page"))?;
    println!(
        "the page without a worker is in {}; try it: python3 -m http.server -d {0}",
        repo.relative(folder)
    );
    Ok(())
}

/// Copies a folder of plain files; what is packed for a worker stays behind.
fn copy_tree(from: &Path, to: &Path) -> Result<(), Failure> {
    let cannot = |folder: &Path| because(format!("cannot copy to {}", folder.display()));
    fs::create_dir_all(to).map_err(cannot(to))?;
    for entry in fs::read_dir(from).map_err(cannot(to))? {
        let path = entry.map_err(cannot(to))?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_tree(&path, &target)?;
        } else if path.extension().is_none_or(|extension| extension != "gz") {
            fs::copy(&path, &target).map_err(cannot(to))?;
        }
    }
    Ok(())
}

/// `cargo xtask serve`: the page, and a worker that serves it.
pub(crate) fn serve(repo: &Repo, dev: bool, extra: &[String]) -> Result<(), Failure> {
    let request = WebRequest {
        dev,
        static_folder: None,
    };
    run(repo, &request)?;
    let mut command = repo.cargo(&["run", "--release", "-p", "dfa-native-worker", "--"]);
    command.arg("serve");
    if !extra.iter().any(|arg| arg.starts_with("--model-id")) {
        command.args(["--model-id", "models/avatars-dit"]);
    }
    repo::run(command.args(extra))
}
