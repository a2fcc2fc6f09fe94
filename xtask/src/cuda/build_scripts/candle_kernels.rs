//! Build script of our copy of candle-kernels: candle's kernels as PTX, without those of
//! quantised language models, whose constant is empty and whose functions end the program.

use std::path::PathBuf;
use std::{env, fs};

use cudaforge::{KernelBuilder, Result};

const MODULES: [&str; 10] = [
    "AFFINE", "BINARY", "CAST", "CONV", "FILL", "INDEXING", "REDUCE", "SORT", "TERNARY", "UNARY",
];

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rerun-if-env-changed=DFA_CUDA_CHECK_ONLY");
    println!("cargo::rerun-if-env-changed=CUDA_COMPUTE_CAP");
    let out_dir = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    let constants = out_dir.join("ptx.rs");
    let empty = |name: &str| format!("pub const {name}: &str = \"\";\n");
    if env::var_os("DFA_CUDA_CHECK_ONLY").is_some() {
        let text: String = MODULES.iter().chain(&["QUANTIZED"]).map(|name| empty(name)).collect();
        return Ok(fs::write(constants, text)?);
    }
    let arguments = ["--expt-relaxed-constexpr", "-std=c++17", "-O3"];
    let files = MODULES.map(|name| format!("src/{}.cu", name.to_lowercase()));
    let ptx = KernelBuilder::new().source_files(files).args(arguments).build_ptx()?;
    ptx.write(&constants)?;
    let text = fs::read_to_string(&constants)? + &empty("QUANTIZED");
    fs::write(&constants, text)?;
    KernelBuilder::new()
        .source_files(["src/absent_kernels.cu"])
        .args(arguments)
        .args(["-Xcompiler", "-fPIC"])
        .build_lib(out_dir.join("libmoe.a"))?;
    println!("cargo::rustc-link-search={}", out_dir.display());
    println!("cargo::rustc-link-lib=moe");
    println!("cargo::rustc-link-lib=dylib=cudart");
    println!("cargo::rustc-link-lib=stdc++");
    Ok(())
}
