//! Keeps the relocations in the page's WebAssembly: by them `cargo xtask web` takes the parts
//! out that are loaded only when they are needed.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        println!("cargo:rustc-link-arg-bins=--emit-relocs");
    }
}
