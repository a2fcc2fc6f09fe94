//! Shares and totals as a table for a paper: LaTeX with the package `booktabs`, one row
//! per plan. Everything that comes from outside is escaped.

use dfa_core::Strategy;

use crate::plan::totals::Totals;
use crate::words::bytes;

/// One row: what people call the plan, and its totals.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The plan's name.
    pub name: &'a str,
    /// δ, if it was searched.
    pub threshold: Option<f64>,
    /// Its totals.
    pub totals: &'a Totals,
}

/// What stands where nothing is known.
const UNKNOWN: &str = "--";

/// The table of some plans. Strategies that no plan uses have no column.
pub fn table(rows: &[Row<'_>], caption: &str) -> String {
    let is_used = |strategy: &Strategy| {
        let mut counts = rows.iter().flat_map(|row| &row.totals.counts);
        counts.any(|count| count.strategy == *strategy && count.n_cells > 0)
    };
    let used: Vec<Strategy> = Strategy::ALL.into_iter().filter(is_used).collect();
    let names = used
        .iter()
        .map(|strategy| format!(" & {}", escaped(short_name(*strategy))));
    let names: String = names.collect();
    let numbers = "r".repeat(used.len() + 5);
    let mut text = format!(
        "% needs \\usepackage{{booktabs}}\n\\begin{{table}}\n  \\centering\n  \\caption{{{}}}\n  \
         \\begin{{tabular}}{{l{numbers}}}\n    \\toprule\n    \
         & & \\multicolumn{{{}}}{{c}}{{cells (\\%)}} & \\multicolumn{{2}}{{c}}{{MACs kept (\\%)}} \
         & time & cache \\\\\n    plan & $\\delta${names} & attention & layer & (\\%) & \\\\\n    \
         \\midrule\n",
        escaped(caption),
        used.len().max(1)
    );
    for row in rows {
        text += &row_text(row, &used);
    }
    text += "    \\bottomrule\n  \\end{tabular}\n\\end{table}\n";
    text
}

fn row_text(row: &Row<'_>, used: &[Strategy]) -> String {
    let totals = row.totals;
    let mut cells = vec![
        escaped(row.name),
        row.threshold
            .map_or(UNKNOWN.into(), |threshold| threshold.to_string()),
    ];
    let counts = totals
        .counts
        .iter()
        .filter(|count| used.contains(&count.strategy));
    cells.extend(counts.map(|count| percents(Some(count.share))));
    cells.push(percents(totals.kept.map(|kept| kept.attention_share)));
    cells.push(percents(totals.kept.and_then(|kept| kept.layer_share)));
    let run = totals.time.and_then(|time| time.run);
    cells.push(percents(run.map(|run| run.share)));
    let cache = totals.cache.map(|cache| bytes(cache.peak.bytes));
    cells.push(cache.map_or(UNKNOWN.into(), |words| words.replace(' ', "~")));
    format!("    {} \\\\\n", cells.join(" & "))
}

fn percents(share: Option<f64>) -> String {
    share.map_or(UNKNOWN.into(), |share| format!("{:.1}", 100.0 * share))
}

/// The head of a column.
const fn short_name(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Full => "Full",
        Strategy::WindowOnly => "WA",
        _ => strategy.paper_name(),
    }
}

/// Text for LaTeX: what it would read as a command is written out.
fn escaped(words: &str) -> String {
    let mut text = String::with_capacity(words.len());
    for letter in words.chars() {
        match letter {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                text.push('\\');
                text.push(letter);
            }
            '\\' => text += "\\textbackslash{}",
            '~' => text += "\\textasciitilde{}",
            '^' => text += "\\textasciicircum{}",
            'δ' => text += "$\\delta$",
            letter if letter.is_control() => text.push(' '),
            letter => text.push(letter),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::examples;
    use crate::plan::totals::{Question, totals};
    use dfa_core::search::SearchMode;

    #[test]
    fn every_row_has_as_many_cells_as_the_head() {
        let plan = examples::searched(0.1, SearchMode::RecordAll);
        let foreign = examples::foreign();
        let known = totals(&plan, plan.plan(), Question::default());
        let unknown = totals(&foreign, foreign.plan(), Question::default());
        let rows = [
            Row {
                name: "D4_a & b",
                threshold: Some(0.1),
                totals: &known,
            },
            Row {
                name: "foreign",
                threshold: None,
                totals: &unknown,
            },
        ];
        let text = table(&rows, "50 % less \\ with δ");
        assert!(text.contains("D4\\_a \\& b & 0.1 & "), "{text}");
        assert!(text.contains("\\caption{50 \\% less \\textbackslash{} with $\\delta$}"));
        let n_columns = text
            .split("{l")
            .nth(1)
            .unwrap()
            .split('}')
            .next()
            .unwrap()
            .len()
            + 1;
        let lines = text.lines().filter(|line| line.ends_with("\\\\")).skip(1);
        for line in lines {
            assert_eq!(
                line.replace("\\&", "").matches('&').count() + 1,
                n_columns,
                "{line}"
            );
        }
        assert!(!text.contains("WA &"), "no plan has it: {text}");
    }
}
