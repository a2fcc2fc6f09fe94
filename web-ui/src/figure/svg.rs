//! The grid as a drawing that stands alone: steps from left to right, blocks from top to
//! bottom, with letters, legend, axes and title, in light colours and without scripts.
//!
//! Everything that comes from outside is escaped, so the text is always well-formed XML.

use std::fmt::Write as _;

use dfa_core::Strategy;

use super::palette::{Rgb, Theme, balance_ends, readable_ink, scale_ends, strategy_tone};
use crate::plan::layers::Legend;
use crate::plan::picture::{CellLook, GridPicture, Paint};

mod legend;

use legend::LegendDrawing;

/// The light theme is the one of print.
const THEME: Theme = Theme::Light;
const INK: Rgb = Rgb(0x17, 0x21, 0x2b);
const FAINT: Rgb = Rgb(0x4a, 0x58, 0x66);
const CHANGED: Rgb = Rgb(0xc2, 0x18, 0x5b);
const EMPTY: Rgb = Rgb(0xfa, 0xfa, 0xfa);

/// Room for the blocks' numbers.
const LEFT: f64 = 64.0;
/// Room for title, subtitle and the steps' numbers.
const TOP: f64 = 84.0;
/// Room on the right.
const RIGHT: f64 = 16.0;
/// The narrowest drawing, so that the title has room.
const LEAST_WIDTH: f64 = 420.0;

/// What is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Figure<'a> {
    /// The first line.
    pub title: &'a str,
    /// The second line; may be empty.
    pub subtitle: &'a str,
    /// The cells.
    pub picture: &'a GridPicture,
    /// What the colours mean.
    pub legend: &'a Legend,
}

/// The drawing as the text of an SVG file.
pub fn svg(figure: &Figure<'_>) -> String {
    let shape = figure.picture.shape;
    let side = side(shape.n_steps, shape.n_blocks);
    let width = (LEFT + shape.n_steps as f64 * side + RIGHT).max(LEAST_WIDTH);
    let bottom = TOP + shape.n_blocks as f64 * side;
    let legend = LegendDrawing::of(figure, width, bottom + 28.0);
    let height = legend.end + 12.0;
    let mut text = String::with_capacity(160 * shape.n_cells() + 4096);
    let _ = write!(
        text,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" \
         font-family=\"Helvetica, Arial, sans-serif\">\n\
         <title>{}</title>\n<desc>{}</desc>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n",
        escaped(figure.title),
        escaped(figure.subtitle)
    );
    push_text(
        &mut text,
        [12.0, 24.0],
        "font-size=\"16\" font-weight=\"600\"",
        INK,
        figure.title,
    );
    push_text(
        &mut text,
        [12.0, 44.0],
        "font-size=\"12\"",
        FAINT,
        figure.subtitle,
    );
    push_axes(&mut text, figure.picture, side);
    push_cells(&mut text, figure.picture, side);
    text += &legend.text;
    text += "</svg>\n";
    text
}

/// Side of a cell: large enough for letters unless the plan is very large.
fn side(n_steps: usize, n_blocks: usize) -> f64 {
    match n_steps.max(n_blocks) {
        0..=30 => 22.0,
        31..=64 => 16.0,
        65..=128 => 11.0,
        _ => 7.0,
    }
}

/// Every how many rows or columns a number is written.
fn stride(n_lines: usize, side: f64) -> usize {
    let room = (26.0 / side).ceil() as usize;
    let strides = [1, 2, 5, 10, 20, 50, 100, 200, 500];
    let fits = strides.into_iter().find(|&stride| stride >= room);
    if n_lines <= 10 && side > 20.0 {
        1
    } else {
        fits.unwrap_or(1000)
    }
}

fn push_axes(text: &mut String, picture: &GridPicture, side: f64) {
    let size = "font-size=\"11\"";
    push_text(text, [12.0, TOP - 8.0], size, FAINT, "block");
    push_text(text, [LEFT, TOP - 24.0], size, FAINT, "step →");
    let middle = format!("{size} text-anchor=\"middle\"");
    let end = format!("{size} text-anchor=\"end\"");
    for step in (0..picture.shape.n_steps).step_by(stride(picture.shape.n_steps, side)) {
        let x = LEFT + (step as f64 + 0.5) * side;
        push_text(text, [x, TOP - 8.0], &middle, FAINT, &step.to_string());
    }
    let rows = if side >= 16.0 {
        1
    } else {
        stride(picture.shape.n_blocks, side)
    };
    for block in (0..picture.shape.n_blocks).step_by(rows) {
        let y = TOP + (block as f64 + 0.5) * side + 4.0;
        push_text(text, [LEFT - 8.0, y], &end, FAINT, &block.to_string());
    }
}

fn push_cells(text: &mut String, picture: &GridPicture, side: f64) {
    let shape = picture.shape;
    let has_letters = side >= 11.0;
    let size = format!(
        "font-size=\"{}\" font-weight=\"600\" text-anchor=\"middle\"",
        side * 0.56
    );
    for ((step, block), look) in shape.cells().zip(&picture.cells) {
        let (x, y) = (LEFT + step.0 as f64 * side, TOP + block.0 as f64 * side);
        let (fill, ink) = colours(look.paint);
        push_cell(text, [x, y], side, fill, look);
        if has_letters && !look.letter.is_empty() {
            let place = [x + side / 2.0, y + side * 0.7];
            push_text(text, place, &size, ink, look.letter);
        }
    }
}

fn push_cell(text: &mut String, [x, y]: [f64; 2], side: f64, fill: Rgb, look: &CellLook) {
    let stroke = match (look.is_changed, look.is_locked) {
        (true, _) => format!(" stroke=\"{}\" stroke-width=\"1.5\"", CHANGED.hex()),
        (false, true) => format!(" stroke=\"{}\" stroke-width=\"1.5\"", INK.hex()),
        _ => String::new(),
    };
    let dash = if look.is_edited {
        " stroke-dasharray=\"2 1\""
    } else {
        ""
    };
    let inner = side - 1.0;
    let _ = writeln!(
        text,
        "<rect x=\"{}\" y=\"{}\" width=\"{inner}\" height=\"{inner}\" fill=\"{}\"{stroke}{dash}/>",
        x + 0.5,
        y + 0.5,
        fill.hex()
    );
}

/// The colour of a cell, and of the letter on it.
fn colours(paint: Paint) -> (Rgb, Rgb) {
    let fill = match paint {
        Paint::Strategy(idx) => {
            let strategy = Strategy::ALL.get(idx).copied().unwrap_or(Strategy::Full);
            let tone = strategy_tone(strategy, THEME);
            return (tone.fill, tone.ink);
        }
        Paint::Scale(place) => {
            let [low, high] = scale_ends(THEME);
            low.towards(high, place)
        }
        Paint::Balance(place) => {
            let [below, middle, above] = balance_ends(THEME);
            middle.towards(if place < 0.0 { below } else { above }, place.abs())
        }
        Paint::Nothing => EMPTY,
    };
    (fill, readable_ink(fill))
}

fn push_text(text: &mut String, [x, y]: [f64; 2], style: &str, ink: Rgb, words: &str) {
    if words.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" {style} fill=\"{}\">{}</text>",
        ink.hex(),
        escaped(words)
    );
}

/// Text for XML: what would end it is written out, and what XML 1.0 cannot hold at all is
/// replaced.
fn escaped(words: &str) -> String {
    let mut text = String::with_capacity(words.len());
    for letter in words.chars() {
        match letter {
            '&' => text += "&amp;",
            '<' => text += "&lt;",
            '>' => text += "&gt;",
            '"' => text += "&quot;",
            '\t' | '\n' => text.push(' '),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => text.push('\u{fffd}'),
            letter => text.push(letter),
        }
    }
    text
}

#[cfg(test)]
mod tests;
