//! The grid of a plan: steps × blocks, one element per cell, with the semantics, the keys
//! and the mouse of a grid. It knows pictures and cells and nothing of plans.
//!
//! Always true: exactly one cell can be reached with Tab; what is drawn is the last
//! picture; and drawing a picture touches only the cells whose look changed, so that a
//! slider stays fluent over 14,000 cells. That is why the cells are made by hand
//! ([`cells`]) and not by the framework, and why the grid alone listens to events.

use std::sync::Arc;

use dfa_core::{Block, Step};
use leptos::ev;
use leptos::html::Div;
use leptos::prelude::*;
use wasm_bindgen::JsCast as _;

use crate::plan::cursor::{Cursor, Motion};
use crate::plan::layout::Layout;
use crate::plan::picture::GridPicture;
use crate::plan::workbench::Region;

mod cells;
mod place;
mod width;

use cells::Cells;
use place::Place;

/// What the vertical scroll bar of a long plan takes.
const SCROLL_BAR_PX: f64 = 16.0;

/// The grid. `words` says a cell in words, its position left out; `on_open` is called
/// when Enter is pressed or a cell is clicked twice.
#[component]
pub fn PlanGrid(
    /// What is drawn.
    #[prop(into)]
    picture: Signal<Arc<GridPicture>>,
    /// Where the keyboard stands and what is selected.
    cursor: RwSignal<Cursor>,
    /// The name of the grid for screen readers.
    #[prop(into)]
    label: Signal<String>,
    /// A cell in words.
    words: Callback<(Step, Block), String>,
    /// Opens a cell.
    #[prop(optional)]
    on_open: Option<Callback<(Step, Block)>>,
) -> impl IntoView {
    let frame = NodeRef::<Div>::new();
    let host = NodeRef::<Div>::new();
    let drawn = StoredValue::new_local(None::<Cells>);
    let width = width::observed(frame);
    let shape = Memo::new(move |_| picture.with(|picture| picture.shape));
    let layout = Memo::new(move |_| Layout::fit(shape.get(), width.get() - SCROLL_BAR_PX));
    Effect::new(move |_| {
        let (Some(host), layout) = (host.get(), layout.get()) else {
            return;
        };
        picture.with(|picture| drawn.update_value(|drawn| draw(drawn, &host, layout, picture)));
        let cursor = cursor.get_untracked();
        with_cells(drawn, |cells| cells.point(cursor, &|cell| words.run(cell)));
    });
    Effect::new(move |_| {
        let cursor = cursor.get();
        with_cells(drawn, |cells| {
            cells.point(cursor, &|cell| words.run(cell));
            cells.keep_focus();
        });
    });
    let mouse = Mouse {
        cursor,
        drawn,
        is_dragging: RwSignal::new(false),
    };
    let released = window_event_listener(ev::mouseup, move |_| mouse.is_dragging.set(false));
    on_cleanup(move || released.remove());
    let on_key = move |event: ev::KeyboardEvent| {
        let place = (shape.get_untracked(), layout.get_untracked());
        press(&event, cursor, place, on_open);
    };
    view! {
        <div class="grid-frame" node_ref=frame>
            <div
                class="plan-grid"
                role="grid"
                aria-multiselectable="true"
                aria-label=label
                node_ref=host
                on:mousedown=move |event| mouse.press(&event)
                on:mouseover=move |event| mouse.pass(&event, words)
                on:dblclick=move |_| open(on_open, cursor)
                on:keydown=on_key
            ></div>
        </div>
    }
}

fn with_cells(drawn: StoredValue<Option<Cells>, LocalStorage>, act: impl FnOnce(&mut Cells)) {
    drawn.update_value(|cells| {
        if let Some(cells) = cells {
            act(cells);
        }
    });
}

/// Draws a picture on the cells that are there, or makes new ones for another grid.
fn draw(
    drawn: &mut Option<Cells>,
    host: &web_sys::HtmlElement,
    layout: Layout,
    picture: &GridPicture,
) {
    let fits = drawn.as_ref().is_some_and(|cells| {
        cells.shape == picture.shape && cells.orientation == layout.orientation
    });
    if !fits {
        // A browser that cannot make elements shows nothing at all.
        *drawn = Cells::build(host, picture.shape, layout).ok();
    }
    if let Some(cells) = drawn {
        cells.resize(layout);
        cells.paint(picture);
    }
}

fn open(on_open: Option<Callback<(Step, Block)>>, cursor: RwSignal<Cursor>) {
    if let Some(on_open) = on_open {
        on_open.run(cursor.get_untracked().cell);
    }
}

/// The keys of a grid.
fn press(
    event: &ev::KeyboardEvent,
    cursor: RwSignal<Cursor>,
    (shape, layout): (dfa_core::GridShape, Layout),
    on_open: Option<Callback<(Step, Block)>>,
) {
    let with_ctrl = event.ctrl_key() || event.meta_key();
    let key = event.key();
    let at = cursor.get_untracked();
    if event.alt_key() {
        return;
    }
    if let Some(motion) = Motion::of_key(&key, with_ctrl) {
        let cell = motion.from(at.cell, shape, layout.orientation);
        cursor.set(at.to(cell, event.shift_key()));
    } else if key == "Enter" {
        open(on_open, cursor);
    } else if let Some(region) = whole_of_key(event, at, layout) {
        cursor.set(at.selecting(region));
    } else {
        return;
    }
    event.prevent_default();
}

/// Ctrl+A, and as in other grids Shift+Space for a row, Ctrl+Space for a column.
fn whole_of_key(event: &ev::KeyboardEvent, at: Cursor, layout: Layout) -> Option<Region> {
    let with_ctrl = event.ctrl_key() || event.meta_key();
    let row_is_step = layout.orientation.names().0 == "step";
    match event.key().as_str() {
        "a" if with_ctrl => Some(Region::Everything),
        " " if event.shift_key() == with_ctrl => None,
        " " if event.shift_key() == row_is_step => Some(Region::Step(at.cell.0)),
        " " => Some(Region::Block(at.cell.1)),
        _ => None,
    }
}

/// The mouse over a grid.
#[derive(Clone, Copy)]
struct Mouse {
    cursor: RwSignal<Cursor>,
    drawn: StoredValue<Option<Cells>, LocalStorage>,
    is_dragging: RwSignal<bool>,
}

impl Mouse {
    fn place(self, event: &ev::MouseEvent) -> Option<Place> {
        let element: web_sys::Element = event.target()?.dyn_into().ok()?;
        let orientation = self
            .drawn
            .with_value(|cells| Some(cells.as_ref()?.orientation));
        Place::of(&element, orientation?)
    }

    /// Selects what is under the mouse.
    fn press(self, event: &ev::MouseEvent) {
        if event.button() != 0 {
            return;
        }
        let Some(place) = self.place(event) else {
            return;
        };
        // The focus is set by hand; the browser would also begin to select text.
        event.prevent_default();
        let at = self.cursor.get_untracked();
        let to = match place {
            Place::Cell(cell) => at.to(cell, event.shift_key()),
            Place::Step(step) => at.whole(Region::Step(step)),
            Place::Block(block) => at.whole(Region::Block(block)),
            Place::Corner => at.whole(Region::Everything),
        };
        self.is_dragging.set(matches!(place, Place::Cell(_)));
        self.cursor.set(to);
        with_cells(self.drawn, |cells| cells.focus(to.cell));
    }

    /// Names the cell under the mouse, and draws a rectangle while the button is held.
    fn pass(self, event: &ev::MouseEvent, words: Callback<(Step, Block), String>) {
        let Some(Place::Cell(cell)) = self.place(event) else {
            return;
        };
        if self.is_dragging.get_untracked() && event.buttons() & 1 == 1 {
            self.cursor.update(|cursor| *cursor = cursor.to(cell, true));
        } else {
            with_cells(self.drawn, |cells| cells.hint(cell, &words.run(cell)));
        }
    }
}
