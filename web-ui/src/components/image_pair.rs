//! Two pictures held against each other: side by side, wiped, blinking, or as a map of
//! what differs; all panes linked, and the numbers beside them.
//!
//! - [`engine`]: on which path the pixel work is done.
//! - [`painter`]: draws the panes.
//! - [`stage`]: the panes and what fingers, wheels and keys do to them.
//! - [`toolbar`]: modes, zoom, gain, blink.
//! - [`numbers`]: PSNR, SSIM and the rest, computed here.
//! - [`scan`]: computes them without stopping the page.

use std::rc::Rc;

use dfa_core::wire::report::ImageMetrics;
use leptos::prelude::*;

pub mod engine;
pub mod numbers;
pub mod painter;
pub mod scan;
pub mod stage;
pub mod toolbar;

use crate::pixels::PicturePair;
use crate::pixels::cpu::PairNumbers;
use crate::pixels::gpu::GpuPair;
use crate::pixels::view::{Mode, View};
use crate::state::Shared;
use engine::{Engine, EngineLine, PixelPath};
use numbers::Numbers;
use painter::{CpuPair, Prepared};
use scan::Scan;
use stage::Stage;
use toolbar::Toolbar;

/// A pair as it is looked at. A copy is the same.
#[derive(Clone, Copy)]
pub struct Looking {
    /// The pair; `None` while there is none.
    pub pair: Signal<Option<PicturePair>>,
    /// Which part of it is seen, and how.
    pub view: RwSignal<View>,
    /// The pair, ready to be drawn.
    prepared: RwSignal<Option<Rc<Prepared>>, LocalStorage>,
    /// What is known of it as a whole.
    numbers: RwSignal<Option<PairNumbers>>,
    /// Whether a blinking pair shows its compressed half.
    blink_shows_compressed: RwSignal<bool>,
    /// Changes when something must be drawn again that no other signal tells.
    redraw: RwSignal<u32>,
    /// Size of a pane, in pixels of the screen.
    pane: RwSignal<[f64; 2]>,
}

/// A pair with everything around it. `name` says what the pictures show; `reported` are
/// the worker's numbers for the same pair.
#[component]
pub fn ImagePair(
    #[prop(into)] pair: Signal<Option<PicturePair>>,
    #[prop(into)] name: Signal<String>,
    #[prop(into)] reported: Signal<Option<ImageMetrics>>,
) -> impl IntoView {
    let shared = Shared::get();
    let engine = Engine::get();
    let looking = Looking {
        pair,
        view: RwSignal::new(View::of([1, 1], mode_of(shared))),
        prepared: RwSignal::new_local(None),
        numbers: RwSignal::new(None),
        blink_shows_compressed: RwSignal::new(false),
        redraw: RwSignal::new(0),
        pane: RwSignal::new([1.0, 1.0]),
    };
    // The address says the mode; a link can show a difference at once.
    Effect::new(move |_| {
        let mode = mode_of(shared);
        if looking.view.with_untracked(|view| view.mode != mode) {
            looking.view.update(|view| view.mode = mode);
        }
    });
    Effect::new(move |_| {
        if let Some(pair) = pair.get() {
            looking.view.update(|view| *view = view.onto(pair.size()));
        }
    });
    let scan = StoredValue::new_local(None::<Scan>);
    Effect::new(move |_| {
        looking.numbers.set(None);
        // Dropping the old one stops it.
        scan.set_value(None);
        let prepared = pair.get().and_then(|pair| prepare(engine, &pair));
        looking.prepared.set(prepared.clone());
        if let (Some(pair), Some(prepared)) = (pair.get(), prepared) {
            scan.set_value(Some(Scan::start(pair, prepared, looking)));
        }
    });
    view! {
        <section class="image-pair" aria-label="The pair">
            <Toolbar looking/>
            <Stage looking engine name/>
            <EngineLine engine/>
            <Numbers looking reported/>
        </section>
    }
}

/// The pair on the path that is taken; `None` while that is not known.
fn prepare(engine: Engine, pair: &PicturePair) -> Option<Rc<Prepared>> {
    let prepared = match engine.path() {
        PixelPath::Undecided => return None,
        PixelPath::Cpu => Prepared::Cpu(CpuPair::new(pair).ok()?),
        PixelPath::Gpu(gpu) => match GpuPair::new(gpu, pair) {
            Ok(pair) => Prepared::Gpu(pair),
            Err(error) => {
                engine.lose(error);
                return None;
            }
        },
    };
    Some(Rc::new(prepared))
}

/// The mode that the address names.
fn mode_of(shared: Shared) -> Mode {
    let link = shared.link.get();
    link.get("view").and_then(Mode::of).unwrap_or_default()
}

/// Another mode, in the address too.
pub(crate) fn set_mode(shared: Shared, mode: Mode) {
    let word = (mode != Mode::default()).then_some(mode.as_str());
    shared.set("view", word);
}

/// Whether the person asked the system for less motion.
pub(crate) fn prefers_less_motion() -> bool {
    let query = window().match_media("(prefers-reduced-motion: reduce)");
    query.ok().flatten().is_some_and(|query| query.matches())
}
