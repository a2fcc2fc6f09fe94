//! How long a change of δ takes, from the moment it is set to the repainted grid, measured
//! in place: `#plan?bench=delta` moves δ 40 times and writes the median in milliseconds to
//! `data-bench` of the body (and the slowest to `data-bench-max`).
//!
//! A move is made at the beginning of a frame. What a browser does then (effects, style,
//! layout, paint) it does before the next task, and that task reads the clock.

use std::time::Duration;

use dfa_core::search::Threshold;
use leptos::prelude::*;

use super::desk::Desk;
use crate::words::number;

const N_MOVES: usize = 40;
/// What a page needs to come to rest after a move.
const PAUSE: Duration = Duration::from_millis(120);

/// Waits for an open plan and measures, if the address asks for it.
pub fn run_if_asked(desk: Desk) {
    let is_asked = desk
        .shared
        .link
        .with_untracked(|link| link.get("bench") == Some("delta"));
    if !is_asked {
        return;
    }
    Effect::new(move |has_begun: Option<bool>| {
        let is_ready = desk.bench.with(|bench| {
            let bench = bench.as_ref();
            bench.is_some_and(|bench| bench.slider().is_some())
        });
        if is_ready && has_begun != Some(true) {
            set_timeout(move || next(desk, Vec::new()), Duration::from_secs(1));
            return true;
        }
        has_begun.unwrap_or(false)
    });
}

/// Values all over the slider, far from one another, so that many cells change.
fn threshold_of(desk: Desk, idx: usize) -> Option<Threshold> {
    let end = desk.ask(|bench| bench.slider().map(|slider| slider.end.value()))??;
    let share = (idx as f64 * 0.381_966 + 0.1) % 1.0;
    Threshold::new(share * end).ok()
}

fn next(desk: Desk, mut found: Vec<f64>) {
    let (true, Some(threshold)) = (found.len() < N_MOVES, threshold_of(desk, found.len())) else {
        report(found);
        return;
    };
    request_animation_frame(move || {
        let start = now();
        desk.set_threshold(threshold);
        set_timeout(
            move || {
                found.push(now() - start);
                set_timeout(move || next(desk, found), PAUSE);
            },
            Duration::ZERO,
        );
    });
}

fn now() -> f64 {
    window().performance().map_or(0.0, |clock| clock.now())
}

fn report(mut found: Vec<f64>) {
    found.sort_by(f64::total_cmp);
    let (Some(body), Some(&median)) = (document().body(), found.get(found.len() / 2)) else {
        return;
    };
    let slowest = found.last().copied().unwrap_or(median);
    // A browser that refuses leaves whoever waits for it waiting.
    let _ = body.set_attribute("data-bench-max", &number(slowest));
    let _ = body.set_attribute("data-bench", &number(median));
}
