//! Two pictures of this computer, held against each other without any worker: they never
//! leave the browser.

use leptos::ev::{DragEvent, Event};
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast as _;
use web_sys::{File, FileList, HtmlInputElement};

use crate::pixels::decode::decode;
use crate::pixels::{Picture, PicturePair};

/// One file with its name, decoded.
#[derive(Clone)]
struct Opened {
    name: String,
    picture: Picture,
}

/// What was opened. A copy is the same.
#[derive(Clone, Copy)]
struct Files {
    raw: RwSignal<Option<Opened>>,
    compressed: RwSignal<Option<Opened>>,
    problem: RwSignal<String>,
}

/// Two file fields and a place to drop two files; `opened` is told of a pair.
#[component]
pub fn LocalPair(opened: RwSignal<Option<PicturePair>>) -> impl IntoView {
    let files = Files {
        raw: RwSignal::new(None),
        compressed: RwSignal::new(None),
        problem: RwSignal::new(String::new()),
    };
    Effect::new(move |_| {
        let (Some(raw), Some(compressed)) = (files.raw.get(), files.compressed.get()) else {
            return opened.set(None);
        };
        match PicturePair::new(raw.picture, compressed.picture) {
            Ok(pair) => opened.set(Some(pair)),
            Err(error) => files.problem.set(error.to_string()),
        }
    });
    let is_over = RwSignal::new(false);
    let on_drop = move |event: DragEvent| {
        event.prevent_default();
        is_over.set(false);
        let dropped = event.data_transfer().and_then(|data| data.files());
        take(files, listed(dropped), None);
    };
    let has_any = move || files.raw.with(Option::is_some) || files.compressed.with(Option::is_some);
    let swap = move |_| {
        let raw = files.raw.get_untracked();
        files.raw.set(files.compressed.get_untracked());
        files.compressed.set(raw);
    };
    let close = move |_| {
        files.raw.set(None);
        files.compressed.set(None);
        files.problem.set(String::new());
    };
    view! {
        <section
            class="card stack local-pair"
            aria-label="Compare two files"
            data-over=move || is_over.get().to_string()
            on:dragover=move |event| { event.prevent_default(); is_over.set(true); }
            on:dragleave=move |_| is_over.set(false)
            on:drop=on_drop
        >
            <h2>"Compare two files"</h2>
            <p class="hint">"Open or drop two pictures of one size. They stay in this browser."</p>
            <FileField files half=Half::Raw/>
            <FileField files half=Half::Compressed/>
            <p class="problem" role="alert">{move || files.problem.get()}</p>
            <Show when=has_any>
                <div class="row">
                    <button on:click=swap>"Swap"</button>
                    <button on:click=close>"Close the files"</button>
                </div>
            </Show>
        </section>
    }
}

/// Which half of the pair.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Raw,
    Compressed,
}

impl Files {
    fn of(self, half: Half) -> RwSignal<Option<Opened>> {
        match half {
            Half::Raw => self.raw,
            Half::Compressed => self.compressed,
        }
    }
}

#[component]
fn FileField(files: Files, half: Half) -> impl IntoView {
    let title = match half {
        Half::Raw => "Raw picture",
        Half::Compressed => "Compressed picture",
    };
    let on_change = move |event: Event| {
        let field = event
            .target()
            .and_then(|it| it.dyn_into::<HtmlInputElement>().ok());
        let Some(field) = field else { return };
        take(files, listed(field.files()), Some(half));
        // The same file may be chosen again after a change.
        field.set_value("");
    };
    let name = move || files.of(half).get().map(|opened| opened.name);
    view! {
        <label>
            {title}
            <input type="file" accept="image/png,image/jpeg,image/webp" multiple on:change=on_change/>
            <span class="hint">{name}</span>
        </label>
    }
}

fn listed(files: Option<FileList>) -> Vec<File> {
    let Some(files) = files else {
        return Vec::new();
    };
    (0..files.length())
        .filter_map(|idx| files.get(idx))
        .collect()
}

/// Takes one file for a half, or two for both: which is which is told by their names.
fn take(files: Files, mut found: Vec<File>, half: Option<Half>) {
    files.problem.set(String::new());
    found.truncate(2);
    if found.len() == 2 && found[1].name().to_lowercase().contains("raw") {
        found.swap(0, 1);
    }
    let free = match files.raw.with_untracked(Option::is_some) {
        true => Half::Compressed,
        false => Half::Raw,
    };
    let halves = match found.len() {
        2 => [Half::Raw, Half::Compressed],
        _ => [half.unwrap_or(free); 2],
    };
    spawn_local(async move {
        for (file, half) in found.into_iter().zip(halves) {
            let name = file.name();
            match decode(&file).await {
                Ok(picture) => files.of(half).try_set(Some(Opened { name, picture })),
                Err(error) => {
                    files.problem.try_set(format!("{name}: {error}"));
                    return;
                }
            };
        }
    });
}
