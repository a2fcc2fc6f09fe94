//! The page: a compression plan seen, understood, changed and compared, in the browser.
//!
//! Two halves. What can be said with values alone is ordinary Rust, tested natively:
//!
//! - [`words`]: how numbers are said.
//! - [`link`]: what the address of the page says after its `#`.
//! - [`plan`]: an open plan, what is shown of it, and how it is changed.
//! - [`figure`]: a plan as a picture or a table for a paper.
//! - [`forms`]: what is typed into a form, and whether a worker could take it.
//! - [`job`]: a job as it goes, in words, and as a command to repeat it.
//! - [`generation`]: making pictures: what is asked for, and what came of it.
//! - [`pixels`]: two pictures held against each other, on the GPU or without one.
//!
//! What draws exists only in a browser (`wasm32`): `app` is the frame, `pages` what is in
//! it, `components` what they share, `state` what they know together, `presence` whether
//! the worker is there, `watching` a job that is followed, and `api` the only place that
//! knows the worker's URLs.
//!
//! Everything that decides (Algorithm 1, costs, error metrics) is [`dfa_core`]'s: the very
//! code that the worker runs.
#![deny(unsafe_code)]
#![cfg_attr(
    target_arch = "wasm32",
    allow(
        clippy::needless_pass_by_value,
        reason = "components own their properties"
    )
)]

pub mod figure;
pub mod forms;
pub mod generation;
pub mod job;
pub mod link;
pub mod pixels;
pub mod plan;
pub mod words;

#[cfg(target_arch = "wasm32")]
pub mod api;
#[cfg(target_arch = "wasm32")]
pub mod app;
#[cfg(target_arch = "wasm32")]
pub mod components;
#[cfg(target_arch = "wasm32")]
pub mod pages;
#[cfg(target_arch = "wasm32")]
pub mod parts;
#[cfg(target_arch = "wasm32")]
pub mod presence;
#[cfg(target_arch = "wasm32")]
pub mod state;
#[cfg(target_arch = "wasm32")]
pub mod watching;
