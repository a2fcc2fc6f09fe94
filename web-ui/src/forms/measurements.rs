//! What a search costs, said before it is asked for. A measurement is one forward pass of
//! the transformer with one candidate in one cell; nothing else of a calibration takes
//! comparable time.

use dfa_core::search::SearchMode;

/// How many losses a search measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measurements {
    /// If the first candidate passes everywhere.
    pub least: u64,
    /// If every candidate of every cell is measured.
    pub most: u64,
}

/// The measurements of a search in its mode. The first step is always full.
pub fn measurements(
    mode: SearchMode,
    n_steps: u64,
    n_blocks: u64,
    n_candidates: u64,
) -> Measurements {
    let n_cells = n_steps.saturating_sub(1) * n_blocks;
    let most = n_cells * n_candidates;
    let least = match mode {
        SearchMode::Exact => n_cells.min(most),
        SearchMode::RecordAll | SearchMode::Fast => most,
    };
    Measurements { least, most }
}

impl Measurements {
    /// For people: `1 372 to 5 488 measurements`.
    pub fn words(self) -> String {
        let Self { least, most } = self;
        if least == most {
            format!("{} measurements", grouped(most))
        } else {
            format!("{} to {} measurements", grouped(least), grouped(most))
        }
    }
}

/// A count with its thousands apart.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (idx, digit) in digits.chars().enumerate() {
        if idx > 0 && (digits.len() - idx).is_multiple_of(3) {
            // A thin space that does not break.
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_counted_by_its_mode() {
        let all = measurements(SearchMode::RecordAll, 50, 28, 4);
        assert_eq!((all.least, all.most), (5488, 5488));
        assert_eq!(all.words(), "5\u{202f}488 measurements");
        let exact = measurements(SearchMode::Exact, 50, 28, 4);
        assert_eq!(exact.words(), "1\u{202f}372 to 5\u{202f}488 measurements");
        let one_step = measurements(SearchMode::Exact, 1, 28, 4);
        assert_eq!(one_step.words(), "0 measurements");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
    }
}
