//! Says when the worker must be compiled again: an optimised worker carries the page's
//! files in itself. One that is not optimised reads them when they are asked for.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo:rerun-if-changed=../web-ui/dist");
    }
}
