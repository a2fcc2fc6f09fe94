//! Building for WebAssembly: finds a toolchain that has the wasm32 standard library, and
//! makes one where rustup cannot fetch it.
//!
//! The made one is a copy of the active toolchain under the build folder, hard-linked so
//! that it takes no room, with the wasm32 library added. Linked files are shared with the
//! original, so a copy is only ever added to: no existing file is opened for writing.
//! Nothing here asks rustup to install anything.

mod std_source;
mod toolchain_copy;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::repo::{self, Failure, Repo, because};

/// The target.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";
/// How cargo is told.
pub(crate) const TARGET_FLAG: [&str; 2] = ["--target", TARGET];

/// A toolchain that can build for wasm32.
pub(crate) enum WasmToolchain {
    /// The one that is active anyway.
    Active,
    /// A copy made by [`setup`], at this folder.
    Copy(PathBuf),
}

impl WasmToolchain {
    /// This toolchain's cargo, in the repository's root. A copy's programs are called
    /// directly, so it makes no difference whether rustup is there and what it thinks.
    pub(crate) fn cargo(&self, repo: &Repo) -> Command {
        match self {
            Self::Active => repo.program("cargo"),
            Self::Copy(folder) => cargo_of(repo, folder),
        }
    }
}

fn cargo_of(repo: &Repo, folder: &Path) -> Command {
    program_of(repo, folder, "cargo")
}

/// A program of a toolchain copy. What cargo and rustup set for the active toolchain is
/// replaced: above all the library path, by which a compiler finds its own folder.
fn program_of(repo: &Repo, folder: &Path, name: &str) -> Command {
    let bin = folder.join("bin");
    let mut command = repo.program(bin.join(program_name(name)));
    command
        .env("RUSTC", bin.join(program_name("rustc")))
        .env("PATH", with_first(bin, "PATH"))
        .env_remove("RUSTUP_TOOLCHAIN");
    for variable in ["LD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"] {
        command.env(variable, with_first(folder.join("lib"), variable));
    }
    command
}

/// A list of folders from the environment, with one more at its head.
fn with_first(folder: PathBuf, variable: &str) -> OsString {
    let old = env::var_os(variable).unwrap_or_default();
    let folders = std::iter::once(folder).chain(env::split_paths(&old));
    env::join_paths(folders).unwrap_or(old)
}

fn program_name(name: &str) -> String {
    format!("{name}{}", env::consts::EXE_SUFFIX)
}

/// The compiler that is active in the repository.
struct ActiveRustc {
    /// All that `rustc -vV` prints: a standard library fits this compiler only.
    description: String,
    /// The version, as in `1.95.0`.
    release: String,
    sysroot: PathBuf,
}

impl ActiveRustc {
    fn ask(repo: &Repo) -> Result<Self, Failure> {
        let description = repo::read(repo.program("rustc").arg("-vV"))?;
        let release = description
            .lines()
            .find_map(|line| line.strip_prefix("release: "))
            .ok_or_else(|| Failure::new("`rustc -vV` names no release; is this rustc?"))?
            .to_string();
        let sysroot = repo::read(repo.program("rustc").args(["--print", "sysroot"]))?;
        Ok(Self {
            sysroot: sysroot.trim().into(),
            release,
            description,
        })
    }

    /// The name under which rustup knows the copy, for `cargo +NAME` by hand.
    fn link_name(&self) -> String {
        format!("dfa-wasm-{}", self.release)
    }
}

/// The toolchain to build with for wasm32, if there is one.
pub(crate) fn find(repo: &Repo) -> Result<Option<WasmToolchain>, Failure> {
    let active = ActiveRustc::ask(repo)?;
    if has_std(&active.sysroot) {
        return Ok(Some(WasmToolchain::Active));
    }
    let own = copy_folder(repo);
    let linked = rustup_link(&active.link_name());
    let found = [Some(own), linked]
        .into_iter()
        .flatten()
        .find(|folder| is_complete_copy(folder, &active));
    Ok(found.map(WasmToolchain::Copy))
}

/// `cargo xtask setup-wasm`: says what there is, or makes it.
pub(crate) fn setup(
    repo: &Repo,
    from_source: bool,
    std_source: Option<&Path>,
) -> Result<(), Failure> {
    match find(repo)? {
        Some(WasmToolchain::Active) => println!("{TARGET} is installed in the active toolchain"),
        Some(WasmToolchain::Copy(folder)) => {
            println!(
                "{TARGET} is there, built from source, in {}",
                repo.relative(&folder)
            );
        }
        None if from_source => make_copy(repo, std_source)?,
        None => {
            return Err(Failure::new(format!(
                "the target {TARGET} is not installed\n\
                 with rustup:                    rustup target add {TARGET}\n\
                 where rustup cannot fetch it:   cargo xtask setup-wasm --from-source"
            )));
        }
    }
    Ok(())
}

/// Whether the standard library for wasm32 lies in a toolchain.
fn has_std(sysroot: &Path) -> bool {
    let Ok(files) = fs::read_dir(lib_folder(sysroot)) else {
        return false;
    };
    let mut names = files.flatten().map(|file| file.file_name());
    names.any(|name| name.to_string_lossy().starts_with("libstd-"))
}

fn lib_folder(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib").join(TARGET).join("lib")
}

/// Written last into a copy: the description of the compiler it was made for.
fn stamp(copy: &Path) -> PathBuf {
    copy.join("lib/rustlib").join(TARGET).join("made-for.txt")
}

fn is_complete_copy(copy: &Path, active: &ActiveRustc) -> bool {
    has_std(copy) && fs::read_to_string(stamp(copy)).is_ok_and(|text| text == active.description)
}

fn work_folder(repo: &Repo) -> PathBuf {
    repo.target_dir.join("wasm-toolchain")
}

fn copy_folder(repo: &Repo) -> PathBuf {
    work_folder(repo).join("toolchain")
}

/// Where rustup keeps a link of this name, whether or not it exists.
fn rustup_link(name: &str) -> Option<PathBuf> {
    let home = env::var_os("RUSTUP_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::home_dir().map(|home| home.join(".rustup")))?;
    fs::canonicalize(home.join("toolchains").join(name)).ok()
}

fn make_copy(repo: &Repo, std_source: Option<&Path>) -> Result<(), Failure> {
    let active = ActiveRustc::ask(repo)?;
    let work = work_folder(repo);
    let copy = copy_folder(repo);
    if work.exists() {
        // An interrupted attempt, or one for another compiler.
        fs::remove_dir_all(&work).map_err(because(format!("cannot remove {}", work.display())))?;
    }
    fs::create_dir_all(&work).map_err(because(format!("cannot make {}", work.display())))?;

    println!("1/4 source of the standard library {}", active.release);
    let library = std_source::fetch(repo, &active, &work, std_source)?;
    println!("2/4 copy of the toolchain");
    toolchain_copy::link_tree(&active.sysroot, &copy)?;
    toolchain_copy::add_library_source(&copy, &library)?;
    println!("3/4 building the standard library for {TARGET} (about a minute)");
    let built = toolchain_copy::build_std(repo, &copy, &library, &work)?;
    toolchain_copy::install(&built, &lib_folder(&copy))?;
    println!("4/4 trying it");
    toolchain_copy::try_out(repo, &copy, &work)?;

    fs::write(stamp(&copy), &active.description)
        .map_err(because("cannot finish the toolchain copy"))?;
    // Only room is lost if this stays.
    let _ = fs::remove_dir_all(&built);
    link_for_rustup(repo, &active.link_name(), &copy);
    println!("done: {TARGET} can be built from {}", repo.relative(&copy));
    Ok(())
}

/// Makes `cargo +NAME` work by hand. Nothing of ours needs it, so no failure.
fn link_for_rustup(repo: &Repo, name: &str, copy: &Path) {
    let mut command = repo.program("rustup");
    command
        .args(["toolchain", "link", name])
        .arg(copy)
        .env("RUSTUP_AUTO_INSTALL", "0");
    match repo::capture(&mut command) {
        Ok(captured) if captured.success => {
            println!("by hand: cargo +{name} build --target {TARGET}")
        }
        _ => println!("not linked as `{name}` for use by hand: no rustup, or it refused"),
    }
}
