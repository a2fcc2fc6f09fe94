//! The plan JSON of the xDiT project: `{"block0": {"step0": "FULL_ATTN", …}, …}`, both
//! numbers counted from 0.
//!
//! The reader goes by the numbers in the keys, whatever their order, and refuses gaps;
//! xDiT's own loader goes by the order in the file, so the writer keeps it sorted.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::grid::{Block, Step};
use crate::plan::{CompressionPlan, MAX_BLOCKS, MAX_STEPS};
use crate::strategy::Strategy;
use crate::window::Window;
use crate::wire::foreign::{
    CellTable, GridError, Imported, common_warnings, shortened, strategy_from_xdit, xdit_name,
};
use crate::wire::plan_file::MAX_PLAN_FILE_BYTES;

/// Why an xDiT plan cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XditError {
    /// Longer than any plan.
    #[error("an xDiT plan has at most {MAX_PLAN_FILE_BYTES} bytes, found {found}")]
    TooLarge {
        /// Bytes found.
        found: usize,
    },
    /// Not JSON, or not objects of objects of strings.
    #[error(
        "not a readable xDiT plan: {reason}; expected {{\"block0\": {{\"step0\": \"FULL_ATTN\", …}}, …}}"
    )]
    NotReadable {
        /// What the JSON reader says, with line and column.
        reason: String,
    },
    /// A key that is not a name with a number.
    #[error("key {found:?}: expected {expected:?} and a number without leading zeros")]
    BadKey {
        /// `block` or `step`.
        expected: &'static str,
        /// The key found, shortened to 40 characters.
        found: String,
    },
    /// A value that names no strategy.
    #[error(
        "{step}, {block}: unknown strategy {found:?}; expected one of FULL_ATTN, \
             RESIDUAL_WINDOW_ATTN, OUTPUT_SHARE, FULL_ATTN_CFG_SHARE, \
             RESIDUAL_WINDOW_ATTN_CFG_SHARE"
    )]
    UnknownStrategy {
        /// Step of the cell.
        step: Step,
        /// Block of the cell.
        block: Block,
        /// The value found, shortened to 40 characters.
        found: String,
    },
    /// The cells are not a plan.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// A strategy that xDiT does not have.
    #[error("{step}, {block} is {strategy}, which xDiT does not have; change the cell first")]
    NotInXdit {
        /// Step of the cell.
        step: Step,
        /// Block of the cell.
        block: Block,
        /// The strategy.
        strategy: Strategy,
    },
}

/// Reads an xDiT plan. The file has no window: `window` becomes the plan's.
///
/// # Errors
/// [`XditError`] says what is wrong, and where.
pub fn import_xdit(text: &str, window: Window) -> Result<Imported, XditError> {
    if text.len() > MAX_PLAN_FILE_BYTES {
        return Err(XditError::TooLarge { found: text.len() });
    }
    let blocks: Entries<Entries<String, MAX_STEPS>, MAX_BLOCKS> = serde_json::from_str(text)
        .map_err(|error| XditError::NotReadable {
            reason: alloc::format!("{error}"),
        })?;
    let mut table = CellTable::default();
    for (key, steps) in &blocks.0 {
        let block = Block(number_of(key, "block")?);
        for (key, name) in &steps.0 {
            let step = Step(number_of(key, "step")?);
            let strategy = strategy_from_xdit(name).ok_or_else(|| XditError::UnknownStrategy {
                step,
                block,
                found: shortened(name),
            })?;
            table.insert(step, block, strategy)?;
        }
    }
    let plan = table.into_plan(window)?;
    let warnings = common_warnings(&plan);
    Ok(Imported { plan, warnings })
}

/// Writes a plan as xDiT's `save_config_file` does: indented by 2, no final line break.
/// The window is not part of the file.
///
/// # Errors
/// [`XditError::NotInXdit`] for a strategy that xDiT has no name for.
pub fn export_xdit(plan: &CompressionPlan) -> Result<String, XditError> {
    let mut text = String::from("{\n");
    for block in plan.shape().blocks() {
        let separator = if block.0 > 0 { ",\n" } else { "" };
        text.push_str(&alloc::format!("{separator}  \"block{}\": {{\n", block.0));
        for step in plan.shape().steps() {
            let strategy = plan.strategy(step, block);
            let name = xdit_name(strategy).ok_or(XditError::NotInXdit {
                step,
                block,
                strategy,
            })?;
            let separator = if step.0 > 0 { ",\n" } else { "" };
            text.push_str(&alloc::format!(
                "{separator}    \"step{}\": \"{name}\"",
                step.0
            ));
        }
        text.push_str("\n  }");
    }
    text.push_str("\n}");
    Ok(text)
}

/// The number of a key such as `block12`.
fn number_of(key: &str, expected: &'static str) -> Result<usize, XditError> {
    let digits = key.strip_prefix(expected).unwrap_or_default();
    let is_plain = digits == "0" || !digits.starts_with(['0', '+']);
    let number = digits.parse().ok().filter(|_| is_plain);
    number.ok_or_else(|| XditError::BadKey {
        expected,
        found: shortened(key),
    })
}

/// A JSON object as a list, with repeated keys kept, of at most `MAX` entries.
struct Entries<T, const MAX: usize>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Entries<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

struct EntriesVisitor<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for EntriesVisitor<T, MAX> {
    type Value = Entries<T, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of at most {MAX} entries")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            if entries.len() == MAX {
                return Err(A::Error::custom(format_args!(
                    "object of more than {MAX} entries"
                )));
            }
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::GridShape;
    use alloc::string::ToString;
    use alloc::vec;

    const WINDOW: Window = Window { left: 3, right: 4 };

    #[test]
    fn plans_round_trip() {
        let shape = GridShape {
            n_steps: 3,
            n_blocks: 2,
        };
        let [full, wa_rs, ast, asc, both, wa] = Strategy::ALL;
        let plan = CompressionPlan::new(shape, WINDOW, vec![full, full, wa_rs, ast, asc, both]);
        let plan = plan.unwrap();
        let text = export_xdit(&plan).unwrap();
        assert!(text.starts_with("{\n  \"block0\": {\n    \"step0\": \"FULL_ATTN\",\n"));
        let imported = import_xdit(&text, WINDOW).unwrap();
        assert_eq!(imported.plan, plan);
        assert_eq!(imported.warnings.len(), 2, "window, residual half");
        let ablation = plan.with_strategy(Step(1), Block(0), wa).unwrap();
        assert!(matches!(
            export_xdit(&ablation),
            Err(XditError::NotInXdit { .. })
        ));
    }

    #[test]
    fn bad_files_are_refused() {
        let check = |text: &str, expected: &str| {
            let error = import_xdit(text, WINDOW).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("", "EOF while parsing");
        check("{}", "found 0 × 0");
        check("[]", "expected an object");
        check(r#"{"block0": {"step0": 1}}"#, "expected a string");
        check(
            r#"{"block0": {"step1": "FULL_ATTN"}}"#,
            "step 0, block 0 is missing",
        );
        check(
            r#"{"block1": {"step0": "FULL_ATTN"}}"#,
            "step 0, block 0 is missing",
        );
        check(
            r#"{"block0": {"step0": "OUTPUT_SHARE"}}"#,
            "step 0 must be full",
        );
        check(
            r#"{"block0": {"step0": "CFG_SHARE"}}"#,
            "unknown strategy \"CFG_SHARE\"",
        );
        check(
            r#"{"block": {"step0": "FULL_ATTN"}}"#,
            "key \"block\": expected",
        );
        check(
            r#"{"block00": {"step0": "FULL_ATTN"}}"#,
            "key \"block00\": expected",
        );
        check(
            r#"{"block0": {"step+1": "FULL_ATTN"}}"#,
            "key \"step+1\": expected",
        );
        check(
            r#"{"block0": {"step9999": "FULL_ATTN"}}"#,
            "beyond the largest plan",
        );
        check(
            r#"{"block0": {"step0": "FULL_ATTN", "step0": "FULL_ATTN"}}"#,
            "step 0, block 0 is given twice",
        );
        check(&"{\"block0\":".repeat(1 << 18), "not a readable xDiT plan");
    }
}
