//! Modes, zoom, gain and blinking, as buttons.

use std::time::Duration;

use leptos::prelude::*;

use super::{Looking, prefers_less_motion, set_mode};
use crate::pixels::view::{Command, Gain, Mode};
use crate::state::Shared;
use crate::words;

/// How long each half of a blinking pair is seen: slower than three flashes a second.
const BLINK: Duration = Duration::from_millis(700);

/// The buttons.
#[component]
pub fn Toolbar(looking: Looking) -> impl IntoView {
    let shared = Shared::get();
    let mode = Memo::new(move |_| looking.view.with(|view| view.mode));
    let modes = Mode::ALL.into_iter().enumerate().map(|(idx, of)| {
        view! {
            <button
                aria-pressed=move || (mode.get() == of).to_string()
                title=format!("{} ({})", of.title(), idx + 1)
                on:click=move |_| set_mode(shared, of)
            >{of.title()}</button>
        }
    });
    view! {
        <div class="row pair-toolbar">
            <div class="row tight" role="group" aria-label="How the pictures are shown">
                {modes.collect_view()}
            </div>
            <ZoomButtons looking/>
            {move || match mode.get() {
                Mode::Wipe => view! { <WipeSlider looking/> }.into_any(),
                Mode::Blink => view! { <BlinkButtons looking/> }.into_any(),
                Mode::Difference => view! { <GainButtons looking/> }.into_any(),
                Mode::SideBySide | Mode::Ssim => ().into_any(),
            }}
        </div>
    }
}

#[component]
fn ZoomButtons(looking: Looking) -> impl IntoView {
    let obey = move |command| {
        move |_| {
            let pane = looking.pane.get_untracked();
            looking.view.update(|view| view.obey(command, pane));
        }
    };
    let scale = move || {
        let scale = looking.view.with(|view| view.scale(looking.pane.get()));
        words::percent(scale)
    };
    view! {
        <div class="row tight" role="group" aria-label="Zoom">
            <button title="Farther (−)" aria-label="Farther" on:click=obey(Command::ZoomOut)>"−"</button>
            <output class="zoom" aria-label="Scale">{scale}</output>
            <button title="Nearer (+)" aria-label="Nearer" on:click=obey(Command::ZoomIn)>"+"</button>
            <button title="The whole picture (0)" on:click=obey(Command::Fit)>"Fit"</button>
            <button title="One pixel of the picture for each of the screen" on:click=obey(Command::ActualSize)>"1 : 1"</button>
        </div>
    }
}

#[component]
fn WipeSlider(looking: Looking) -> impl IntoView {
    let per_mille = move || (looking.view.with(|view| view.wipe()) * 1000.0).round();
    view! {
        <label class="inline">
            "Line"
            <input
                type="range" min="0" max="1000" step="5"
                prop:value=per_mille
                aria-valuetext=move || format!("{:.0} % raw", per_mille() / 10.0)
                on:input=move |event| {
                    if let Ok(value) = event_target_value(&event).parse::<f64>() {
                        looking.view.update(|view| view.wipe_to(value / 1000.0));
                    }
                }
            />
        </label>
    }
}

#[component]
fn GainButtons(looking: Looking) -> impl IntoView {
    let gain = move || looking.view.with(|view| view.gain);
    let buttons = Gain::ALL.map(|of| {
        view! {
            <button
                aria-pressed=move || (gain() == of).to_string()
                on:click=move |_| looking.view.update(|view| view.gain = of)
            >{format!("× {}", of.factor())}</button>
        }
    });
    view! {
        <div class="row tight" role="group" aria-label="How many times the difference is enlarged">
            {buttons.collect_view()}
        </div>
    }
}

/// Blinks only while this stands on the page, and waits for a person who asked the system
/// for less motion.
#[component]
fn BlinkButtons(looking: Looking) -> impl IntoView {
    let runs = RwSignal::new(!prefers_less_motion());
    let shown = looking.blink_shows_compressed;
    let timer = set_interval_with_handle(
        move || {
            if runs.try_get_untracked() == Some(true) {
                shown.update(|compressed| *compressed = !*compressed);
            }
        },
        BLINK,
    )
    .ok();
    on_cleanup(move || {
        if let Some(timer) = timer {
            timer.clear();
        }
    });
    let state = move || {
        if runs.get() {
            "Stop blinking"
        } else {
            "Blink by itself"
        }
    };
    view! {
        <div class="row tight" role="group" aria-label="Blinking">
            <button on:click=move |_| runs.update(|runs| *runs = !*runs)>{state}</button>
            <button on:click=move |_| {
                runs.set(false);
                shown.update(|compressed| *compressed = !*compressed);
            }>"Show the other"</button>
        </div>
    }
}
