//! Placeholder: the browser page comes with a later change.
//!
//! Until then a run is looked at in the report that `cargo xtask demo` writes to
//! `out/demo/report.html`. This crate holds the place of the page in the workspace and
//! proves on every check that what the page will need of `dfa-core`, the wire types
//! included, compiles for the browser. It draws nothing and serves nothing.
#![forbid(unsafe_code)]

/// What the page and the worker will say to each other.
pub use dfa_core::wire;

/// What to tell somebody who looks for the page today.
pub const NOT_BUILT_YET: &str =
    "The page is not built yet. Run `cargo xtask demo` and open out/demo/report.html.";

#[cfg(test)]
mod tests {
    use super::NOT_BUILT_YET;

    #[test]
    fn the_placeholder_page_says_that_it_is_one() {
        let page = include_str!("../index.html");
        for expected in ["not built yet", "cargo xtask demo", "out/demo/report.html"] {
            assert!(page.contains(expected), "index.html lacks {expected:?}");
            assert!(
                NOT_BUILT_YET.contains(expected),
                "the text lacks {expected:?}"
            );
        }
    }
}
