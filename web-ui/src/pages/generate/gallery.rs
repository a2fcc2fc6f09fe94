//! What came of a job: its pictures in pairs, one of them held against its raw one, the
//! numbers, the times, and where it all comes from.

use dfa_core::wire::JobRequest;
use dfa_core::wire::report::{ImageMetrics, Report};
use leptos::ev;
use leptos::html::Div;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast as _;

use super::moving::Moving;
use crate::api;
use crate::components::help::is_not_ours;
use crate::components::image_pair::ImagePair;
use crate::components::reproduce::Reproduce;
use crate::generation::outcome::{
    ImageFile, ImageFiles, MadeImage, decibels, provenance, savings, similarity, worst_image,
};
use crate::pixels::PicturePair;
use crate::pixels::decode::decode_bytes;
use crate::state::Shared;

/// Pictures and numbers of a job, or of the sample if there is no `request`. Two files
/// that were `opened` are shown instead of the pictures, as long as they are there.
#[component]
pub fn Gallery(
    images: Vec<MadeImage>,
    report: Option<Report>,
    request: Option<JobRequest>,
    opened: RwSignal<Option<PicturePair>>,
) -> impl IntoView {
    let shared = Shared::get();
    let worst = worst_image(&images);
    let is_sample = request.is_none();
    let images = StoredValue::new(images);
    let chosen = Memo::new(move |_| chosen_image(shared, images, worst));
    let keys = window_event_listener(ev::keydown, move |event| {
        let is_ours = !event.ctrl_key() && !event.meta_key() && !event.alt_key();
        let step = match event.key().as_str() {
            "n" | "N" => 1,
            "p" | "P" => -1,
            _ => return,
        };
        if is_ours && !is_not_ours(&event) {
            choose_next(shared, images, chosen.get_untracked().as_ref(), step);
        }
    });
    on_cleanup(move || keys.remove());
    let shows_files = move || opened.with(Option::is_some);
    view! {
        <Show when=move || !shows_files()>
            <Show when=move || is_sample>
                <p class="note">"A sample: pictures of the shipped model, made by "<code>"dfa compare"</code>"."</p>
            </Show>
            <Selector images worst chosen/>
        </Show>
        <Chosen images chosen opened/>
        <div class="report-parts" hidden=shows_files>
            {report.as_ref().map(|report| view! { <Savings rows=savings(report)/> })}
            <details class="card">
                <summary>"Where these pictures come from"</summary>
                {report.map(|report| view! { <Provenance report/> })}
                {request.map(|request| view! { <Reproduce request/> })}
            </details>
        </div>
    }
}

/// The picture that the address names, else the one that suffered most, else the first.
fn chosen_image(
    shared: Shared,
    images: StoredValue<Vec<MadeImage>>,
    worst: Option<u32>,
) -> Option<MadeImage> {
    let link = shared.link.get();
    let named = link.get("image").and_then(|text| text.parse::<u32>().ok());
    images.with_value(|images| {
        let of = |index: Option<u32>| images.iter().find(|image| Some(image.index) == index);
        of(named).or(of(worst)).or(images.first()).cloned()
    })
}

fn choose(shared: Shared, index: u32) {
    shared.set("image", Some(&index.to_string()));
}

/// The next picture or the one before, round and round.
fn choose_next(
    shared: Shared,
    images: StoredValue<Vec<MadeImage>>,
    chosen: Option<&MadeImage>,
    step: isize,
) {
    let next = images.with_value(|images| {
        let place = images.iter().position(|image| Some(image) == chosen)?;
        let n = images.len() as isize;
        let next = (place as isize + step).rem_euclid(n) as usize;
        Some((images[next].index, images[next].title()))
    });
    if let Some((index, title)) = next {
        choose(shared, index);
        shared.announce(title);
    }
}

/// Every picture, small, with its similarity.
#[component]
fn Selector(
    images: StoredValue<Vec<MadeImage>>,
    worst: Option<u32>,
    chosen: Memo<Option<MadeImage>>,
) -> impl IntoView {
    let shared = Shared::get();
    let buttons = images.get_value().into_iter().map(|image| {
        let index = image.index;
        let file = match &image.files {
            ImageFiles::One(file) | ImageFiles::Pair { compressed: file, .. } => file.url.clone(),
        };
        let is_chosen = move || chosen.with(|it| it.as_ref().is_some_and(|it| it.index == index));
        let numbers = image.metrics.as_ref().map(|metrics| {
            format!("{} · SSIM {}", decibels(metrics.psnr_db), similarity(metrics.ssim))
        });
        view! {
            <button
                class="thumb"
                aria-pressed=move || is_chosen().to_string()
                on:click=move |_| choose(shared, index)
            >
                <img class="pixelated" src=file alt="" loading="lazy"/>
                <span>{image.title()}</span>
                <span class="thumb-numbers">{numbers}</span>
                {(worst == Some(index)).then(|| view! { <span class="badge warn">"differs most"</span> })}
            </button>
        }
    });
    let thumbs = NodeRef::<Div>::new();
    Effect::new(move |_| {
        chosen.track();
        request_animation_frame(move || show_chosen(thumbs));
    });
    view! {
        <div class="thumbs" node_ref=thumbs role="group" aria-label="Pictures of the run (N next, P previous)">
            {buttons.collect_view()}
        </div>
    }
}

/// Scrolls the row of small pictures, and nothing else, so that the chosen one is seen.
fn show_chosen(thumbs: NodeRef<Div>) {
    let Some(Some(thumbs)) = thumbs.try_get_untracked() else {
        return;
    };
    let chosen = thumbs.query_selector("[aria-pressed=true]").ok().flatten();
    if let Some(chosen) = chosen.and_then(|it| it.dyn_into::<web_sys::HtmlElement>().ok()) {
        let middle = chosen.offset_left() + chosen.offset_width() / 2;
        thumbs.set_scroll_left(middle - thumbs.client_width() / 2);
    }
}

/// The chosen picture, large: a pair if there is one.
#[component]
fn Chosen(
    images: StoredValue<Vec<MadeImage>>,
    chosen: Memo<Option<MadeImage>>,
    opened: RwSignal<Option<PicturePair>>,
) -> impl IntoView {
    let loaded = RwSignal::new(None::<PicturePair>);
    let problem = RwSignal::new(String::new());
    Effect::new(move |_| {
        problem.set(String::new());
        let Some(MadeImage { files, index, .. }) = chosen.get() else {
            return;
        };
        let ImageFiles::Pair { raw, compressed } = files else {
            return loaded.set(None);
        };
        spawn_local(async move {
            let answer = load(&raw, &compressed).await;
            // Another one may have been chosen meanwhile.
            let is_wanted = chosen
                .try_get_untracked()
                .flatten()
                .is_some_and(|it| it.index == index);
            match answer {
                Ok(pair) if is_wanted => loaded.set(Some(pair)),
                Err(words) if is_wanted => problem.set(words),
                _ => {}
            }
        });
    });
    let pair = Signal::derive(move || opened.get().or_else(|| loaded.get()));
    let name = move || match (opened.with(Option::is_some), chosen.get()) {
        (false, Some(image)) => image.title(),
        _ => "Two files".to_owned(),
    };
    let reported = move || -> Option<ImageMetrics> {
        let is_opened = opened.with(Option::is_some);
        chosen
            .get()
            .filter(|_| !is_opened)
            .and_then(|image| image.metrics)
    };
    let single = move || match chosen.get().map(|image| image.files) {
        Some(ImageFiles::One(file)) if opened.with(Option::is_none) && file.video.is_none() => {
            Some(file)
        }
        _ => None,
    };
    let moving = move || {
        let image = chosen
            .get()
            .filter(|image| image.is_video() && opened.with(Option::is_none))?;
        let name = image.title();
        let files = match image.files {
            ImageFiles::One(file) => vec![("Video", file)],
            ImageFiles::Pair { raw, compressed } => {
                vec![("Raw", raw), ("Compressed", compressed)]
            }
        };
        Some(view! { <Moving files name/> })
    };
    let has_pairs = move || {
        opened.with(Option::is_some)
            || images.with_value(|all| {
                all.iter()
                    .any(|it| matches!(it.files, ImageFiles::Pair { .. }))
            })
    };
    view! {
        <p class="problem" role="alert">{move || problem.get()}</p>
        {moving}
        {move || single().map(|file| view! {
            <img class="single pixelated" src=file.url alt=name()/>
        })}
        <Show when=has_pairs>
            <ImagePair pair name=Signal::derive(name) reported=Signal::derive(reported)/>
        </Show>
        <div class="row" hidden=move || opened.with(Option::is_some)>
            {move || chosen.get().map(|image| downloads(&image))}
        </div>
    }
}

async fn load(raw: &ImageFile, compressed: &ImageFile) -> Result<PicturePair, String> {
    let one = async |file: &ImageFile| {
        let bytes = api::bytes(&file.url)
            .await
            .map_err(|error| error.to_string())?;
        let decoded = decode_bytes(&bytes).await;
        decoded.map_err(|error| format!("{}: {error}", file.name))
    };
    let (raw, compressed) = (one(raw).await?, one(compressed).await?);
    PicturePair::new(raw, compressed).map_err(|error| error.to_string())
}

fn downloads(image: &MadeImage) -> impl IntoView + use<> {
    let link = |url: &str, name: &str, words: &str| {
        let words = format!("Download {words}");
        view! { <a class="button" href=url.to_owned() download=name.to_owned()>{words}</a> }
    };
    let of = |file: &ImageFile, picture: &str, video: &str, frames: &str| match &file.video {
        None => vec![link(&file.url, &file.name, picture)],
        Some(moving) => vec![
            link(&moving.url, &moving.name, video),
            link(&file.url, &file.name, frames),
        ],
    };
    let links = match &image.files {
        ImageFiles::One(file) => of(file, "the picture", "the video", "its frames"),
        ImageFiles::Pair { raw, compressed } => {
            let mut links = of(raw, "raw", "the raw video", "the raw frames");
            links.extend(of(
                compressed,
                "compressed",
                "the compressed video",
                "the compressed frames",
            ));
            links
        }
    };
    links.collect_view()
}

/// Times and costs of the comparison.
#[component]
fn Savings(rows: Vec<[String; 4]>) -> impl IntoView {
    let rows = rows.into_iter().map(|[name, raw, compressed, gain]| {
        view! {
            <tr>
                <th scope="row">{name}</th>
                <td class="number">{raw}</td>
                <td class="number">{compressed}</td>
                <td>{gain}</td>
            </tr>
        }
    });
    view! {
        <section class="card" aria-label="What the plan saved">
            <h2>"What the plan saved"</h2>
            <div class="scroll" tabindex="0" role="region" aria-label="Times and costs">
            <table>
                <thead>
                    <tr>
                        <th scope="col">"Over all pictures"</th>
                        <th scope="col" class="number">"Raw"</th>
                        <th scope="col" class="number">"Compressed"</th>
                        <th scope="col">"Gain"</th>
                    </tr>
                </thead>
                <tbody>{rows.collect_view()}</tbody>
            </table>
            </div>
        </section>
    }
}

#[component]
fn Provenance(report: Report) -> impl IntoView {
    let origin = provenance(&report).into_iter().map(|(name, value)| {
        view! { <dt>{name}</dt><dd>{value}</dd> }
    });
    view! { <dl class="provenance">{origin.collect_view()}</dl> }
}
