//! A plan as comma-separated values, one line per cell, for spreadsheets.
//!
//! Columns: `step,block,strategy`, and for a plan with a search `budget` and one
//! `loss_<candidate>` per candidate (empty where it was not measured). Reading takes the
//! first three, in any order of columns and lines; losses in a table are for people and
//! are not read back.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::grid::{Block, Step};
use crate::search::{SearchRecord, SearchSettings};
use crate::strategy::UnknownStrategy;
use crate::window::Window;
use crate::wire::foreign::{CellTable, GridError, Imported, shortened};
use crate::wire::plan_file::{CheckedPlan, MAX_PLAN_FILE_BYTES};

/// Most columns of a table that is read.
const MAX_COLUMNS: usize = 256;

/// Why a table is not a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsvError {
    /// Longer than any plan.
    #[error("a plan table has at most {MAX_PLAN_FILE_BYTES} bytes, found {found}")]
    TooLarge {
        /// Bytes found.
        found: usize,
    },
    /// The header lacks a column, or is not comma-separated.
    #[error("line 1: column {missing:?} is missing; expected a header such as step,block,strategy")]
    MissingColumn {
        /// The column.
        missing: &'static str,
    },
    /// The header names a column twice, or too many.
    #[error("line 1: a header has at most {MAX_COLUMNS} columns, each once")]
    BadHeader,
    /// A line with too few values.
    #[error("line {line}: column {column:?} is missing")]
    ShortLine {
        /// Line, counted from 1.
        line: usize,
        /// The column.
        column: &'static str,
    },
    /// A step or block that is not a number.
    #[error("line {line}: {column} must be a whole number, found {found:?}")]
    BadNumber {
        /// Line, counted from 1.
        line: usize,
        /// The column.
        column: &'static str,
        /// What was found, shortened to 40 characters.
        found: String,
    },
    /// A strategy that does not exist.
    #[error("line {line}: {reason}")]
    BadStrategy {
        /// Line, counted from 1.
        line: usize,
        /// What was found and what is expected.
        reason: UnknownStrategy,
    },
    /// The cells are not a plan.
    #[error(transparent)]
    Grid(#[from] GridError),
}

/// The table of a plan, with budgets and losses if it has a search. Lines end with `\n`.
pub fn export_csv(checked: &CheckedPlan) -> String {
    let plan = &checked.plan;
    let record = checked.search.as_ref().map(|search| &search.record);
    let mut text = String::from("step,block,strategy");
    if let Some(record) = record {
        text.push_str(",budget");
        for candidate in &record.settings().candidates {
            text.push_str(",loss_");
            text.push_str(candidate.as_str());
        }
    }
    text.push('\n');
    for (step, block, strategy) in plan.cells() {
        text.push_str(&alloc::format!("{},{},{strategy}", step.0, block.0));
        if let Some(record) = record {
            push_losses(&mut text, record, step, block);
        }
        text.push('\n');
    }
    text
}

fn push_losses(text: &mut String, record: &SearchRecord, step: Step, block: Block) {
    let SearchSettings {
        threshold,
        candidates,
        ..
    } = record.settings();
    let budget = threshold.block_budget(block, record.shape().n_blocks);
    text.push_str(&alloc::format!(",{budget}"));
    let cell = record.cell(step, block);
    for &candidate in candidates {
        text.push(',');
        if let Some(loss) = cell.and_then(|cell| cell.loss_of(candidate)) {
            text.push_str(&loss.to_string());
        }
    }
}

/// Reads a table. It has no window: `window` becomes the plan's.
///
/// # Errors
/// [`CsvError`] says what is wrong, and in which line.
pub fn import_csv(text: &str, window: Window) -> Result<Imported, CsvError> {
    if text.len() > MAX_PLAN_FILE_BYTES {
        return Err(CsvError::TooLarge { found: text.len() });
    }
    let mut lines = text.lines().enumerate();
    let header = lines.next().map_or("", |(_, header)| header);
    let columns = Columns::of(header)?;
    let mut table = CellTable::default();
    for (idx, line) in lines {
        if !line.trim().is_empty() {
            columns.read_into(&mut table, idx + 1, line)?;
        }
    }
    let plan = table.into_plan(window)?;
    Ok(Imported {
        warnings: warnings(header, window),
        plan,
    })
}

fn warnings(header: &str, Window { left, right }: Window) -> Vec<String> {
    let mut warnings = alloc::vec![alloc::format!(
        "a table does not name its window; it is set to {left} keys before and {right} after \
         each query"
    )];
    if header.split(',').count() > 3 {
        warnings.push("only step, block and strategy are read from a table".into());
    }
    warnings
}

/// Where the three columns that are read stand.
struct Columns {
    step: usize,
    block: usize,
    strategy: usize,
}

impl Columns {
    fn of(header: &str) -> Result<Self, CsvError> {
        // Spreadsheets like to begin a file with a byte-order mark.
        let header = header.trim_start_matches('\u{feff}');
        let names: Vec<&str> = fields(header).take(MAX_COLUMNS + 1).collect();
        let distinct: BTreeSet<&str> = names.iter().copied().collect();
        if names.len() > MAX_COLUMNS || distinct.len() < names.len() {
            return Err(CsvError::BadHeader);
        }
        let position = |missing: &'static str| {
            let found = names.iter().position(|&name| name == missing);
            found.ok_or(CsvError::MissingColumn { missing })
        };
        Ok(Self {
            step: position("step")?,
            block: position("block")?,
            strategy: position("strategy")?,
        })
    }

    fn read_into(&self, table: &mut CellTable, line: usize, text: &str) -> Result<(), CsvError> {
        let field = |idx: usize, column: &'static str| {
            let found = fields(text).nth(idx);
            found.ok_or(CsvError::ShortLine { line, column })
        };
        let number = |idx: usize, column: &'static str| {
            let found = field(idx, column)?;
            found.parse().map_err(|_| CsvError::BadNumber {
                line,
                column,
                found: shortened(found),
            })
        };
        let (step, block) = (number(self.step, "step")?, number(self.block, "block")?);
        let strategy = field(self.strategy, "strategy")?.parse();
        let strategy = strategy.map_err(|reason| CsvError::BadStrategy { line, reason })?;
        Ok(table.insert(Step(step), Block(block), strategy)?)
    }
}

/// The values of a line. No value of a plan holds a comma, so quotes only decorate.
fn fields(line: &str) -> impl Iterator<Item = &str> {
    line.split(',').map(|field| {
        let field = field.trim();
        let inner = field.strip_prefix('"').and_then(|f| f.strip_suffix('"'));
        inner.unwrap_or(field)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::LossKind;
    use crate::search::{CellRecord, MeasuredLoss, SearchMode, Threshold};
    use crate::strategy::Strategy;
    use crate::wire::plan_file::PlanSearch;
    use alloc::vec;

    const WINDOW: Window = Window { left: 3, right: 4 };

    fn searched() -> CheckedPlan {
        let settings = SearchSettings {
            threshold: Threshold::new(0.5).unwrap(),
            candidates: vec![Strategy::ShareSteps, Strategy::WindowResidual],
            mode: SearchMode::Exact,
        };
        let mut record = SearchRecord::new(settings, 1);
        record.push_row(vec![CellRecord::first_step()]).unwrap();
        let measured = vec![MeasuredLoss::whole(Strategy::ShareSteps, 0.25)];
        let choice = Strategy::ShareSteps;
        record
            .push_row(vec![CellRecord { measured, choice }])
            .unwrap();
        let plan = record.plan(WINDOW).unwrap();
        let loss = LossKind::Relative;
        CheckedPlan {
            search: Some(PlanSearch { loss, record }),
            ..CheckedPlan::bare(plan)
        }
    }

    #[test]
    fn tables_round_trip() {
        let bare = CheckedPlan::bare(searched().plan);
        let text = export_csv(&bare);
        assert_eq!(text, "step,block,strategy\n0,0,full\n1,0,ast\n");
        assert_eq!(import_csv(&text, WINDOW).unwrap().plan, bare.plan);
        let text = export_csv(&searched());
        assert_eq!(
            text,
            "step,block,strategy,budget,loss_ast,loss_wa_rs\n0,0,full,0.5,,\n1,0,ast,0.5,0.25,\n"
        );
        let imported = import_csv(&text, WINDOW).unwrap();
        assert_eq!(imported.plan, bare.plan);
        assert_eq!(imported.warnings.len(), 2);
    }

    #[test]
    fn tables_from_spreadsheets_are_read() {
        let check = |text: &str| {
            let imported = import_csv(text, WINDOW);
            assert_eq!(imported.map(|i| i.plan), Ok(searched().plan), "{text:?}");
        };
        check("\u{feff}step,block,strategy\r\n0,0,full\r\n1,0,ast\r\n");
        check("\"step\",\"block\",\"strategy\"\n\"1\",\"0\",\"ast\"\n\"0\",\"0\",\"full\"");
        check("strategy, block, note, step\nast,0,x,1\n\nfull,0,,0\n");
    }

    #[test]
    fn bad_tables_are_refused() {
        let check = |text: &str, expected: &str| {
            let error = import_csv(text, WINDOW).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        };
        check("", "column \"step\" is missing");
        check("step;block;strategy\n", "column \"step\" is missing");
        check("step,block,strategy,step\n", "each once");
        check(&",".repeat(1000), "at most 256 columns");
        check("step,block,strategy\n", "found 0 × 0");
        check(
            "step,block,strategy\n0,0\n",
            "line 2: column \"strategy\" is missing",
        );
        check(
            "step,block,strategy\n0,-1,full\n",
            "line 2: block must be a whole number",
        );
        check(
            "step,block,strategy\n0,0,FULL\n",
            "line 2: unknown strategy \"FULL\"",
        );
        check("step,block,strategy\n0,0,full\n0,0,full\n", "given twice");
        check(
            "step,block,strategy\n0,0,full\n2,0,full\n",
            "step 1, block 0 is missing",
        );
        check("step,block,strategy\n0,0,asc\n", "step 0 must be full");
        check(
            "step,block,strategy\n99999999999,0,full\n",
            "beyond the largest plan",
        );
    }
}
