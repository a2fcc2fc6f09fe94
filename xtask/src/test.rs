//! `cargo xtask test`: every test there is, in stages that each say how they ended.
//!
//! Cargo's own tests are one stage of several: the others need another profile (the
//! no_std proof) or another target (core as WebAssembly) than one `cargo test` can have.

use crate::browser;
use crate::clients;
use crate::cuda;
use crate::golden;
use crate::repo::{self, Failure, Repo};
use crate::stages::{Ending, Policy, Stages};
use crate::tidy;
use crate::wasm::{self, WasmToolchain};
use crate::web;

/// Crates outside the workspace: each has a profile or a target of its own.
pub(crate) const MANIFESTS_OUTSIDE: [&str; 3] =
    [NO_STD_PROOF, golden::CORE_MANIFEST, "fuzz/Cargo.toml"];

const NO_STD_PROOF: &str = "tests/no-std-proof/Cargo.toml";

pub(crate) fn run(repo: &Repo, strict: bool) -> Result<(), Failure> {
    let mut stages = Stages::new(Policy {
        strict: nothing_may_be_skipped(strict),
        stop_at_first: false,
    });
    tidy_stage(&mut stages, repo);
    stages_after_tidy(&mut stages, repo);
    println!(
        "\nnot part of any run: making the fixtures again (they are committed; \
         `cargo xtask golden --python PYTHON` makes them), and anything on a GPU (`cargo xtask gpu-check`, where there is one)"
    );
    stages.finish()
}

/// On a machine that checks for others, a stage that did not run proves nothing.
pub(crate) fn nothing_may_be_skipped(strict: bool) -> bool {
    strict || std::env::var("CI").is_ok_and(|value| value == "true")
}

pub(crate) fn tidy_stage(stages: &mut Stages, repo: &Repo) {
    stages.stage("tidy: the text of the repository", || {
        tidy::run(repo).map(|()| Ending::Passed)
    });
}

/// The stages of `test` that `check` runs too.
pub(crate) fn stages_after_tidy(stages: &mut Stages, repo: &Repo) {
    let mut cargo_test = |name: &str, args: &[&str]| {
        stages.stage(name, || {
            repo::run(repo.cargo(&["test"]).args(args))?;
            Ok(Ending::Passed)
        });
    };
    cargo_test("tests of the workspace", &["--workspace"]);
    cargo_test(
        "core with every feature",
        &["-p", "dfa-core", "--all-features"],
    );
    cargo_test(
        "core with no feature",
        &["-p", "dfa-core", "--no-default-features"],
    );

    stages.stage("no_std proof: core links no std", || {
        repo::run(&mut no_std_proof(repo, &[]))?;
        Ok(Ending::Passed)
    });
    stages.stage(
        "no_std proof has teeth: it fails as soon as std is linked",
        || proof_fails_with_std(repo),
    );
    cuda::stages(stages, repo);
    wasm_stages(stages, repo);
    clients::stages(stages, repo);
    browser::stages(stages, repo);
}

/// `cargo check` of the proof crate. Its panic handler is the proof: std brings one too,
/// and there cannot be two.
fn no_std_proof(repo: &Repo, args: &[&str]) -> std::process::Command {
    let mut command = repo.cargo(&["check", "--manifest-path", NO_STD_PROOF]);
    command
        .args(args)
        .env("CARGO_TARGET_DIR", repo.target_dir.join("no-std-proof"));
    command
}

fn proof_fails_with_std(repo: &Repo) -> Result<Ending, Failure> {
    let captured = repo::capture(&mut no_std_proof(repo, &["--features", "dirty"]))?;
    if captured.success {
        return Err(Failure::new(
            "the proof passes although its feature `dirty` links std: it proves nothing any more",
        ));
    }
    let expected = ["duplicate lang item", "panic_impl"];
    if expected.iter().all(|words| captured.stderr.contains(words)) {
        println!("refused as it should be: duplicate lang item `panic_impl`");
        return Ok(Ending::Passed);
    }
    Err(Failure::new(format!(
        "the proof fails with std, but for another reason than a second panic handler:\n{}",
        captured.stderr
    )))
}

fn wasm_stages(stages: &mut Stages, repo: &Repo) {
    let toolchain = wasm::find(repo);
    let with_wasm = |body: &dyn Fn(&WasmToolchain) -> Result<Ending, Failure>| match &toolchain {
        Ok(Some(toolchain)) => body(toolchain),
        Ok(None) => Ok(Ending::skipped(
            "the target wasm32-unknown-unknown is not installed",
            "`rustup target add wasm32-unknown-unknown`, or without rustup's server \
             `cargo xtask setup-wasm --from-source`",
        )),
        Err(failure) => Err(Failure::new(failure.message.clone())),
    };
    stages.stage("core builds for wasm32", || {
        with_wasm(&|toolchain| {
            let mut command = toolchain.cargo(repo);
            command
                .args([
                    "build",
                    "--release",
                    "-p",
                    "dfa-core",
                    "--features",
                    "dfa-core/wire",
                ])
                .args(wasm::TARGET_FLAG)
                // A folder of its own: another toolchain must not rebuild the main one.
                .env("CARGO_TARGET_DIR", repo.target_dir.join("wasm"));
            repo::run(&mut command)?;
            Ok(Ending::Passed)
        })
    });
    stages.stage("clippy of the page, for wasm32", || {
        with_wasm(&|toolchain| {
            let mut command = toolchain.cargo(repo);
            command
                .args(["clippy", "-p", "dfa-web-ui", "--profile", "web-dev"])
                .args(wasm::TARGET_FLAG)
                .env("CARGO_TARGET_DIR", repo.target_dir.join("wasm"))
                .env(web::RUSTFLAGS_VARIABLE, web::RUSTFLAGS)
                .args(["--", "-D", "warnings"]);
            repo::run(&mut command)?;
            Ok(Ending::Passed)
        })
    });
    stages.stage(
        "core's numbers, native, are those of the golden file",
        || golden::check_native(repo).map(|()| Ending::Passed),
    );
    stages.stage(
        "core's numbers, as WebAssembly under Node, are the native ones",
        || with_wasm(&|toolchain| golden::check_wasm(repo, toolchain)),
    );
}
