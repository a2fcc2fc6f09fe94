//! δ: the slider that decides the plan again, in the browser, from the recorded losses;
//! the paper's settings; the next value at which a cell changes; and what is exact.

use dfa_core::search::Threshold;
use leptos::prelude::*;

use super::desk::Desk;
use crate::plan::threshold::Direction;
use crate::plan::workbench::Slider;
use crate::words::number;

/// How many steps the slider has, and the keys `[` and `]` take.
pub const SLIDER_STEPS: f64 = 400.0;

/// The bar; for a plan without losses, a sentence.
#[component]
pub fn ThresholdBar() -> impl IntoView {
    let desk = Desk::get();
    let slider = Memo::new(move |_| desk.bench.with(|bench| bench.as_ref()?.slider()));
    view! {
        {move || match slider.get() {
            Some(slider) => view! { <Bar slider/> }.into_any(),
            None => view! {
                <p class="note">
                    "This plan holds no losses, so δ cannot be moved: cells can still be set by \
                     hand. A calibration records losses."
                </p>
            }.into_any(),
        }}
    }
}

#[component]
fn Bar(slider: Slider) -> impl IntoView {
    let desk = Desk::get();
    let threshold = move || desk.shown.with(|shown| shown.as_ref()?.threshold);
    let value = Memo::new(move |_| threshold().map_or(0.0, Threshold::value));
    let slide = move |event: leptos::ev::Event| read(desk, &event_target_value(&event));
    let settle = move |event: leptos::ev::Event| {
        read(desk, &event_target_value(&event));
        desk.settle();
    };
    let end = slider.end.value();
    view! {
        <div class="threshold" role="group" aria-label="Threshold δ">
            <label class="inline threshold-slider">
                <span class="delta">"δ"</span>
                <input
                    type="range"
                    aria-label="Threshold δ"
                    min="0"
                    max=end.to_string()
                    step=(end / SLIDER_STEPS).to_string()
                    prop:value=move || value.get().to_string()
                    on:input=slide
                    on:change=move |_| desk.settle()
                />
            </label>
            <input
                class="threshold-number"
                type="number"
                aria-label="Threshold δ as a number"
                min="0"
                step="any"
                prop:value=move || number(value.get())
                on:change=settle
            />
            <Named value/>
            <Flips/>
            <Reset slider value/>
        </div>
    }
}

fn read(desk: Desk, text: &str) {
    if let Ok(threshold) = text.parse::<Threshold>() {
        desk.set_threshold(threshold);
    } else {
        desk.refuse("δ is a number of at least 0, for example 0.05.");
    }
}

/// The paper's D1 to D6.
#[component]
fn Named(value: Memo<f64>) -> impl IntoView {
    let desk = Desk::get();
    let buttons = Threshold::named().map(|(name, threshold)| {
        let words = format!("δ = {threshold}, the paper's {name}");
        view! {
            <button
                title=words
                aria-pressed=move || (value.get() == threshold.value()).to_string()
                on:click=move |_| {
                    desk.set_threshold(threshold);
                    desk.settle();
                }
            >
                {name}
            </button>
        }
    });
    view! { <span class="segmented" role="group" aria-label="The paper's settings">{buttons.collect_view()}</span> }
}

/// To the nearest δ at which a cell changes.
#[component]
fn Flips() -> impl IntoView {
    let desk = Desk::get();
    view! {
        <span class="segmented" role="group" aria-label="Next cell that changes">
            <button
                aria-label="◂ flip: lower δ to where the next cell changes"
                title="Lower δ to where the next cell changes (Shift+[)"
                on:click=move |_| flip(desk, Direction::Down)
            >"◂ flip"</button>
            <button
                aria-label="flip ▸: raise δ to where the next cell changes"
                title="Raise δ to where the next cell changes (Shift+])"
                on:click=move |_| flip(desk, Direction::Up)
            >"flip ▸"</button>
        </span>
    }
}

/// Moves δ to where the next cell changes.
pub fn flip(desk: Desk, direction: Direction) {
    match desk.ask(|bench| bench.next_threshold(direction)).flatten() {
        Some(threshold) => {
            desk.set_threshold(threshold);
            desk.settle();
            desk.shared
                .announce(format!("δ is {}", number(threshold.value())));
        }
        None => desk.refuse(match direction {
            Direction::Up => "No larger δ changes any cell.",
            Direction::Down => "No smaller δ changes any cell.",
        }),
    }
}

/// Moves δ by a share of the slider.
pub fn nudge(desk: Desk, steps: f64) {
    let wanted = desk.ask(|bench| {
        let (slider, threshold) = (bench.slider()?, bench.threshold()?);
        let step = slider.end.value() / SLIDER_STEPS;
        Threshold::new((threshold.value() + steps * step).clamp(0.0, slider.end.value())).ok()
    });
    match wanted.flatten() {
        Some(threshold) => desk.set_threshold(threshold),
        None => desk.refuse("This plan holds no losses, so δ cannot be moved."),
    }
}

#[component]
fn Reset(slider: Slider, value: Memo<f64>) -> impl IntoView {
    let desk = Desk::get();
    let recorded = slider.recorded;
    view! {
        <button
            disabled=move || value.get() == recorded.value()
            on:click=move |_| {
                desk.set_threshold(recorded);
                desk.settle();
            }
        >
            {format!("Back to δ {}", number(recorded.value()))}
        </button>
    }
}

/// What is exact at this δ. Not a live region: while the slider moves it would chatter.
#[component]
pub fn Exactness() -> impl IntoView {
    let desk = Desk::get();
    let is_estimate = move || {
        desk.shown
            .with(|it| it.as_ref().is_some_and(|it| it.is_estimate))
    };
    let words = move || desk.shown.with(|it| it.as_ref()?.badge());
    view! {
        <span
            class="badge"
            class:warn=is_estimate
            class:good=move || !is_estimate()
            title="The losses of a cell were measured under the choices before it. Up to the first changed cell everything is exact; later cells could differ if the model were calibrated at this δ."
        >
            {words}
        </span>
    }
}
