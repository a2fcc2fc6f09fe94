//! Mounts the page; nothing else.
#![forbid(unsafe_code)]

#[cfg(target_arch = "wasm32")]
fn main() {
    console_error_panic_hook::set_once();
    leptos::mount::mount_to_body(dfa_web_ui::app::App);
}

#[cfg(not(target_arch = "wasm32"))]
#[allow(clippy::print_stderr, reason = "it has nothing else to say")]
fn main() {
    eprintln!("this program runs in a browser: `cargo xtask serve` builds and serves it");
}
