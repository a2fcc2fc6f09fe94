//! `cargo xtask demo`: the shipped model, calibrated and generated with, raw beside
//! compressed. It only builds `dfa` and runs two of its subcommands, which it prints, so
//! that a reader can go on from there by hand.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::repo::{self, Failure, Repo, because};

const MODEL: &str = "models/avatars-dit";
const OUT: &str = "out/demo";
const PLAN: &str = "out/demo/plan.json";
/// Strong enough to save visibly, weak enough to keep the pictures' content.
const THRESHOLD: &str = "D4";

pub(crate) fn run(repo: &Repo, extra: &[String]) -> Result<(), Failure> {
    if !repo.root.join(MODEL).join("model_index.json").is_file() {
        return Err(Failure::new(format!(
            "the shipped model is missing; get a complete clone, it belongs in {MODEL}"
        )));
    }
    let out = repo.root.join(OUT);
    fs::create_dir_all(&out).map_err(because(format!("cannot make {OUT}")))?;

    let start = Instant::now();
    let dfa = build(repo)?;
    let build_secs = start.elapsed().as_secs_f64();

    // An earlier demo that was stopped must not stand in the way of this one.
    let calibrate = [
        "calibrate",
        "--model",
        MODEL,
        "--threshold",
        THRESHOLD,
        // What the model was trained to be sampled with (its card).
        "--guidance",
        "3",
        "--restart",
        "-o",
        PLAN,
    ];
    let calibrate_secs = timed(repo, &dfa, &calibrate.map(String::from))?;
    let compare = [
        "compare", "--model", MODEL, "--plan", PLAN,
        // Images that calibration, which takes seed 0, did not see.
        "--seed", "1", "-o", OUT,
    ];
    let compare = compare.map(String::from);
    let compare = [&compare[..], extra].concat();
    let compare_secs = timed(repo, &dfa, &compare)?;

    println!(
        "\nbuild {build_secs:.0} s, calibrate {calibrate_secs:.0} s, compare {compare_secs:.0} s"
    );
    println!("look at:");
    for name in ["report.html", "grid.png", "report.json", "plan.json"] {
        if out.join(name).is_file() {
            println!("  {OUT}/{name}");
        }
    }
    Ok(())
}

/// Builds the program and says where it is.
fn build(repo: &Repo) -> Result<PathBuf, Failure> {
    println!("building dfa (the first time takes some minutes) …");
    let args = [
        "build",
        "--release",
        "-p",
        "dfa-native-worker",
        "--bin",
        "dfa",
    ];
    repo::run(&mut repo.cargo(&args))?;
    let name = format!("dfa{}", std::env::consts::EXE_SUFFIX);
    Ok(repo.target_dir.join("release").join(name))
}

/// Runs one subcommand with the terminal passed through; its seconds.
fn timed(repo: &Repo, dfa: &Path, args: &[String]) -> Result<f64, Failure> {
    println!("\n$ dfa {}", args.join(" "));
    let start = Instant::now();
    repo::run(repo.program(dfa).args(args))?;
    Ok(start.elapsed().as_secs_f64())
}
