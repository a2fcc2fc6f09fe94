//! With the feature `cuda`: compiles `src/ops/cuda/elementwise.cu` to PTX. Else nothing.
//!
//! nvcc is that of `CUDA_HOME`, or the one on the path; `cargo xtask cuda` sets it up. For
//! a type check (`DFA_CUDA_CHECK_ONLY`) the PTX is empty and no nvcc is needed.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

const SOURCE: &str = "src/ops/cuda/elementwise.cu";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return Ok(());
    }
    println!("cargo::rerun-if-changed={SOURCE}");
    for name in ["CUDA_COMPUTE_CAP", "CUDA_HOME", "DFA_CUDA_CHECK_ONLY"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let arch = env::var("CUDA_COMPUTE_CAP").unwrap_or_else(|_| "90".into());
    println!("cargo::rustc-env=DFA_CUDA_ARCH={arch}");
    let ptx = PathBuf::from(env::var("OUT_DIR")?).join("elementwise.ptx");
    if env::var_os("DFA_CUDA_CHECK_ONLY").is_some() {
        return Ok(fs::write(ptx, "")?);
    }
    let home = env::var_os("CUDA_HOME").map(|home| PathBuf::from(home).join("bin/nvcc"));
    let mut nvcc = Command::new(home.unwrap_or_else(|| "nvcc".into()));
    nvcc.args(["--ptx", "-O3", "-std=c++17", SOURCE, "-o"])
        .arg(ptx)
        .arg(format!("-arch=compute_{arch}"));
    match nvcc.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("nvcc: {status}; see above").into()),
        Err(error) => Err(format!("cannot start nvcc ({error}); use `cargo xtask cuda`").into()),
    }
}
