//! `cargo xtask cuda`: the programs with CUDA, built on a machine that needs no GPU.
//!
//! Two crates of candle's are not used as they are published: candle-flash-attn clones
//! CUTLASS from the net and compiles 53 kernels for hours, candle-kernels compiles kernels
//! of quantised language models. [`copies`] makes copies of both without that, below the
//! build folder; cargo is told of them on its command line (`paths`), so that neither the
//! manifest nor the lock file knows. [`toolkit`] is what compiles and links.
//!
//! The type check needs neither compiler nor card: the copies then compile nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::repo::{self, Failure, Repo};
use crate::stages::{Ending, Stages};

mod copies;
mod toolkit;

use copies::Copies;
use toolkit::Toolkit;

/// CUDA's version, as cudarc wants to be told: that of the wheels in [`toolkit`].
const CUDA_VERSION: &str = "13000";
/// Tells the build scripts to compile no kernels.
const CHECK_ONLY: &str = "DFA_CUDA_CHECK_ONLY";
/// What is built.
const PACKAGES: [&str; 6] = [
    "-p",
    "dfa-native-worker",
    "-p",
    "dfa-tests",
    "--features",
    "dfa-native-worker/cuda",
];

/// What `cargo xtask cuda` was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CudaRequest {
    /// Compute capability of the card, such as `90` for an H200 and `80` for an A100.
    pub(crate) arch: String,
    /// Only check types.
    pub(crate) check: bool,
}

/// Builds, or checks.
pub(crate) fn run(repo: &Repo, request: &CudaRequest) -> Result<(), Failure> {
    if request.check {
        return check(repo);
    }
    let folder = repo.target_dir.join("cuda");
    let copies = Copies::prepare(repo, &folder.join("copies"))?;
    let toolkit = Toolkit::prepare(repo, &folder)?;
    let target = folder.join("target");
    println!(
        "compiling for compute capability {}: several minutes, up to 4 GB for each of two kernels",
        request.arch
    );
    let mut command = with_copies(repo, "build", &copies);
    command
        .args(["--release", "--bin", "dfa", "--bin", "gpu-check"])
        .args(PACKAGES)
        .env("CARGO_TARGET_DIR", &target)
        .env("CUDA_COMPUTE_CAP", &request.arch);
    toolkit.apply(&mut command);
    repo::run(&mut command)?;
    for name in ["dfa", "gpu-check"] {
        println!("{}", built(&target, name).display());
    }
    println!(
        "on a machine with a card: the libraries of CUDA 13 (libcudart, libcublas, libcurand, libnvrtc) must be \
         found, by LD_LIBRARY_PATH if need be; then `gpu-check --help`"
    );
    Ok(())
}

/// Builds for the card that is here, and runs `gpu-check` on it.
pub(crate) fn gpu_check(repo: &Repo, extra: &[String]) -> Result<(), Failure> {
    let arch = capability_here(repo)?;
    let request = CudaRequest { arch, check: false };
    run(repo, &request)?;
    let folder = repo.target_dir.join("cuda");
    let mut command = repo.program(built(&folder.join("target"), "gpu-check"));
    repo::run(command.args(extra))
}

/// Of the first card, as nvidia-smi says it.
fn capability_here(repo: &Repo) -> Result<String, Failure> {
    let mut ask = repo.program("nvidia-smi");
    ask.args(["--query-gpu=compute_cap", "--format=csv,noheader"]);
    let none = |why: &str| {
        Failure::new(format!(
            "there is no NVIDIA GPU here ({why}); `cargo xtask cuda` builds without one, and the \
             gpu-check that it makes runs where there is one"
        ))
    };
    let said = repo::capture(&mut ask).map_err(|failure| none(&failure.message))?;
    let first = said.stdout.lines().next().unwrap_or_default();
    match said.success && first.contains('.') {
        true => Ok(first.trim().replace('.', "")),
        false => Err(none("nvidia-smi names none")),
    }
}

fn built(target: &Path, name: &str) -> PathBuf {
    target.join("release").join(name)
}

/// The stage of `test` and `check`.
pub(crate) fn stages(stages: &mut Stages, repo: &Repo) {
    stages.stage("the programs with CUDA: types only, no kernel", || {
        check(repo).map(|()| Ending::Passed)
    });
}

/// `cargo check` with the feature. Needs no toolkit, because nothing is compiled by nvcc.
fn check(repo: &Repo) -> Result<(), Failure> {
    let copies = Copies::prepare(repo, &repo.target_dir.join("cuda/copies"))?;
    let mut command = with_copies(repo, "check", &copies);
    command
        .args(PACKAGES)
        .env(CHECK_ONLY, "1")
        .env("CUDARC_CUDA_VERSION", CUDA_VERSION);
    repo::run(&mut command)
}

fn with_copies(repo: &Repo, action: &str, copies: &Copies) -> Command {
    let mut command = repo.cargo(&[action, "--locked", "--config"]);
    command.arg(copies.setting());
    command
}
