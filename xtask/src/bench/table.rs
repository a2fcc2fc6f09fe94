//! Measurements as rows of a Markdown table, and the places of `docs/results.md` that such
//! tables stand in.

use std::fmt::Write as _;

use crate::repo::{Failure, Repo, because};

const RESULTS: &str = "docs/results.md";

/// Two programs, asked the same in turn.
#[derive(Default)]
pub(super) struct Pair {
    pub(super) ours: Samples,
    pub(super) theirs: Samples,
}

/// Seconds of repeated requests.
#[derive(Default)]
pub(super) struct Samples {
    pub(super) wall: Vec<f64>,
    pub(super) cpu: Vec<f64>,
}

impl Pair {
    /// Ours / theirs of the medians of wall time; below 1 is faster.
    pub(super) fn wall_ratio(&self) -> f64 {
        median(&self.ours.wall) / median(&self.theirs.wall)
    }

    /// The same of processor time.
    pub(super) fn cpu_ratio(&self) -> f64 {
        median(&self.ours.cpu) / median(&self.theirs.cpu)
    }
}

/// The middle value, or the mean of the two in the middle.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// Seconds as people read them.
pub(super) fn seconds(value: f64) -> String {
    match value {
        _ if value < 0.001 => format!("{:.0} µs", value * 1e6),
        _ if value < 0.01 => format!("{:.2} ms", value * 1e3),
        _ if value < 1.0 => format!("{:.1} ms", value * 1e3),
        _ => format!("{value:.2} s"),
    }
}

/// One line of a table.
pub(super) fn row(cells: &[String]) -> String {
    let mut line = String::new();
    for cell in cells {
        let _ = write!(line, "| {cell} ");
    }
    line + "|\n"
}

/// Puts `table` between the marks `<!-- bench NAME -->` and `<!-- end NAME -->`.
pub(super) fn write(repo: &Repo, name: &str, table: &str) -> Result<(), Failure> {
    let path = repo.root.join(RESULTS);
    let page = std::fs::read_to_string(&path).map_err(because(format!("cannot read {RESULTS}")))?;
    let page = replaced(&page, name, table)
        .ok_or_else(|| Failure::new(format!("{RESULTS} has no place for the table `{name}`")))?;
    std::fs::write(&path, page).map_err(because(format!("cannot write {RESULTS}")))
}

fn replaced(page: &str, name: &str, table: &str) -> Option<String> {
    let (start, end) = (
        format!("<!-- bench {name} -->\n"),
        format!("<!-- end {name} -->"),
    );
    let (before, rest) = page.split_once(&start)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{start}\n{table}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_few_and_many() {
        let check = |values: &[f64], expected: f64| {
            assert!((median(values) - expected).abs() < 1e-12, "{values:?}");
        };
        check(&[3.0], 3.0);
        check(&[5.0, 1.0, 2.0], 2.0);
        check(&[4.0, 1.0, 2.0, 9.0], 3.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn only_the_table_between_the_marks_changes() {
        let page = "a\n<!-- bench x -->\nold\n<!-- end x -->\nb\n";
        let found = replaced(page, "x", "| 1 |\n").unwrap();
        assert_eq!(found, "a\n<!-- bench x -->\n\n| 1 |\n\n<!-- end x -->\nb\n");
        assert_eq!(replaced(&found, "x", "| 1 |\n").unwrap(), found);
        assert!(replaced(page, "y", "").is_none());
    }

    #[test]
    fn seconds_have_a_readable_unit() {
        let check = |value: f64, expected: &str| assert_eq!(seconds(value), expected);
        check(0.000_25, "250 µs");
        check(0.004_567, "4.57 ms");
        check(0.0456, "45.6 ms");
        check(12.345, "12.35 s");
    }
}
