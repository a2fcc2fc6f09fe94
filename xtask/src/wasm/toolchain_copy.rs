//! The copy of a toolchain: made of hard links, given the standard library's source, and
//! made to build that library for wasm32 once.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{TARGET, TARGET_FLAG, cargo_of, program_of};
use crate::repo::{self, Failure, Repo, because};

/// Folders of a toolchain that are not copied: documentation, and what is added to the
/// copy instead. No added file may meet a linked one, whose contents are the original's.
const LEFT_OUT: [&str; 3] = [
    "share",
    "lib/rustlib/src",
    "lib/rustlib/wasm32-unknown-unknown",
];

/// The parts of the library that programs, tests and proc macros link to.
const PARTS: &str = "-Zbuild-std=std,panic_abort,panic_unwind,test,proc_macro";

/// Copies a toolchain by hard links; on another file system, by contents.
pub(super) fn link_tree(from: &Path, to: &Path) -> Result<(), Failure> {
    let left_out = LEFT_OUT.map(|name| from.join(name));
    link_folder(from, to, &left_out).map_err(because(format!(
        "cannot copy the toolchain {}",
        from.display()
    )))
}

fn link_folder(from: &Path, to: &Path, left_out: &[PathBuf]) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, copy) = (entry.path(), to.join(entry.file_name()));
        if left_out.contains(&source) {
            continue;
        }
        if source.is_dir() {
            link_folder(&source, &copy, left_out)?;
            continue;
        }
        // A link to a link would share its relative target: resolve it first.
        let source = fs::canonicalize(source)?;
        if fs::hard_link(&source, &copy).is_err() {
            fs::copy(&source, &copy)?;
        }
    }
    Ok(())
}

/// Puts the source where `-Zbuild-std` looks for it.
pub(super) fn add_library_source(copy: &Path, library: &Path) -> Result<(), Failure> {
    let parent = copy.join("lib/rustlib/src/rust");
    let add = || -> io::Result<()> {
        fs::create_dir_all(&parent)?;
        move_or_link(library, &parent.join("library"))
    };
    add().map_err(because("cannot add the source to the toolchain copy"))
}

#[cfg(unix)]
fn move_or_link(library: &Path, place: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(library, place)
}

#[cfg(not(unix))]
fn move_or_link(library: &Path, place: &Path) -> io::Result<()> {
    link_folder(library, place, &[])
}

/// Builds the library for wasm32; returns the folder with its `.rlib` files.
///
/// It takes about a dozen small crates from crates.io, fixed by the library's own lock file.
/// Bitcode is embedded so that later builds can optimise across it.
pub(super) fn build_std(
    repo: &Repo,
    copy: &Path,
    library: &Path,
    work: &Path,
) -> Result<PathBuf, Failure> {
    let project = empty_project(work).map_err(because("cannot write the project to build"))?;
    let target_dir = work.join("build");
    let flags = format!(
        "-Cembed-bitcode=yes --remap-path-prefix={}=/rustc/library",
        library.display()
    );
    let mut command = cargo_of(repo, copy);
    command
        .args(["build", "--release", PARTS])
        .args(TARGET_FLAG)
        .current_dir(&project)
        .env("CARGO_TARGET_DIR", &target_dir)
        .env("RUSTFLAGS", flags)
        // -Z is refused by a stable compiler otherwise; this build alone needs it.
        .env("RUSTC_BOOTSTRAP", "1");
    repo::run(&mut command)?;
    Ok(target_dir.join(TARGET).join("release/deps"))
}

/// A library that holds nothing, outside every workspace: building it builds std.
fn empty_project(work: &Path) -> io::Result<PathBuf> {
    let project = work.join("empty");
    fs::create_dir_all(project.join("src"))?;
    fs::write(
        project.join("Cargo.toml"),
        "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [profile.release]\nopt-level = 3\ncodegen-units = 1\npanic = \"unwind\"\n",
    )?;
    fs::write(project.join("src/lib.rs"), "")?;
    Ok(project)
}

/// Copies the built library into the toolchain copy, and removes what it was built with.
pub(super) fn install(built: &Path, lib: &Path) -> Result<(), Failure> {
    let copy_all = || -> io::Result<usize> {
        fs::create_dir_all(lib)?;
        let mut n_copied = 0;
        for entry in fs::read_dir(built)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.ends_with(".rlib") && !name.starts_with("libempty") {
                fs::copy(&path, lib.join(&*name))?;
                n_copied += 1;
            }
        }
        Ok(n_copied)
    };
    match copy_all().map_err(because("cannot install the built library"))? {
        0 => Err(Failure::new(
            "the build of the standard library made nothing",
        )),
        n_copied => {
            println!("    {n_copied} files");
            Ok(())
        }
    }
}

/// Builds a module that links std and has a panic to unwind or abort on.
pub(super) fn try_out(repo: &Repo, copy: &Path, work: &Path) -> Result<(), Failure> {
    let source = work.join("tried.rs");
    fs::write(
        &source,
        "#[unsafe(no_mangle)]\npub extern \"C\" fn tried(n: usize) -> usize {\n    \
         vec![n; n].iter().sum::<usize>() / n\n}\n",
    )
    .map_err(because("cannot write the module to try"))?;
    let mut command = program_of(repo, copy, "rustc");
    command
        .args(["--crate-type=cdylib", "--edition=2024", "-O"])
        .args(TARGET_FLAG)
        .arg("-o")
        .arg(work.join("tried.wasm"))
        .arg(&source);
    repo::read(&mut command).map(drop)
}
