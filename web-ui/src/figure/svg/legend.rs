//! The legend under a drawing: what its colours, letters and outlines mean.

use std::fmt::Write as _;

use dfa_core::Strategy;

use super::{FAINT, Figure, INK, colours, push_text};
use crate::figure::palette::{Rgb, letter};
use crate::plan::layers::{LegendKey, index_of};
use crate::plan::picture::{CellLook, GridPicture, Paint};

/// Height of a line.
const LINE: f64 = 20.0;
/// Width of a letter, for deciding where entries break.
const LETTER_WIDTH: f64 = 6.6;
/// How words are written.
const PLAIN: &str = "font-size=\"12\"";

/// The legend under the grid.
pub(super) struct LegendDrawing {
    /// Its elements.
    pub(super) text: String,
    /// Where it ends.
    pub(super) end: f64,
}

impl LegendDrawing {
    /// Draws it from `top` on.
    pub(super) fn of(figure: &Figure<'_>, width: f64, top: f64) -> Self {
        let legend = figure.legend;
        let mut drawing = Self {
            text: String::new(),
            end: top,
        };
        drawing.line("font-size=\"12\" font-weight=\"600\"", INK, legend.title);
        match &legend.key {
            LegendKey::Strategies(entries) => drawing.strategies(entries, width),
            LegendKey::Scale(words) => {
                let [low, high] = words.each_ref().map(String::as_str);
                drawing.bar(low, high);
            }
            LegendKey::Balance(words) => {
                let places = [-1.0, 0.0, 1.0].into_iter();
                for (place, words) in places.zip(words) {
                    drawing.entry(Paint::Balance(place), words);
                }
            }
            LegendKey::Nothing => {}
        }
        drawing.marks(figure.picture);
        let n_letters = ((width - 24.0) / LETTER_WIDTH) as usize;
        for line in wrapped(&legend.note, n_letters) {
            drawing.line(PLAIN, FAINT, &line);
        }
        drawing
    }

    fn line(&mut self, style: &str, ink: Rgb, words: &str) {
        push_text(&mut self.text, [12.0, self.end], style, ink, words);
        self.end += LINE;
    }

    fn strategies(&mut self, entries: &[usize], width: f64) {
        let mut x = 12.0;
        for strategy in entries
            .iter()
            .filter_map(|&idx| Strategy::ALL.get(idx).copied())
        {
            let words = strategy.paper_name();
            let room = 38.0 + text_width(words);
            if x > 12.0 && x + room > width {
                x = 12.0;
                self.end += LINE;
            }
            self.swatch(x, Paint::Strategy(index_of(strategy)), letter(strategy));
            push_text(&mut self.text, [x + 22.0, self.end], PLAIN, INK, words);
            x += room;
        }
        self.end += LINE;
    }

    fn entry(&mut self, paint: Paint, words: &str) {
        self.swatch(12.0, paint, "");
        push_text(&mut self.text, [34.0, self.end], PLAIN, INK, words);
        self.end += LINE;
    }

    /// The one-colour scale, in steps that can still be told apart in print.
    fn bar(&mut self, low: &str, high: &str) {
        const N_STEPS: usize = 7;
        push_text(&mut self.text, [12.0, self.end], PLAIN, INK, low);
        let mut x = 20.0 + text_width(low);
        for idx in 0..N_STEPS {
            self.swatch(x, Paint::Scale(idx as f32 / (N_STEPS - 1) as f32), "");
            x += 16.0;
        }
        push_text(&mut self.text, [x + 8.0, self.end], PLAIN, INK, high);
        self.end += LINE;
    }

    /// What outlines mean, where there are any.
    fn marks(&mut self, picture: &GridPicture) {
        let has = |is: fn(&CellLook) -> bool| picture.cells.iter().any(is);
        let marks = [
            (has(|look| look.is_changed), "outlined: changed"),
            (has(|look| look.is_edited), "dashed: set by hand"),
            (
                has(|look| look.is_locked && !look.is_changed),
                "black outline: locked",
            ),
        ];
        let words: Vec<&str> = marks
            .iter()
            .filter(|mark| mark.0)
            .map(|mark| mark.1)
            .collect();
        if !words.is_empty() {
            self.line(PLAIN, FAINT, &words.join(" · "));
        }
    }

    fn swatch(&mut self, x: f64, paint: Paint, letter: &str) {
        let (fill, ink) = colours(paint);
        let _ = writeln!(
            self.text,
            "<rect x=\"{x}\" y=\"{}\" width=\"16\" height=\"16\" fill=\"{}\" stroke=\"{}\" \
             stroke-width=\"0.5\"/>",
            self.end - 12.5,
            fill.hex(),
            FAINT.hex()
        );
        let style = "font-size=\"11\" font-weight=\"600\" text-anchor=\"middle\"";
        push_text(
            &mut self.text,
            [x + 8.0, self.end - 0.5],
            style,
            ink,
            letter,
        );
    }
}

/// About how wide some words are, in pixels.
fn text_width(words: &str) -> f64 {
    words.chars().count() as f64 * LETTER_WIDTH
}

/// Words in lines of at most `n_letters` letters.
fn wrapped(words: &str, n_letters: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < n_letters => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_broken_into_lines() {
        let found = wrapped("one two three four", 9);
        assert_eq!(found, ["one two", "three", "four"]);
        assert!(wrapped("", 9).is_empty());
    }
}
