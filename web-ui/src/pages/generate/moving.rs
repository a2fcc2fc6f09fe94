//! Videos as they move, side by side; or, for whoever wants it still, their frames.

use leptos::prelude::*;

use crate::components::image_pair::prefers_less_motion;
use crate::generation::outcome::ImageFile;

/// Videos of one subject, each with what it is called. They begin to move at once unless
/// the system was asked for less motion, and a button stops them.
#[component]
pub fn Moving(files: Vec<(&'static str, ImageFile)>, name: String) -> impl IntoView {
    let moves = RwSignal::new(!prefers_less_motion());
    let figures = files.into_iter().map(|(title, file)| {
        let ImageFile {
            url: strip, video, ..
        } = file;
        let video = video.map_or_else(|| strip.clone(), |video| video.url);
        let source = move || {
            if moves.get() {
                video.clone()
            } else {
                strip.clone()
            }
        };
        let words = format!("{title}: {name}");
        let words = move || {
            if moves.get() {
                words.clone()
            } else {
                format!("{words}, its frames")
            }
        };
        view! {
            <figure class="moving">
                <img src=source alt=words/>
                <figcaption>{title}</figcaption>
            </figure>
        }
    });
    let figures = figures.collect_view();
    view! {
        <section class="stack" aria-label="Videos">
            <div class="moving-row">{figures}</div>
            <div class="row">
                <button on:click=move |_| moves.update(|moves| *moves = !*moves)>
                    {move || if moves.get() { "Stop: show the frames" } else { "Play" }}
                </button>
            </div>
        </section>
    }
}
