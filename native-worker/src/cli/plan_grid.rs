//! A plan as a grid of characters: steps from left to right, blocks from top to bottom,
//! cut into parts where the terminal is too narrow. Letters always, colours only on a
//! terminal and not where `NO_COLOR` is set.

use std::fmt::Write as _;
use std::io::IsTerminal;

use dfa_core::{Block, GridShape, Step, Strategy};

/// Columns where the terminal does not say.
const DEFAULT_COLUMNS: usize = 100;
/// Columns that the blocks' names take.
const NAME_COLUMNS: usize = 11;

/// How a grid is printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GridStyle {
    has_colour: bool,
    columns: usize,
}

/// One cell: its character, and the strategy that colours it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GridCell {
    pub(crate) letter: char,
    pub(crate) colour: Option<Strategy>,
}

impl GridStyle {
    /// The style that suits standard output.
    pub(crate) fn of_stdout() -> Self {
        let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let columns = std::env::var("COLUMNS")
            .ok()
            .and_then(|columns| columns.parse().ok());
        Self {
            has_colour: std::io::stdout().is_terminal() && !is_refused,
            columns: columns.unwrap_or(DEFAULT_COLUMNS),
        }
    }
}

/// The grid, with the steps' numbers above and the blocks' numbers on the left.
pub(crate) fn draw(
    shape: GridShape,
    style: GridStyle,
    cell: impl Fn(Step, Block) -> GridCell,
) -> String {
    // Whole tens of steps per part, so that the ruler reads the same everywhere.
    let room = style.columns.saturating_sub(NAME_COLUMNS).max(10);
    let per_part = if room >= shape.n_steps {
        shape.n_steps
    } else {
        room / 10 * 10
    };
    let mut text = String::new();
    for first in (0..shape.n_steps).step_by(per_part) {
        let steps = first..shape.n_steps.min(first + per_part);
        let ruler: String = steps.clone().map(tick).collect();
        let _ = writeln!(
            text,
            "{:>width$}{}",
            "step ",
            ruler.trim_end(),
            width = NAME_COLUMNS
        );
        for block in shape.blocks() {
            let _ = write!(
                text,
                "{:>width$} ",
                block.to_string(),
                width = NAME_COLUMNS - 1
            );
            for step in steps.clone() {
                push_cell(&mut text, cell(Step(step), block), style.has_colour);
            }
            text.push('\n');
        }
    }
    text
}

/// The ruler: the tens digit at every tenth step, a dot at every fifth between.
fn tick(step: usize) -> char {
    match step % 10 {
        0 => char::from_digit((step / 10 % 10) as u32, 10).unwrap_or(' '),
        5 => '.',
        _ => ' ',
    }
}

fn push_cell(text: &mut String, cell: GridCell, has_colour: bool) {
    match cell.colour.filter(|_| has_colour).and_then(colours) {
        Some([back, front]) => {
            let _ = write!(text, "\x1b[48;5;{back};38;5;{front}m{}\x1b[0m", cell.letter);
        }
        None => text.push(cell.letter),
    }
}

/// Background and foreground of the 256 terminal colours, near those of the HTML report.
const fn colours(strategy: Strategy) -> Option<[u8; 2]> {
    match strategy {
        Strategy::Full => None,
        Strategy::WindowResidual => Some([117, 16]),
        Strategy::ShareSteps => Some([214, 16]),
        Strategy::ShareCfg => Some([36, 16]),
        Strategy::WindowResidualShareCfg => Some([25, 231]),
        Strategy::WindowOnly => Some([175, 16]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_terminals_get_parts() {
        let shape = GridShape {
            n_steps: 23,
            n_blocks: 1,
        };
        let style = |has_colour, columns| GridStyle {
            has_colour,
            columns,
        };
        let cell = |step: Step, _| GridCell {
            letter: if step.0.is_multiple_of(2) { 'F' } else { 'A' },
            colour: (step.0 % 2 == 1).then_some(Strategy::ShareSteps),
        };
        let wide = draw(shape, style(false, 80), cell);
        assert_eq!(
            wide,
            "     step 0    .    1    .    2\n   block 0 FAFAFAFAFAFAFAFAFAFAFAF\n"
                .replacen("step 0", " step 0", 1)
        );
        let narrow = draw(shape, style(false, 31), cell);
        assert_eq!(narrow.lines().count(), 4, "{narrow}");
        assert!(narrow.ends_with("   block 0 FAF\n"), "{narrow}");
        let coloured = draw(shape, style(true, 80), cell);
        assert!(
            coloured.contains("F\x1b[48;5;214;38;5;16mA\x1b[0mF"),
            "{coloured:?}"
        );
    }
}
