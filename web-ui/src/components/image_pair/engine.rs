//! Which path the pixel work takes: the GPU if it gave the right numbers in this browser,
//! the CPU if not or if a person wants it. The page always says which, and why.

use std::cell::RefCell;
use std::rc::Rc;

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::pixels::gpu::{self, Gpu, GpuError};

/// What is known of this browser's GPU.
#[derive(Clone)]
enum Found {
    Probing,
    Gpu(Rc<Gpu>),
    Nothing(GpuError),
}

/// The path that is taken.
#[derive(Clone)]
pub enum PixelPath {
    /// Not known yet.
    Undecided,
    /// By shaders.
    Gpu(Rc<Gpu>),
    /// Without.
    Cpu,
}

thread_local! {
    /// Probing takes a moment, and a browser does not change: one probe for all visits.
    static KNOWN: RefCell<Option<Found>> = const { RefCell::new(None) };
}

/// The choice of a path. A copy is the same.
#[derive(Clone, Copy)]
pub struct Engine {
    found: RwSignal<Found, LocalStorage>,
    prefers_cpu: RwSignal<bool>,
}

impl Engine {
    /// Probes the GPU, unless that was done before.
    pub fn get() -> Self {
        let known = KNOWN.with_borrow(Clone::clone);
        let engine = Self {
            found: RwSignal::new_local(known.clone().unwrap_or(Found::Probing)),
            prefers_cpu: RwSignal::new(false),
        };
        if known.is_none() {
            spawn_local(async move {
                engine.learn(match gpu::probe().await {
                    Ok(gpu) => Found::Gpu(gpu),
                    Err(error) => Found::Nothing(error),
                });
            });
        }
        engine
    }

    fn learn(self, found: Found) {
        KNOWN.set(Some(found.clone()));
        // The page may have been left meanwhile.
        self.found.try_set(found);
    }

    /// The path that is taken now.
    pub fn path(self) -> PixelPath {
        match self.found.get() {
            Found::Nothing(_) => PixelPath::Cpu,
            _ if self.prefers_cpu.get() => PixelPath::Cpu,
            Found::Probing => PixelPath::Undecided,
            Found::Gpu(gpu) => PixelPath::Gpu(gpu),
        }
    }

    /// The GPU, whatever a person prefers.
    pub fn gpu(self) -> Option<Rc<Gpu>> {
        match self.found.get_untracked() {
            Found::Gpu(gpu) => Some(gpu),
            _ => None,
        }
    }

    /// Whether it is known what this browser can do.
    pub fn is_decided(self) -> bool {
        !matches!(self.found.get_untracked(), Found::Probing)
    }

    /// The GPU failed: goes on without it.
    pub fn lose(self, error: GpuError) {
        self.learn(Found::Nothing(error));
    }

    /// Which path is taken and why, in words.
    fn words(self) -> String {
        match (self.found.get(), self.prefers_cpu.get()) {
            (Found::Probing, _) => "trying this browser's GPU…".into(),
            (Found::Gpu(gpu), false) => format!("WebGPU ({})", gpu.name()),
            (Found::Gpu(_), true) => "CPU, because you chose it".into(),
            (Found::Nothing(error), _) => format!("CPU: {error}"),
        }
    }
}

/// Says which path is taken, and lets a person change it.
#[component]
pub fn EngineLine(engine: Engine) -> impl IntoView {
    let has_gpu = move || matches!(engine.found.get(), Found::Gpu(_));
    let kind = move || match engine.path() {
        PixelPath::Undecided => "undecided",
        PixelPath::Gpu(_) => "webgpu",
        PixelPath::Cpu => "cpu",
    };
    view! {
        <p class="engine-line" data-engine=kind>
            <span role="status">"Maps and zoom: " {move || engine.words()}</span>
            <Show when=has_gpu>
                <button
                    class="quiet"
                    aria-pressed=move || engine.prefers_cpu.get().to_string()
                    on:click=move |_| engine.prefers_cpu.update(|prefers| *prefers = !*prefers)
                >"Use the CPU"</button>
            </Show>
        </p>
    }
}
