//! The source of Rust's standard library, of exactly the active compiler's version: from
//! a given archive, else from the toolchain's rust-src component, else from Debian's
//! package `rust-src`, downloaded and unpacked without being installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::ActiveRustc;
use crate::repo::{self, Failure, Repo, because, read, words};

/// Debian suites newer than the running one, where a current Rust is found.
const SUITES: [&str; 3] = ["trixie-backports", "forky", "sid"];

/// Puts the source under `work` if it is not on this machine already; returns the folder
/// that holds `std/Cargo.toml`.
pub(super) fn fetch(
    repo: &Repo,
    active: &ActiveRustc,
    work: &Path,
    archive: Option<&Path>,
) -> Result<PathBuf, Failure> {
    if let Some(archive) = archive {
        return unpack_archive(repo, archive, work);
    }
    let component = active.sysroot.join("lib/rustlib/src/rust/library");
    if component.join("std/Cargo.toml").is_file() {
        println!("    from the component rust-src");
        return Ok(component);
    }
    from_debian(repo, active, work).map_err(|failure| {
        Failure::new(format!(
            "{}\nno source of the standard library {version}; any of these provides one:\n\
             - rustup component add rust-src\n\
             - an archive of the folder `library` of Rust's {version} source, given as \
             --std-source FILE.tar.xz or in DFA_WASM_STD",
            failure.message,
            version = active.release
        ))
    })
}

fn unpack_archive(repo: &Repo, archive: &Path, work: &Path) -> Result<PathBuf, Failure> {
    let archive = fs::canonicalize(archive).map_err(because(format!(
        "cannot open the source archive {}",
        archive.display()
    )))?;
    println!("    from {}", repo.relative(&archive));
    let library = work.join("library");
    fs::create_dir_all(&library).map_err(because("cannot unpack the source"))?;
    repo::run(
        repo.program("tar")
            .arg("-xJf")
            .arg(&archive)
            .arg("-C")
            .arg(&library),
    )?;
    [library.clone(), library.join("library")]
        .into_iter()
        .find(|folder| folder.join("std/Cargo.toml").is_file())
        .ok_or_else(|| {
            Failure::new(format!(
                "{} holds no `std/Cargo.toml`: it is not the `library` folder of Rust's source",
                archive.display()
            ))
        })
}

fn from_debian(repo: &Repo, active: &ActiveRustc, work: &Path) -> Result<PathBuf, Failure> {
    let apt = Apt::new(repo, work)?;
    let listed = read(apt.command("apt-cache").args(["madison", "rust-src"]))?;
    let version = package_version(&listed, &active.release).ok_or_else(|| {
        Failure::new(format!(
            "Debian ({}) has no rust-src {}",
            SUITES.join(", "),
            active.release
        ))
    })?;
    println!("    from Debian's package rust-src {version}");
    let package = format!("rust-src={version}");
    read(
        apt.command("apt-get")
            .args(["-qq", "download", &package])
            .current_dir(work),
    )?;
    let file = fs::read_dir(work)
        .map_err(because("cannot look for the package"))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .ok_or_else(|| Failure::new("apt-get downloaded no package"))?;
    let member = format!("./usr/src/rustc-{}/library", active.release);
    unpack_package(repo, &file, &member, work)?;
    fs::remove_file(&file).map_err(because("cannot remove the package"))?;
    let library = work.join("library");
    if library.join("std/Cargo.toml").is_file() {
        return Ok(library);
    }
    Err(Failure::new(format!(
        "Debian's package rust-src {version} holds no {member}"
    )))
}

/// The newest listed version of a Debian package that packages `release`.
fn package_version<'a>(listed: &'a str, release: &str) -> Option<&'a str> {
    listed
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(str::trim)
        .find(|version| {
            let rest = version.strip_prefix(release);
            rest.is_some_and(|rest| rest.starts_with('+') || rest.starts_with('-'))
        })
}

/// `dpkg --fsys-tarfile FILE | tar -x … MEMBER`
fn unpack_package(repo: &Repo, file: &Path, member: &str, work: &Path) -> Result<(), Failure> {
    let mut dpkg = repo.program("dpkg");
    dpkg.arg("--fsys-tarfile").arg(file).stdout(Stdio::piped());
    let mut unpacking = dpkg
        .spawn()
        .map_err(because(format!("cannot start `{}`", words(&dpkg))))?;
    let mut tar = repo.program("tar");
    // -C holds for what comes after it only.
    tar.args(["-x", "--strip-components=4", "-C"])
        .arg(work)
        .arg(member);
    if let Some(stream) = unpacking.stdout.take() {
        tar.stdin(stream);
    }
    let unpacked = repo::run(&mut tar);
    unpacking.wait().map_err(because("dpkg"))?;
    unpacked
}

/// apt with package lists of its own, so that the machine's are neither used nor changed.
struct Apt<'a> {
    repo: &'a Repo,
    options: Vec<String>,
}

impl<'a> Apt<'a> {
    /// Reads the lists of [`SUITES`] from the machine's own Debian mirror.
    fn new(repo: &'a Repo, work: &Path) -> Result<Self, Failure> {
        let folder = work.join("apt");
        for name in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(name)).map_err(because("cannot make apt's folder"))?;
        }
        let sources = folder.join("sources.list");
        fs::write(&sources, sources_list(&mirror(repo)?))
            .map_err(because("cannot write apt's list of sources"))?;
        let apt = Self {
            repo,
            options: vec![
                format!("Dir::Etc::sourcelist={}", sources.display()),
                "Dir::Etc::sourceparts=-".into(),
                format!("Dir::State::Lists={}", folder.join("lists").display()),
                format!("Dir::Cache={}", folder.join("cache").display()),
            ],
        };
        read(apt.command("apt-get").args(["-qq", "update"]))?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> std::process::Command {
        let mut command = self.repo.program(program);
        for option in &self.options {
            command.args(["-o", option]);
        }
        command
    }
}

/// The mirror that this machine's apt uses for Debian itself.
fn mirror(repo: &Repo) -> Result<String, Failure> {
    let args = [
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
    ];
    let listed = read(repo.program("apt-get").args(args))?;
    listed
        .lines()
        .find(|uri| !uri.contains("security"))
        .map(String::from)
        .ok_or_else(|| Failure::new("apt knows no Debian mirror; run `apt-get update` first"))
}

fn sources_list(mirror: &str) -> String {
    SUITES
        .map(|suite| format!("deb {mirror} {suite} main\n"))
        .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_of_the_same_release_is_taken() {
        let listed = "  rust-src | 1.97.1+dfsg1-1 | mirror sid/main\n  \
                      rust-src | 1.95.0+dfsg1-2~bpo13+1 | mirror trixie-backports/main\n";
        let check = |release, expected| assert_eq!(package_version(listed, release), expected);
        check("1.95.0", Some("1.95.0+dfsg1-2~bpo13+1"));
        check("1.97.1", Some("1.97.1+dfsg1-1"));
        check("1.9", None);
        check("1.96.0", None);
    }
}
