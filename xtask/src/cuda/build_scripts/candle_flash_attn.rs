//! Build script of our copy of candle-flash-attn: heads of up to 96 values, f16 and bf16,
//! full and windowed, with the CUTLASS headers of CUTLASS_INCLUDE.

use std::env;
use std::path::PathBuf;

use cudaforge::{KernelBuilder, Result};

const KERNELS: [&str; 3] = [
    "kernels/flash_api.cu",
    "kernels/flash_fwd_hdim96_fp16_sm80.cu",
    "kernels/flash_fwd_hdim96_bf16_sm80.cu",
];

const ARGUMENTS: [&str; 14] = [
    "-std=c++17",
    "-O3",
    "-U__CUDA_NO_HALF_OPERATORS__",
    "-U__CUDA_NO_HALF_CONVERSIONS__",
    "-U__CUDA_NO_HALF2_OPERATORS__",
    "-U__CUDA_NO_BFLOAT16_CONVERSIONS__",
    "--expt-relaxed-constexpr",
    "--expt-extended-lambda",
    "--use_fast_math",
    "-DFLASHATTENTION_DISABLE_ALIBI",
    "-DFLASHATTENTION_DISABLE_SOFTCAP",
    "-DFLASHATTENTION_DISABLE_DROPOUT",
    "-Xcompiler",
    "-fPIC",
];

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=kernels");
    println!("cargo::rerun-if-env-changed=DFA_CUDA_CHECK_ONLY");
    println!("cargo::rerun-if-env-changed=CUDA_COMPUTE_CAP");
    if env::var_os("DFA_CUDA_CHECK_ONLY").is_some() {
        return Ok(());
    }
    let out_dir = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    let cutlass = env::var("CUTLASS_INCLUDE").expect("`cargo xtask cuda` sets CUTLASS_INCLUDE");
    KernelBuilder::new()
        .source_files(KERNELS)
        .out_dir(&out_dir)
        .include_path(cutlass)
        .args(ARGUMENTS)
        .build_lib(out_dir.join("libflashattention.a"))?;
    println!("cargo::rustc-link-search={}", out_dir.display());
    println!("cargo::rustc-link-lib=flashattention");
    println!("cargo::rustc-link-lib=dylib=cudart");
    println!("cargo::rustc-link-lib=dylib=stdc++");
    Ok(())
}
