//! How long a change of δ takes, from the moment it is set to the repainted grid, measured
//! in place: `#plan?bench=slide` moves δ 40 times by one step of the slider, `bench=far` all
//! over it, and writes the median in milliseconds to `data-bench` of the body (and the slowest to `data-bench-max`).
//!
//! A move is made at the beginning of a frame. What a browser does then (effects, style,
//! layout, paint) it does before the next task, and that task reads the clock.

use std::time::Duration;

use dfa_core::search::Threshold;
use leptos::prelude::*;

use super::desk::Desk;
use super::threshold_bar::SLIDER_STEPS;
use crate::words::number;

const N_MOVES: usize = 40;
/// What a page needs to come to rest after a move.
const PAUSE: Duration = Duration::from_millis(120);

/// Waits for an open plan and measures, if the address asks for it.
pub fn run_if_asked(desk: Desk) {
    let asked = desk.shared.link.with_untracked(|link| {
        [Moves::Slide, Moves::Far]
            .into_iter()
            .find(|moves| link.get("bench") == Some(moves.as_str()))
    });
    let Some(moves) = asked else {
        return;
    };
    Effect::new(move |has_begun: Option<bool>| {
        let is_ready = desk.bench.with(|bench| {
            let bench = bench.as_ref();
            bench.is_some_and(|bench| bench.slider().is_some())
        });
        if is_ready && has_begun != Some(true) {
            set_timeout(
                move || next(desk, moves, Vec::new()),
                Duration::from_secs(1),
            );
            return true;
        }
        has_begun.unwrap_or(false)
    });
}

/// How δ moves.
#[derive(Clone, Copy)]
enum Moves {
    /// As the slider is drawn, one of its steps after another.
    Slide,
    /// All over the slider, far from one another, so that most cells change.
    Far,
}

impl Moves {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Slide => "slide",
            Self::Far => "far",
        }
    }

    /// Where the slider stands at a move, as a share of it.
    fn share(self, idx: usize) -> f64 {
        match self {
            Self::Slide => 0.25 + idx as f64 / SLIDER_STEPS,
            Self::Far => (idx as f64 * 0.381_966 + 0.1) % 1.0,
        }
    }
}

fn threshold_of(desk: Desk, share: f64) -> Option<Threshold> {
    let end = desk.ask(|bench| bench.slider().map(|slider| slider.end.value()))??;
    Threshold::new(share * end).ok()
}

fn next(desk: Desk, moves: Moves, mut found: Vec<f64>) {
    let threshold = threshold_of(desk, moves.share(found.len()));
    let (true, Some(threshold)) = (found.len() < N_MOVES, threshold) else {
        report(found);
        return;
    };
    request_animation_frame(move || {
        let start = now();
        desk.set_threshold(threshold);
        set_timeout(
            move || {
                found.push(now() - start);
                set_timeout(move || next(desk, moves, found), PAUSE);
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
