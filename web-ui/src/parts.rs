//! The parts of the page that are fetched when they are first asked for: all pages but the
//! plan's. A first visit stays small, and a page without a worker never fetches them.
//!
//! `cargo xtask web` takes each function marked here, and what only it needs, out of the
//! page's WebAssembly.
#![allow(
    unsafe_code,
    reason = "written by the macro: the call into a part that is loaded later"
)]

use std::pin::Pin;

use leptos::prelude::*;
use leptos::wasm_split::{SplitLoaderError, wasm_split};

use crate::pages::calibrate::CalibratePage;
use crate::pages::generate::GeneratePage;
use crate::pages::jobs::JobsPage;

/// A part was not fetched: the network failed, or the worker is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartMissing;

impl From<SplitLoaderError> for PartMissing {
    fn from(_: SplitLoaderError) -> Self {
        Self
    }
}

/// A page on its way.
pub type Fetching = Pin<Box<dyn Future<Output = Result<AnyView, PartMissing>> + Send>>;

/// A page, fetched if it is not there yet.
#[component]
pub fn PartOfPage(
    /// Which page: one of the functions below.
    fetch: fn() -> Fetching,
) -> impl IntoView {
    let attempt = RwSignal::new(0);
    view! {
        <Suspense fallback=|| view! { <p class="note" role="status">"Loading this part of the page…"</p> }>
            {move || {
                attempt.track();
                Suspend::new(async move {
                    fetch().await.unwrap_or_else(|PartMissing| missing(attempt))
                })
            }}
        </Suspense>
    }
}

/// The page Calibrate.
pub fn calibrate_part() -> Fetching {
    Box::pin(calibrate())
}

/// The page Generate.
pub fn generate_part() -> Fetching {
    Box::pin(generate())
}

/// The page Jobs.
pub fn jobs_part() -> Fetching {
    Box::pin(jobs())
}

fn missing(attempt: RwSignal<u32>) -> AnyView {
    view! {
        <div class="note bad stack" role="alert">
            <p>
                "This part of the page cannot be loaded: whoever serves the page does not answer. \
                 What is open stays open."
            </p>
            <p><button on:click=move |_| attempt.update(|attempt| *attempt += 1)>"Try again"</button></p>
        </div>
    }
    .into_any()
}

#[wasm_split(calibrate, wasm_split_path = ::leptos::wasm_split, fallible)]
fn calibrate() -> Result<AnyView, PartMissing> {
    Ok(view! { <CalibratePage/> }.into_any())
}

#[wasm_split(generate, wasm_split_path = ::leptos::wasm_split, fallible)]
fn generate() -> Result<AnyView, PartMissing> {
    Ok(view! { <GeneratePage/> }.into_any())
}

#[wasm_split(jobs, wasm_split_path = ::leptos::wasm_split, fallible)]
fn jobs() -> Result<AnyView, PartMissing> {
    Ok(view! { <JobsPage/> }.into_any())
}
