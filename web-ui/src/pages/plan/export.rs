//! Where the plan shown can go: the worker's library, a file in one of several forms, an
//! address. Whatever cannot be done is said in a sentence.

use dfa_core::wire::csv::export_csv;
use dfa_core::wire::xdit::export_xdit;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

use super::desk::{Desk, Source};
use crate::api;
use crate::api::plans::PlanForm;
use crate::components::download::{save_png, save_text};
use crate::figure::latex::{Row, table};
use crate::figure::svg::{Figure, svg};
use crate::link::{Link, Page};
use crate::plan::share;
use crate::plan::totals::{Question, totals};
use crate::plan::workbench::Workbench;
use crate::words::number;

/// Pixels of a PNG for each unit of the drawing.
const PNG_SCALE: f64 = 2.0;

/// The forms of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Csv,
    Xdit,
    Svg,
    Png,
    Latex,
}

impl Form {
    const ALL: [Self; 6] = [
        Self::Json,
        Self::Csv,
        Self::Xdit,
        Self::Svg,
        Self::Png,
        Self::Latex,
    ];

    const fn title(self) -> &'static str {
        match self {
            Self::Json => "Plan file (JSON)",
            Self::Csv => "Table (CSV)",
            Self::Xdit => "xDiT (JSON)",
            Self::Svg => "Figure (SVG)",
            Self::Png => "Figure (PNG)",
            Self::Latex => "Table for a paper (LaTeX)",
        }
    }

    const fn ending(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Xdit => "xdit.json",
            Self::Svg => "svg",
            Self::Png => "png",
            Self::Latex => "tex",
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::Json | Self::Xdit => "application/json",
            Self::Csv => "text/csv",
            Self::Svg | Self::Png => "image/svg+xml",
            Self::Latex => "text/x-tex",
        }
    }
}

/// Save, export, link.
#[component]
pub fn Actions() -> impl IntoView {
    let desk = Desk::get();
    let is_open = RwSignal::new(false);
    let has_worker = move || desk.shared.capabilities().is_some();
    let forms = Form::ALL.map(|form| {
        view! {
            <button on:click=move |_| {
                is_open.set(false);
                export(desk, form);
            }>{form.title()}</button>
        }
    });
    view! {
        <Show when=has_worker>
            <button title="Keep the plan shown in the worker's library" on:click=move |_| save(desk)>
                "Save to the worker"
            </button>
            <button title="Save the plan shown and make pictures with it" on:click=move |_| generate(desk)>
                "Generate with it"
            </button>
        </Show>
        <span class="menu" on:keydown=move |event| {
            if event.key() == "Escape" {
                is_open.set(false);
            }
        }>
            <button
                aria-expanded=move || is_open.get().to_string()
                on:click=move |_| is_open.update(|is| *is = !*is)
            >"Export ▾"</button>
            <span class="menu-items card" role="group" aria-label="Forms" hidden=move || !is_open.get()>
                {forms.collect_view()}
            </span>
        </span>
        <button title="Copy an address that shows what is shown here" on:click=move |_| copy_link(desk)>
            "Copy link"
        </button>
    }
}

fn export(desk: Desk, form: Form) {
    let name = desk.ask(|bench| bench.file_name(form.ending()));
    let (Some(name), Some(text)) = (name, text_of(desk, form)) else {
        return;
    };
    let text = match text {
        Ok(text) => text,
        Err(words) => return desk.refuse(words),
    };
    if form == Form::Json {
        desk.mark_saved();
    }
    spawn_local(async move {
        let saved = match form {
            Form::Png => save_png(&name, &text, PNG_SCALE).await,
            _ => save_text(&name, form.media_type(), &text),
        };
        match saved {
            Ok(()) => desk.say(format!("{name} is saved by the browser.")),
            Err(error) => desk.refuse(format!("The browser cannot save {name}: {}.", said(&error))),
        }
    });
}

fn said(error: &JsValue) -> String {
    let message = js_sys::Reflect::get(error, &"message".into()).ok();
    let message = message.and_then(|message| message.as_string());
    message
        .or_else(|| error.as_string())
        .unwrap_or_else(|| "it does not say why".to_owned())
}

/// The plan shown in a form, or why there is none.
fn text_of(desk: Desk, form: Form) -> Option<Result<String, String>> {
    let shown = desk.shown.get_untracked()?;
    desk.ask(|bench| match form {
        Form::Json => bench
            .to_json()
            .map_err(|error| format!("This cannot be saved: {error}.")),
        Form::Csv => Ok(export_csv(&bench.to_checked())),
        Form::Xdit => export_xdit(&shown.plan)
            .map_err(|error| format!("This cannot be written for xDiT: {error}.")),
        Form::Svg | Form::Png => Ok(figure(desk, bench)),
        Form::Latex => {
            let totals = totals(bench.opened(), &shown.plan, Question::default());
            let row = Row {
                name: &bench.opened().name,
                threshold: shown.threshold.map(dfa_core::search::Threshold::value),
                totals: &totals,
            };
            Ok(table(
                &[row],
                "Shares of strategies and totals of the compression plan.",
            ))
        }
    })
}

fn figure(desk: Desk, bench: &Workbench) -> String {
    let Some(drawn) = desk.drawn.get_untracked() else {
        return String::new();
    };
    let threshold = bench.threshold();
    let delta = threshold.map_or(String::new(), |it| format!(" · δ = {}", number(it.value())));
    let title = format!("{}: {}", bench.opened().name, drawn.legend.title);
    svg(&Figure {
        title: &title,
        subtitle: &format!("{}{delta}", bench.shape()),
        picture: &drawn.picture,
        legend: &drawn.legend,
    })
}

/// Brings the plan shown into the worker's library; what is open is then the plan there.
fn save(desk: Desk) {
    keep(desk, |desk, id| {
        desk.say("The plan is in the worker's library.");
        desk.source.set(Source::Named(id.clone()));
        desk.go_to(&id);
    });
}

/// Saves the plan and goes on to the page that makes pictures.
fn generate(desk: Desk) {
    keep(desk, |desk, id| {
        desk.shared
            .go(&Link::to(Page::Generate).with("plan", Some(&id)));
    });
}

fn keep(desk: Desk, then: impl FnOnce(Desk, String) + 'static) {
    let Some(Ok(text)) = text_of(desk, Form::Json) else {
        return desk.refuse("There is no plan to save.");
    };
    spawn_local(async move {
        match api::plans::import(&text, PlanForm::File, None).await {
            Ok(import) => {
                desk.mark_saved();
                then(desk, import.plan.id.to_string());
            }
            Err(error) => desk.refuse(format!("The worker did not keep the plan: {error}.")),
        }
    });
}

/// An address that shows what is shown here, also to people without this file.
fn link(desk: Desk) -> Result<Link, String> {
    let link = desk.shared.link.get_untracked();
    let is_named = matches!(desk.source.get_untracked(), Source::Named(_));
    let shown = desk.shown.get_untracked();
    let Some(shown) = shown.filter(|shown| !is_named || shown.n_edited > 0) else {
        return Ok(link);
    };
    let layer = desk.ask(|bench| bench.opened().layer_shape()).flatten();
    let text = share::to_text(&shown.plan, layer).map_err(|error| error.to_string())?;
    Ok(link
        .with("id", None)
        .with("delta", None)
        .with("plan", Some(&text)))
}

fn copy_link(desk: Desk) {
    let link = match link(desk) {
        Ok(link) => link,
        Err(words) => return desk.refuse(format!("No link was made: {words}.")),
    };
    let href = window().location().href().unwrap_or_default();
    let page = href.split('#').next().unwrap_or_default();
    let address = format!("{page}{link}");
    spawn_local(async move {
        let copied = window().navigator().clipboard().write_text(&address);
        match JsFuture::from(copied).await {
            Ok(_) => desk.say("The link is in the clipboard. It holds no key."),
            // Without HTTPS a browser has no clipboard for pages.
            Err(_) => desk.say(format!("Copy this link: {address}")),
        }
    });
}
