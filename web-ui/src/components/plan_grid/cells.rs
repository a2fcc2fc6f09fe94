//! The elements of a grid: rows of cells with their names, made once for a shape, and
//! changed cell by cell. Colours and marks are classes; the style sheet knows what they
//! look like.

use dfa_core::{Block, GridShape, Step};
use leptos::prelude::document;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{Element, HtmlElement, Node};

use crate::figure::shades::{balance_class, shade_class};
use crate::plan::cursor::Cursor;
use crate::plan::layout::{Layout, Orientation};
use crate::plan::picture::{CellLook, GridPicture, Paint};

/// What a cell looks like before anything is drawn.
const BLANK: CellLook = CellLook {
    paint: Paint::Nothing,
    letter: "",
    is_changed: false,
    is_edited: false,
    is_locked: false,
};

/// From so many rows on, those out of sight are left out of layout and paint.
const LONG_ROWS: usize = 64;

/// The elements, and what is drawn on them.
pub(super) struct Cells {
    pub(super) shape: GridShape,
    pub(super) orientation: Orientation,
    host: HtmlElement,
    /// Step by step, as in a picture.
    elements: Vec<HtmlElement>,
    /// The text of each element: changing it costs less than making another.
    letters: Vec<Node>,
    looks: Vec<CellLook>,
    is_selected: Vec<bool>,
    /// The cell that Tab reaches.
    reached: Option<usize>,
    /// The cell that was last named for the mouse.
    hinted: Option<usize>,
}

impl Cells {
    /// Makes the elements inside `host`, in place of what was there.
    pub(super) fn build(
        host: &HtmlElement,
        shape: GridShape,
        layout: Layout,
    ) -> Result<Self, JsValue> {
        let orientation = layout.orientation;
        let (n_rows, n_columns) = orientation.size(shape);
        host.set_text_content(None);
        host.set_attribute("aria-rowcount", &(n_rows + 1).to_string())?;
        host.set_attribute("aria-colcount", &(n_columns + 1).to_string())?;
        let names = names_of_columns(layout, n_rows, n_columns)?;
        host.append_child(&names)?;
        let blank = blank_row(n_columns)?;
        let mut placed = vec![None::<HtmlElement>; shape.n_cells()];
        for row in 0..n_rows {
            let element: Element = blank.clone_node_with_deep(true)?.unchecked_into();
            element.set_attribute("aria-rowindex", &(row + 2).to_string())?;
            let name = element.first_element_child();
            if let Some(name) = &name {
                write_name(name, orientation.names().0, row, layout.label_every(n_rows))?;
            }
            let mut next = name.and_then(|name| name.next_element_sibling());
            let mut column = 0;
            while let Some(cell) = next {
                next = cell.next_element_sibling();
                placed[index(shape, orientation.cell(row, column))] = Some(cell.unchecked_into());
                column += 1;
            }
            host.append_child(&element)?;
        }
        let elements: Vec<HtmlElement> = placed.into_iter().flatten().collect();
        let letters = elements.iter().filter_map(|element| element.first_child());
        let is_long = n_rows > LONG_ROWS;
        host.class_list().toggle_with_force("long", is_long)?;
        Ok(Self {
            letters: letters.collect(),
            shape,
            orientation,
            host: host.clone(),
            looks: vec![BLANK; elements.len()],
            is_selected: vec![false; elements.len()],
            elements,
            reached: None,
            hinted: None,
        })
    }

    /// Sets the side of a cell.
    pub(super) fn resize(&self, layout: Layout) {
        let side = format!("{}px", layout.cell_px);
        // A browser that refuses keeps the style sheet's side.
        let _ = self.host.style().set_property("--cell", &side);
    }

    /// Draws a picture: touches the cells whose look changed, and no other.
    pub(super) fn paint(&mut self, picture: &GridPicture) {
        let cells = self.elements.iter().zip(&self.letters);
        let cells = cells.zip(self.looks.iter_mut().zip(&picture.cells));
        for ((element, letter), (look, new)) in cells {
            if *look == *new {
                continue;
            }
            if look.letter != new.letter {
                letter.set_node_value(Some(new.letter));
            }
            element.set_class_name(&class_of(new));
            *look = *new;
        }
    }

    /// Shows where the keyboard stands and what is selected.
    pub(super) fn point(&mut self, cursor: Cursor, words: &dyn Fn((Step, Block)) -> String) {
        let cursor = cursor.within(self.shape);
        let reached = index(self.shape, cursor.cell);
        if let Some(old) = self.reached.filter(|&old| old != reached) {
            set(&self.elements[old], "tabindex", Some("-1"));
            set(&self.elements[old], "aria-label", None);
        }
        let said = named(cursor.cell, &words(cursor.cell));
        set(&self.elements[reached], "tabindex", Some("0"));
        set(&self.elements[reached], "aria-label", Some(&said));
        self.reached = Some(reached);
        let mut selected = vec![false; self.elements.len()];
        for cell in cursor.region.cells(self.shape).into_iter().flatten() {
            selected[index(self.shape, cell)] = true;
        }
        let old = self.is_selected.iter().zip(&selected);
        for (element, (old, new)) in self.elements.iter().zip(old) {
            if old != new {
                let value = if *new { "true" } else { "false" };
                set(element, "aria-selected", Some(value));
            }
        }
        self.is_selected = selected;
    }

    /// Gives the cell that Tab reaches the focus, if another cell has it.
    pub(super) fn keep_focus(&self) {
        let active = document().active_element();
        let is_here = active.is_some_and(|active| self.host.contains(Some(&active)));
        if let (true, Some(reached)) = (is_here, self.reached) {
            // Who cannot be given the focus keeps it where it is.
            let _ = self.elements[reached].focus();
        }
    }

    /// Gives a cell the focus.
    pub(super) fn focus(&self, cell: (Step, Block)) {
        if let Some(element) = self.elements.get(index(self.shape, cell)) {
            let _ = element.focus();
        }
    }

    /// Names a cell for the mouse.
    pub(super) fn hint(&mut self, cell: (Step, Block), words: &str) {
        if let Some(old) = self.hinted {
            set(&self.elements[old], "title", None);
        }
        let hinted = index(self.shape, cell);
        set(&self.elements[hinted], "title", Some(&named(cell, words)));
        self.hinted = Some(hinted);
    }
}

/// The place of a cell in a picture.
fn index(shape: GridShape, (step, block): (Step, Block)) -> usize {
    step.0 * shape.n_blocks + block.0
}

fn named((step, block): (Step, Block), words: &str) -> String {
    format!("{step}, {block}: {words}")
}

fn set(element: &Element, name: &str, value: Option<&str>) {
    // An attribute with a fixed, lawful name is never refused.
    let _ = match value {
        Some(value) => element.set_attribute(name, value),
        None => element.remove_attribute(name),
    };
}

fn made(role: &str, class: &str) -> Result<Element, JsValue> {
    let element = document().create_element("div")?;
    element.set_attribute("role", role)?;
    element.set_class_name(class);
    Ok(element)
}

/// A row without anything in it, to be copied.
fn blank_row(n_columns: usize) -> Result<Element, JsValue> {
    let row = made("row", "grid-row")?;
    let name = made("rowheader", "grid-name")?;
    name.set_attribute("aria-colindex", "1")?;
    row.append_child(&name)?;
    for column in 0..n_columns {
        let cell = made("gridcell", &class_of(&BLANK))?;
        cell.set_attribute("aria-colindex", &(column + 2).to_string())?;
        cell.set_attribute("tabindex", "-1")?;
        cell.set_attribute("aria-selected", "false")?;
        cell.append_child(&document().create_text_node(""))?;
        row.append_child(&cell)?;
    }
    Ok(row)
}

fn names_of_columns(layout: Layout, n_rows: usize, n_columns: usize) -> Result<Element, JsValue> {
    let (row_name, column_name) = layout.orientation.names();
    let row = made("row", "grid-row grid-names")?;
    row.set_attribute("aria-rowindex", "1")?;
    let corner = made("columnheader", "grid-name grid-corner")?;
    corner.set_attribute("aria-colindex", "1")?;
    corner.set_attribute("title", &format!("Select all {} cells", n_rows * n_columns))?;
    corner.set_text_content(Some(&format!("{column_name}→ {row_name}↓")));
    row.append_child(&corner)?;
    for column in 0..n_columns {
        let name = made("columnheader", "grid-name")?;
        name.set_attribute("aria-colindex", &(column + 2).to_string())?;
        write_name(&name, column_name, column, layout.label_every(n_columns))?;
        row.append_child(&name)?;
    }
    Ok(row)
}

/// Writes the number of a row or column, if its turn has come; everybody else finds it in
/// the label.
fn write_name(element: &Element, noun: &str, number: usize, every: usize) -> Result<(), JsValue> {
    if number.is_multiple_of(every) {
        element.set_text_content(Some(&number.to_string()));
    }
    element.set_attribute("aria-label", &format!("{noun} {number}"))?;
    element.set_attribute("title", &format!("Select {noun} {number}"))
}

/// The classes of a look.
fn class_of(look: &CellLook) -> String {
    let mut class = match look.paint {
        Paint::Strategy(idx) => format!("cell s{idx}"),
        Paint::Scale(share) => format!("cell {}", shade_class(share)),
        Paint::Balance(place) => format!("cell {}", balance_class(place)),
        Paint::Nothing => "cell".into(),
    };
    let marks = [
        (look.is_changed, " changed"),
        (look.is_edited, " edited"),
        (look.is_locked, " locked"),
    ];
    for (_, mark) in marks.into_iter().filter(|&(holds, _)| holds) {
        class += mark;
    }
    class
}
