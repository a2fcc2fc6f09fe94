//! What is searched for (δ, window, loss, mode) and how the run is made (steps, guidance,
//! sampler, size).

use dfa_core::branch::ResidualHalf;
use dfa_core::search::SearchMode;
use dfa_core::window::WindowChoice;
use leptos::prelude::*;

use super::controls::{ChoiceField, NumberField, TextField};
use super::form_state::FormState;
use crate::components::field::FieldGroup;
use crate::forms::calibrate::Field;
use crate::forms::reading::{n_tokens_at, size};
use crate::words::{number, percent};

/// Windows that are one click away.
const WINDOWS: [&str; 3] = ["1/16", "1/8", "1/4"];

#[component]
pub fn SearchSettings(state: FormState) -> impl IntoView {
    let worker = state.worker();
    let thresholds = worker.thresholds.iter();
    let thresholds = thresholds.map(|named| (named.name.clone(), named.value.to_string()));
    let windows = WINDOWS.map(|window| (window.to_owned(), window.to_owned()));
    let losses = worker.losses.iter();
    let losses = losses.map(|name| (name.clone(), loss_words(name).to_owned()));
    let window_hint = Signal::derive(move || window_hint(state));
    view! {
        <section class="card" aria-labelledby="search-title">
            <h2 id="search-title">"Search"</h2>
            <div class="fields">
                <div class="stack">
                    <TextField
                        state
                        field=Field::Threshold
                        label="Threshold δ"
                        hint="A number, or the paper's D1 to D6; more compresses more. Or a goal: macs=50%, speedup=1.5, psnr>=30."
                        input_mode="text"
                        is_required=true
                    />
                    <Presets state field=Field::Threshold label="The paper's thresholds" presets=thresholds.collect()/>
                </div>
                <div class="stack">
                    <TextField
                        state
                        field=Field::Window
                        label="Window"
                        hint=window_hint
                        is_required=true
                    />
                    <Presets state field=Field::Window label="Usual windows" presets=windows.into()/>
                </div>
                <ChoiceField state field=Field::Loss label="Loss" choices=losses.collect()/>
            </div>
            <Mode state/>
        </section>
    }
}

fn loss_words(name: &str) -> &'static str {
    match name {
        "relative" => "relative (the paper's)",
        "relative_signed" => "relative_signed (the reference code's)",
        _ => "",
    }
}

fn window_hint(state: FormState) -> String {
    let text = state.text(Field::Window);
    let choice: Option<WindowChoice> = text.parse().ok();
    let Some((choice, model)) = choice.zip(state.model()) else {
        return "Keys on each side of a query: 128, a share of the tokens like 1/8, or LEFT,RIGHT."
            .into();
    };
    let limits = state.worker().limits;
    // Each frame of a video is a sequence of its own.
    let n_tokens = match size(&state.text(Field::Size), &model, &limits, 1) {
        Ok(size) => n_tokens_at(size, &model) as usize,
        Err(_) => model.n_tokens as usize,
    };
    let window = choice.for_tokens(n_tokens);
    format!(
        "{} keys before and {} after each query, of {n_tokens}: {} of all pairs.",
        window.left,
        window.right,
        percent(window.kept_share(n_tokens))
    )
}

/// Buttons that fill a field in.
#[component]
fn Presets(
    state: FormState,
    field: Field,
    label: &'static str,
    /// What a button is called, and the text that it puts into the field.
    presets: Vec<(String, String)>,
) -> impl IntoView {
    let buttons = presets.into_iter().map(|(name, text)| {
        let own = text.clone();
        let is_set = move || (state.text(field) == own).to_string();
        let title = (name != text).then(|| text.clone());
        view! {
            <button
                type="button"
                title=title
                aria-pressed=is_set
                on:click=move |_| state.set(field, text.clone())
            >
                {name}
            </button>
        }
    });
    view! { <div class="presets" role="group" aria-label=label>{buttons.collect_view()}</div> }
}

/// The mode of the search, with what it is good for and what it costs.
#[component]
fn Mode(state: FormState) -> impl IntoView {
    let problem = Signal::derive(move || state.problem(Field::Search));
    let modes = SearchMode::ALL.into_iter().rev().map(move |mode| {
        let name = mode.as_str();
        view! {
            <label class="inline mode">
                <input
                    type="radio"
                    name="search-mode"
                    value=name
                    prop:checked=move || state.text(Field::Search) == name
                    on:change=move |_| state.set(Field::Search, name.to_owned())
                />
                <span><strong>{name}</strong>" "{mode_words(mode)}</span>
            </label>
        }
    });
    view! {
        <FieldGroup name=Field::Search.as_str() label="What is recorded" problem>
            {modes.collect_view()}
        </FieldGroup>
    }
}

const fn mode_words(mode: SearchMode) -> &'static str {
    match mode {
        SearchMode::RecordAll => {
            "measures every candidate of every cell. It takes longer, and the δ slider of the Plan page then works everywhere."
        }
        SearchMode::Fast => {
            "is a first look in seconds: each layer's own error decides, not the model's. Calibrate with another mode before the plan is used."
        }
        SearchMode::Exact => {
            "stops at the first candidate that passes, as the paper does. It is faster; at another δ some cells are then unknown and stay full."
        }
    }
}

#[component]
pub fn RunSettings(state: FormState) -> impl IntoView {
    let worker = state.worker();
    let most = worker.limits.max_steps;
    let halves = ResidualHalf::ALL.map(|half| (half.as_str().into(), half.as_str().into()));
    let halves = with_default("conditional (the worker's choice)", halves.into());
    let size_hint = Signal::derive(move || size_hint(state));
    let is_video = Memo::new(move |_| state.makes_videos());
    view! {
        <section class="card" aria-labelledby="run-title">
            <h2 id="run-title">"Run"</h2>
            <div class="fields">
                <NumberField
                    state
                    field=Field::Steps
                    label="Denoising steps"
                    hint="A plan holds for this number of steps only. Few steps are quick to try."
                    range=(1, Some(most))
                    is_required=true
                />
                <NumberField
                    state
                    field=Field::GuidanceScale
                    label="Guidance scale"
                    hint=Signal::derive(move || guidance_hint(state).to_owned())
                    range=(0, None)
                    step="any"
                    is_required=true
                />
                <Sampler state/>
                <TextField
                    state
                    field=Field::Size
                    label="Size"
                    hint=size_hint
                    placeholder="the model's own"
                />
                <Show when=move || is_video.get()><VideoFields state/></Show>
                <ChoiceField
                    state
                    field=Field::ResidualHalf
                    label="Residual half of WA-RS + ASC"
                    hint="first does as the reference code; the same for DiT."
                    choices=halves
                />
            </div>
        </section>
    }
}

#[component]
fn VideoFields(state: FormState) -> impl IntoView {
    let most = state.worker().limits.max_frames;
    let own = move || state.model().map(|model| model.defaults);
    let frames = Signal::derive(move || {
        let usual = own().and_then(|own| own.num_frames).unwrap_or(1);
        format!("From 1 to {most}. Empty: {usual}.")
    });
    let fps = Signal::derive(move || {
        let usual = own().and_then(|own| own.fps).unwrap_or(1.0);
        format!(
            "Of the footage that the model imitates. Empty: {}.",
            number(usual)
        )
    });
    view! {
        <NumberField state field=Field::NumFrames label="Frames" hint=frames range=(1, Some(most)) placeholder="the model's own"/>
        <NumberField state field=Field::Fps label="Frames per second" hint=fps range=(0, Some(1000)) step="any" placeholder="the model's own"/>
    }
}

#[component]
fn Sampler(state: FormState) -> impl IntoView {
    let own = Memo::new(move |_| state.model().map(|model| model.sampler).unwrap_or_default());
    move || {
        let words = format!("{} (the model's)", own.get());
        let worker = state.worker();
        let names = worker.samplers.iter();
        let choices = names.map(|name| (name.clone(), name.clone())).collect();
        view! {
            <ChoiceField state field=Field::Sampler label="Sampler" choices=with_default(&words, choices)/>
        }
    }
}

fn with_default(words: &str, choices: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut all = vec![(String::new(), words.to_owned())];
    all.extend(choices);
    all
}

fn guidance_hint(state: FormState) -> &'static str {
    if state.with(|form| form.is_guided()) {
        "Above 1: every image is computed in two branches, which ASC can share."
    } else {
        "1 or less turns guidance off: there is one branch, and nothing for ASC to share."
    }
}

fn size_hint(state: FormState) -> String {
    let Some(model) = state.model() else {
        return String::new();
    };
    let most = state.worker().limits.max_side;
    let multiples = match model.size_multiple {
        1 => String::new(),
        multiple => format!("multiples of {} ", number(multiple.into())),
    };
    format!(
        "WIDTHxHEIGHT, {multiples}up to {most}. Empty: {}.",
        model.size
    )
}
