//! A measurement for whoever asks for it by name: with `bench=5` in the address, a button
//! measures the difference and SSIM maps of a 2048 × 2048 pair five times, with and
//! without the GPU.
//!
//! The outcome is text on the page and in `data-result` of the element `#pixel-bench`,
//! JSON: medians in milliseconds, and how far the two paths are apart.

use std::cell::Cell;
use std::rc::Rc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use serde_json::{Value, json};

use crate::components::image_pair::engine::Engine;
use crate::components::image_pair::scan::maps_of;
use crate::pixels::PicturePair;
use crate::pixels::cpu::{self, PairMaps};
use crate::pixels::gpu::probe::largest_distance;
use crate::pixels::gpu::{Gpu, GpuError, GpuPair};
use crate::pixels::pace::{now_ms, pause};

const SIDE: usize = 2048;

/// The button and what it found. Each path runs `n_runs` times; the middle one counts.
#[component]
pub fn Bench(n_runs: usize) -> impl IntoView {
    let engine = Engine::get();
    let result = RwSignal::new(String::new());
    let is_running = RwSignal::new(false);
    let run = move |_| {
        is_running.set(true);
        spawn_local(async move {
            while !engine.is_decided() {
                pause(50).await;
            }
            let found = measure(engine.gpu(), n_runs).await;
            result.try_set(found.to_string());
            is_running.try_set(false);
        });
    };
    view! {
        <section class="card stack" aria-label="Measurement of the pixel work">
            <button id="pixel-bench-run" disabled=is_running on:click=run>"Measure 2048 × 2048"</button>
            <pre id="pixel-bench" role="status" data-result=move || result.get()>
                {move || if is_running.get() { "measuring…".into() } else { result.get() }}
            </pre>
        </section>
    }
}

async fn measure(gpu: Option<Rc<Gpu>>, n_runs: usize) -> Value {
    let Ok(pair) = PicturePair::sample(SIDE, SIDE) else {
        return json!({ "error": "no sample" });
    };
    let mut at_once = Vec::new();
    let mut in_turns = Vec::new();
    let mut expected = None;
    for _ in 0..n_runs {
        // The page would not show that it works otherwise.
        pause(20).await;
        let start = now_ms();
        expected = cpu::compare(pair.clone()).ok();
        at_once.push(now_ms() - start);
        let start = now_ms();
        let _ = maps_of(pair.clone(), &Cell::new(true)).await;
        in_turns.push(now_ms() - start);
    }
    let gpu = match (gpu, expected) {
        (Some(gpu), Some(expected)) => match measure_gpu(&gpu, &pair, &expected, n_runs).await {
            Ok(found) => found,
            Err(error) => json!({ "error": error.to_string() }),
        },
        _ => json!(null),
    };
    json!({
        "side": SIDE,
        "runs": n_runs,
        "cpu_ms": median(at_once),
        "cpu_in_turns_ms": median(in_turns),
        "webgpu": gpu,
    })
}

/// From the pictures in memory to both maps in memory.
async fn measure_gpu(
    gpu: &Rc<Gpu>,
    pair: &PicturePair,
    expected: &PairMaps,
    n_runs: usize,
) -> Result<Value, GpuError> {
    let mut times = Vec::new();
    let mut apart = [0.0f32; 2];
    // The first run also warms up and is not counted.
    for _ in 0..=n_runs {
        let start = now_ms();
        let made = GpuPair::new(Rc::clone(gpu), pair)?;
        let (difference, ssim) = (made.difference().await?, made.ssim().await?);
        times.push(now_ms() - start);
        apart = [
            largest_distance(&expected.difference, &difference),
            largest_distance(&expected.ssim, &ssim),
        ];
    }
    Ok(json!({
        "adapter": gpu.name(),
        "ms": median(times.split_off(1)),
        "difference_apart": apart[0],
        "ssim_apart": apart[1],
    }))
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}
