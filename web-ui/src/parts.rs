//! The parts of the page that are fetched when they are first asked for: all pages but the
//! plan's. A first visit stays small, and a page without a worker never fetches them.
//!
//! `cargo xtask web` takes each function marked here, and what only it needs, out of the
//! page's WebAssembly.
#![allow(
    unsafe_code,
    reason = "written by the macro: the call into a part that is loaded later"
)]

use leptos::prelude::*;
use leptos::wasm_split::{SplitLoaderError, wasm_split};

use crate::link::Page;
use crate::pages::calibrate::CalibratePage;
use crate::pages::generate::GeneratePage;
use crate::pages::jobs::JobsPage;
use crate::pages::plan::PlanPage;

/// A part was not fetched: the network failed, or the worker is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartMissing;

impl From<SplitLoaderError> for PartMissing {
    fn from(_: SplitLoaderError) -> Self {
        Self
    }
}

/// A page, fetched if it is not there yet.
#[component]
pub fn PartOfPage(
    /// Which page.
    page: Page,
) -> impl IntoView {
    let attempt = RwSignal::new(0);
    view! {
        <Suspense fallback=|| view! { <p class="note" role="status">"Loading this part of the page…"</p> }>
            {move || {
                attempt.track();
                Suspend::new(async move {
                    fetched(page).await.unwrap_or_else(|PartMissing| missing(attempt))
                })
            }}
        </Suspense>
    }
}

async fn fetched(page: Page) -> Result<AnyView, PartMissing> {
    match page {
        Page::Plan => Ok(view! { <PlanPage/> }.into_any()),
        Page::Calibrate => calibrate().await,
        Page::Generate => generate().await,
        Page::Jobs => jobs().await,
    }
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
