//! The parts of the page that are fetched when they are first opened: all pages but the
//! plan's, so that a first visit stays small.
//!
//! `cargo xtask web` takes each function marked here, and what only it needs, out of the
//! page's WebAssembly.
#![allow(
    unsafe_code,
    reason = "written by the macro: the call into a part that is loaded later"
)]

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use leptos::prelude::*;
use leptos::task::spawn_local;
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

type Fetching = Pin<Box<dyn Future<Output = Result<(), SplitLoaderError>>>>;

/// A page that is a part of its own.
#[derive(Clone, Copy)]
pub struct Part {
    /// Fetches it; done at once if it is there.
    fetch: fn() -> Fetching,
    /// Draws it; `None` if it is not there.
    draw: fn() -> Option<AnyView>,
}

/// The page Calibrate.
pub const CALIBRATE: Part = Part {
    fetch: || Box::pin(fetch_calibrate()),
    draw: || drawn(calibrate()),
};

/// The page Generate.
pub const GENERATE: Part = Part {
    fetch: || Box::pin(fetch_generate()),
    draw: || drawn(generate()),
};

/// The page Jobs.
pub const JOBS: Part = Part {
    fetch: || Box::pin(fetch_jobs()),
    draw: || drawn(jobs()),
};

/// How far a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    OnItsWay,
    Here,
    Missing,
}

/// A page, fetched if it is not there yet.
#[component]
pub fn PartOfPage(
    /// Which page.
    part: Part,
) -> impl IntoView {
    let state = RwSignal::new(State::OnItsWay);
    let fetch = move || {
        state.set(State::OnItsWay);
        spawn_local(async move {
            let found = match (part.fetch)().await {
                Ok(()) => State::Here,
                Err(_) => State::Missing,
            };
            // The person may have gone elsewhere meanwhile.
            state.try_set(found);
        });
    };
    fetch();
    move || match state.get() {
        State::OnItsWay => {
            view! { <p class="note" role="status">"Loading this part of the page…"</p> }.into_any()
        }
        State::Here => (part.draw)().unwrap_or_else(|| missing(fetch)),
        State::Missing => missing(fetch),
    }
}

fn missing(fetch: impl Fn() + Send + 'static) -> AnyView {
    view! {
        <div class="note bad stack" role="alert">
            <p>
                "This part of the page cannot be loaded: whoever serves the page does not answer. \
                 What is open stays open."
            </p>
            <p><button on:click=move |_| fetch()>"Try again"</button></p>
        </div>
    }
    .into_any()
}

/// What a part draws, if it is there: then its function needs no waiting. Drawn at once and
/// not later, so that the page belongs to whoever asked for it and goes with it.
fn drawn(page: impl Future<Output = Result<AnyView, PartMissing>>) -> Option<AnyView> {
    let polled = pin!(page).poll(&mut Context::from_waker(Waker::noop()));
    match polled {
        Poll::Ready(Ok(view)) => Some(view),
        Poll::Ready(Err(PartMissing)) | Poll::Pending => None,
    }
}

#[wasm_split(
    calibrate,
    wasm_split_path = ::leptos::wasm_split,
    preload(fetch_calibrate),
    fallible
)]
fn calibrate() -> Result<AnyView, PartMissing> {
    Ok(view! { <CalibratePage/> }.into_any())
}

#[wasm_split(
    generate,
    wasm_split_path = ::leptos::wasm_split,
    preload(fetch_generate),
    fallible
)]
fn generate() -> Result<AnyView, PartMissing> {
    Ok(view! { <GeneratePage/> }.into_any())
}

#[wasm_split(jobs, wasm_split_path = ::leptos::wasm_split, preload(fetch_jobs), fallible)]
fn jobs() -> Result<AnyView, PartMissing> {
    Ok(view! { <JobsPage/> }.into_any())
}
