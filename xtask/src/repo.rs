//! Where the repository and its build folder are, and how another program is started in
//! it. Errors here say what to do, because nobody reads xtask's source to find out.

use std::env;
use std::ffi::OsStr;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why a command ended early: what to print and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Lower case, without a full stop.
    pub(crate) message: String,
    /// 1 for a failure, 2 for a command that was asked for wrongly.
    pub(crate) code: u8,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: 1,
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: 2,
        }
    }
}

/// Puts "what was tried" before an I/O error.
pub(crate) fn because<E: Display>(tried: impl Display) -> impl FnOnce(E) -> Failure {
    move |error| Failure::new(format!("{tried}: {error}"))
}

/// The repository and its build folder, both absolute.
pub(crate) struct Repo {
    pub(crate) root: PathBuf,
    pub(crate) target_dir: PathBuf,
}

impl Repo {
    /// The repository this program was started for: cargo says where the package is; a
    /// program started by hand looks upwards from the current folder.
    pub(crate) fn find() -> Result<Self, Failure> {
        let here = env::current_dir().map_err(because("cannot read the current folder"))?;
        let package = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let start = package.unwrap_or_else(|| here.clone());
        let root = start
            .ancestors()
            .find(|folder| folder.join("xtask/Cargo.toml").is_file())
            .ok_or_else(|| {
                Failure::usage("this is not the repository: run `cargo xtask` inside a clone of it")
            })?
            .to_path_buf();
        let target_dir = match env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => here.join(folder),
            None => root.join("target"),
        };
        Ok(Self { root, target_dir })
    }

    /// A program to be run in the repository's root.
    pub(crate) fn program(&self, name: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(name);
        command
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target_dir);
        command
    }

    /// The cargo that runs this program, in the repository's root.
    pub(crate) fn cargo(&self, args: &[&str]) -> Command {
        let mut command = self.program("cargo");
        command.args(args);
        command
    }

    /// A path under the root as people write it: relative, with forward slashes.
    pub(crate) fn relative(&self, path: &Path) -> String {
        let path = path.strip_prefix(&self.root).unwrap_or(path);
        path.display().to_string().replace('\\', "/")
    }
}

/// Runs a program with the terminal passed through; an exit code other than 0 is a failure.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command.status().map_err(cannot_start(command))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!("{}: {status}", words(command))))
}

/// What a program left behind that was run to be read.
pub(crate) struct Captured {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a program and keeps what it prints.
pub(crate) fn capture(command: &mut Command) -> Result<Captured, Failure> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(cannot_start(command))?;
    Ok(Captured {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// What a program prints, which must succeed.
pub(crate) fn read(command: &mut Command) -> Result<String, Failure> {
    let captured = capture(command)?;
    if captured.success {
        return Ok(captured.stdout);
    }
    let said = captured.stderr.trim_end();
    Err(Failure::new(format!("{} failed:\n{said}", words(command))))
}

/// The command as one would type it, for messages.
pub(crate) fn words(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(name)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

fn cannot_start(command: &Command) -> impl FnOnce(std::io::Error) -> Failure + use<> {
    let name = command.get_program().to_string_lossy().into_owned();
    move |error| Failure::new(format!("cannot start `{name}` ({error}); is it installed?"))
}
