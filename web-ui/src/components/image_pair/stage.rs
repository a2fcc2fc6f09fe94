//! The panes: canvases with captions, and what wheels, fingers and keys do to them.
//!
//! A wheel zooms about the pointer and scrolls the page where there is nothing left to
//! zoom; one finger moves a picture that is larger than its pane and scrolls the page
//! otherwise; two fingers zoom.

use leptos::ev::{KeyboardEvent, PointerEvent, WheelEvent};
use leptos::html::Canvas;
use leptos::prelude::*;
use wasm_bindgen::JsCast as _;
use wasm_bindgen::closure::Closure;
use web_sys::{Element, ResizeObserver};

use super::engine::Engine;
use super::numbers::in_words;
use super::painter::{Painter, Scene};
use super::{Looking, set_mode};
use crate::components::help::is_not_ours;
use crate::pixels::palette::{index_of, palette};
use crate::pixels::view::{Command, Content, Mode};
use crate::state::Shared;

/// Zoom of one pixel that a wheel turns.
const WHEEL_PACE: f64 = 0.002;

/// The panes.
#[component]
pub fn Stage(looking: Looking, engine: Engine, name: Signal<String>) -> impl IntoView {
    let shared = Shared::get();
    let canvases = [NodeRef::<Canvas>::new(), NodeRef::<Canvas>::new()];
    let painter = Painter::new(canvases, move |error| engine.lose(error));
    let painter = StoredValue::new_local(painter);
    let panes = Memo::new(move |_| {
        let mode = looking.view.with(|view| view.mode);
        mode.panes(looking.blink_shows_compressed.get())
    });
    Effect::new(move |_| {
        looking.redraw.track();
        looking.pane.track();
        let Some(prepared) = looking.prepared.get() else {
            return;
        };
        let scene = Scene {
            prepared,
            view: looking.view.get(),
            panes: panes.get(),
        };
        painter.with_value(|painter| painter.want(scene));
    });
    watch_size(canvases[0], looking);
    let gestures = Gestures::new(looking);
    let keys = window_event_listener(leptos::ev::keydown, move |event| {
        on_global_key(&event, shared, looking);
    });
    on_cleanup(move || keys.remove());
    let pane = move |idx: usize| {
        let content = move || panes.get().get(idx).copied();
        let alternative = move || words_of(content(), looking, &name.get());
        let is_zoomed = move || looking.view.with(|view| view.zoom() > 1.0).to_string();
        view! {
            <figure class="pane" hidden=move || content().is_none()>
                <div
                    class="pane-box"
                    tabindex=if idx == 0 { "0" } else { "-1" }
                    role="group"
                    aria-label="Picture: + and − zoom, 0 fits, arrows move"
                    data-zoomed=is_zoomed
                    on:wheel=move |event| on_wheel(&event, looking)
                    on:pointerdown=move |event| gestures.begin(&event)
                    on:pointermove=move |event| gestures.go_on(&event)
                    on:pointerup=move |event| gestures.end(&event)
                    on:pointercancel=move |event| gestures.end(&event)
                    on:keydown=move |event| on_pane_key(&event, looking)
                    on:dblclick=move |_| {
                        let pane = looking.pane.get_untracked();
                        looking.view.update(|view| view.obey(Command::Fit, pane));
                    }
                >
                    <canvas node_ref=canvases[idx] role="img" aria-label=alternative></canvas>
                    <Show when=move || content() == Some(Content::Wipe)>
                        <div
                            class="wipe-line"
                            style:left=move || format!("{}%", looking.view.with(|view| view.wipe()) * 100.0)
                        ></div>
                    </Show>
                </div>
                <figcaption>
                    {move || content().map_or("", Content::title)}
                    <Show when=move || matches!(content(), Some(Content::Difference | Content::Ssim))>
                        <Scale looking content=Signal::derive(content)/>
                    </Show>
                </figcaption>
            </figure>
        }
    };
    view! { <div class="panes">{pane(0)}{pane(1)}</div> }
}

/// The colours of a map and what they mean.
#[component]
fn Scale(looking: Looking, content: Signal<Option<Content>>) -> impl IntoView {
    let palette = palette();
    let stops: Vec<String> = (0..=8)
        .map(|stop| {
            let [r, g, b] = palette[index_of(stop as f32 / 8.0)];
            format!("rgb({r} {g} {b})")
        })
        .collect();
    let gradient = format!("linear-gradient(to right, {})", stops.join(", "));
    let ends = move || match content.get() {
        Some(Content::Ssim) => ["1, alike".to_owned(), "0 or less".to_owned()],
        _ => {
            let most = 255.0 / looking.view.with(|view| view.gain.factor());
            ["0".to_owned(), format!("{most:.0} of 255 and more")]
        }
    };
    view! {
        <span class="map-scale">
            <span>{move || ends()[0].clone()}</span>
            <span class="map-colours" style:background=gradient aria-hidden="true"></span>
            <span>{move || ends()[1].clone()}</span>
        </span>
    }
}

/// What a pane shows, for those who do not see it.
fn words_of(content: Option<Content>, looking: Looking, name: &str) -> String {
    let what = match content {
        None => return String::new(),
        Some(Content::Raw) => "without compression",
        Some(Content::Compressed) => "with the plan",
        Some(Content::Wipe) => {
            "without compression on the left of a line, with the plan on its right"
        }
        Some(Content::Difference) => "absolute difference of both, light where they differ",
        Some(Content::Ssim) => "structural similarity of both, light where they differ",
    };
    let size = looking.pair.get().map(|pair| pair.size());
    let size = size.map_or(String::new(), |[width, height]| {
        format!(", {width} × {height} pixels")
    });
    let numbers = looking.numbers.get();
    let numbers = numbers.map_or(String::new(), |numbers| format!(". {}", in_words(&numbers)));
    format!("{name}: {what}{size}{numbers}")
}

/// Tells `looking` how large a pane is, now and whenever it changes.
fn watch_size(canvas: NodeRef<Canvas>, looking: Looking) {
    let measure = move || {
        let Some(Some(canvas)) = canvas.try_get_untracked() else {
            return;
        };
        let ratio = window().device_pixel_ratio();
        let sides = [canvas.client_width(), canvas.client_height()];
        let pane = sides.map(|side| (f64::from(side) * ratio).round().max(1.0));
        if looking.pane.get_untracked() != pane {
            looking.view.update(|view| view.keep_inside(pane));
            looking.pane.set(pane);
        }
    };
    let on_resize = Closure::<dyn FnMut()>::new(measure);
    let Ok(observer) = ResizeObserver::new(on_resize.as_ref().unchecked_ref()) else {
        return;
    };
    let kept = StoredValue::new_local((observer, on_resize));
    Effect::new(move |_| {
        if let Some(canvas) = canvas.get() {
            kept.with_value(|(observer, _)| observer.observe(&canvas));
        }
    });
    on_cleanup(move || {
        // What listens goes away with the value; the observer must not call it then.
        let _ = kept.try_with_value(|(observer, _)| observer.disconnect());
    });
}

/// Where a pointer is in its pane, in pixels of the screen.
fn place_of(event: &web_sys::MouseEvent) -> Option<[f64; 2]> {
    let pane: Element = event.current_target()?.dyn_into().ok()?;
    let bounds = pane.get_bounding_client_rect();
    let ratio = window().device_pixel_ratio();
    let client = [f64::from(event.client_x()), f64::from(event.client_y())];
    Some([
        (client[0] - bounds.left()) * ratio,
        (client[1] - bounds.top()) * ratio,
    ])
}

fn on_wheel(event: &WheelEvent, looking: Looking) {
    let Some(place) = place_of(event) else { return };
    // Lines and pages, as some browsers count, are some pixels each.
    let unit = [1.0, 16.0, 400.0];
    let turned = event.delta_y() * unit[(event.delta_mode() as usize).min(2)];
    let before = looking.view.get_untracked();
    let mut view = before;
    view.zoom_about(
        (-turned * WHEEL_PACE).exp(),
        place,
        looking.pane.get_untracked(),
    );
    if view != before {
        event.prevent_default();
        looking.view.set(view);
    }
}

/// A key while a pane has the focus.
fn on_pane_key(event: &KeyboardEvent, looking: Looking) {
    if event.ctrl_key() || event.meta_key() || event.alt_key() {
        return;
    }
    if let Some(command) = Command::of_key(&event.key()) {
        event.prevent_default();
        event.stop_propagation();
        let pane = looking.pane.get_untracked();
        looking.view.update(|view| view.obey(command, pane));
    }
}

/// A key anywhere on the page: modes, and the zoom, but not the arrows, which scroll.
fn on_global_key(event: &KeyboardEvent, shared: Shared, looking: Looking) {
    let is_ours = !event.ctrl_key() && !event.meta_key() && !event.alt_key() && !is_not_ours(event);
    if !is_ours || event.default_prevented() {
        return;
    }
    let key = event.key();
    let digit = key
        .parse::<usize>()
        .ok()
        .and_then(|digit| digit.checked_sub(1));
    if let Some(&mode) = digit.and_then(|idx| Mode::ALL.get(idx)) {
        set_mode(shared, mode);
        return;
    }
    let command = Command::of_key(&key).filter(|_| !key.starts_with("Arrow"));
    if let Some(command) = command {
        let pane = looking.pane.get_untracked();
        looking.view.update(|view| view.obey(command, pane));
    }
}

/// Fingers and the mouse on the panes. A copy is the same.
#[derive(Clone, Copy)]
struct Gestures {
    looking: Looking,
    /// Which pointers are down, and where.
    pointers: StoredValue<Vec<(i32, [f64; 2])>>,
    /// Whether the wipe's line was taken.
    drags_line: StoredValue<bool>,
}

impl Gestures {
    fn new(looking: Looking) -> Self {
        Self {
            looking,
            pointers: StoredValue::new(Vec::new()),
            drags_line: StoredValue::new(false),
        }
    }

    fn begin(self, event: &PointerEvent) {
        let Some(place) = place_of(event).filter(|_| event.button() == 0) else {
            return;
        };
        let line = self.looking.view.with_untracked(|view| view.wipe());
        let line = line * self.looking.pane.get_untracked()[0];
        let mode = self.looking.view.with_untracked(|view| view.mode);
        let reach = 12.0 * window().device_pixel_ratio();
        self.drags_line
            .set_value(mode == Mode::Wipe && (place[0] - line).abs() <= reach);
        self.pointers.update_value(|all| {
            all.retain(|(id, _)| *id != event.pointer_id());
            all.push((event.pointer_id(), place));
        });
        let pane = event
            .current_target()
            .and_then(|it| it.dyn_into::<Element>().ok());
        if let Some(pane) = pane {
            // Without it a drag ends at the pane's border, which is no harm.
            let _ = pane.set_pointer_capture(event.pointer_id());
        }
    }

    fn go_on(self, event: &PointerEvent) {
        let Some(after) = place_of(event) else { return };
        let all = self.pointers.get_value();
        let Some(idx) = all.iter().position(|(id, _)| *id == event.pointer_id()) else {
            return;
        };
        let before = all[idx].1;
        self.pointers.update_value(|all| all[idx].1 = after);
        let pane = self.looking.pane.get_untracked();
        self.looking.view.update(|view| match all[..] {
            [_] if self.drags_line.get_value() => view.wipe_to(after[0] / pane[0]),
            [_] => view.pan_by([after[0] - before[0], after[1] - before[1]], pane),
            [(_, first), (_, second)] => {
                let moved = if idx == 0 {
                    [after, second]
                } else {
                    [first, after]
                };
                view.pinch([first, second], moved, pane);
            }
            _ => {}
        });
    }

    fn end(self, event: &PointerEvent) {
        self.pointers
            .update_value(|all| all.retain(|(id, _)| *id != event.pointer_id()));
    }
}
