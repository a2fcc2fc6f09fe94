//! The plan file of the reference project: a list over blocks of
//! `{"attn1": [one string per step], "attn2": None, "ff": None}`, written with
//! `torch.save`, that is a zip archive with a pickle, usually under a name in `.json`.
//!
//! It is read as plain data only and never executed. The file holds no window; the
//! reference keeps that in the file's *name*.

use alloc::string::String;
use alloc::vec::Vec;

use crate::grid::{Block, Step};
use crate::plan::{CompressionPlan, MAX_BLOCKS, MAX_STEPS};
use crate::window::Window;
use crate::wire::foreign::{
    CellTable, GridError, Imported, common_warnings, reference_name, shortened,
    strategy_from_reference,
};
use crate::wire::pickle::{Pickle, PickleError, PickleWriter, Value};
use crate::wire::stored_zip::{ZipError, archive_of, member_ending_with};

/// Longest file that is read, in bytes.
pub const MAX_REFERENCE_BYTES: usize = 32 << 20;

/// Why a reference plan cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Longer than any plan.
    #[error("a reference plan has at most {MAX_REFERENCE_BYTES} bytes, found {found}")]
    TooLarge {
        /// Bytes found.
        found: usize,
    },
    /// Not an archive of `torch.save`.
    #[error(transparent)]
    Zip(#[from] ZipError),
    /// Not a pickle of plain data.
    #[error(transparent)]
    Pickle(#[from] PickleError),
    /// Plain data, but not a plan.
    #[error(
        "reference plan: {what}; expected a list over blocks of \
             {{\"attn1\": [one string per step], \"attn2\": None, \"ff\": None}}"
    )]
    WrongLayout {
        /// What is wrong, and where.
        what: String,
    },
    /// A string that names no strategy of ours.
    #[error("{step}, {block}: unknown strategy {found:?}")]
    UnknownStrategy {
        /// Step of the cell.
        step: Step,
        /// Block of the cell.
        block: Block,
        /// The string found, shortened to 40 characters.
        found: String,
    },
    /// The cells are not a plan.
    #[error(transparent)]
    Grid(#[from] GridError),
}

/// Reads a reference plan. `window` becomes the plan's;
/// [`window_from_reference_name`] may find it in the file's name.
///
/// # Errors
/// [`ReferenceError`] says what is wrong, and where. A pickle that contains code is
/// refused with the name of the function.
pub fn import_reference(bytes: &[u8], window: Window) -> Result<Imported, ReferenceError> {
    if bytes.len() > MAX_REFERENCE_BYTES {
        return Err(ReferenceError::TooLarge { found: bytes.len() });
    }
    import_reference_pickle(member_ending_with(bytes, "/data.pkl")?, window)
}

/// The same for the pickle alone, without the archive around it.
///
/// # Errors
/// As [`import_reference`].
pub fn import_reference_pickle(bytes: &[u8], window: Window) -> Result<Imported, ReferenceError> {
    let pickle = Pickle::read(bytes)?;
    let Value::List(blocks) = pickle.root() else {
        return Err(wrong_layout("it is not a list"));
    };
    if blocks.len() > MAX_BLOCKS {
        return Err(wrong_layout("it has too many blocks"));
    }
    let mut table = CellTable::default();
    for (block, &layers) in blocks.iter().enumerate() {
        read_block(&pickle, pickle.value(layers), Block(block), &mut table)?;
    }
    let plan = table.into_plan(window)?;
    let mut warnings = common_warnings(&plan);
    warnings.push(
        "early releases of the reference passed the window as [-w, w], which leaves its left \
         side unlimited; a plan from that time was searched with such a window"
            .into(),
    );
    Ok(Imported { plan, warnings })
}

fn wrong_layout(what: impl Into<String>) -> ReferenceError {
    ReferenceError::WrongLayout { what: what.into() }
}

/// One block: a dictionary of layers, of which only the self-attention is compressed.
fn read_block(
    pickle: &Pickle<'_>,
    layers: &Value<'_>,
    block: Block,
    table: &mut CellTable,
) -> Result<(), ReferenceError> {
    let Value::Dict(layers) = layers else {
        return Err(wrong_layout(alloc::format!("{block} is not a dictionary")));
    };
    let mut has_attention = false;
    for &(name, steps) in layers {
        match (pickle.value(name), pickle.value(steps)) {
            (Value::Text("attn1"), Value::List(steps)) if steps.len() <= MAX_STEPS => {
                has_attention = true;
                for (step, &name) in steps.iter().enumerate() {
                    read_cell(pickle.value(name), Step(step), block, table)?;
                }
            }
            (Value::Text("attn2" | "ff"), Value::None) => {}
            (Value::Text(name), _) => {
                let name = shortened(name);
                let what = alloc::format!("{block} has an unexpected {name:?}");
                return Err(wrong_layout(what));
            }
            _ => {
                return Err(wrong_layout(alloc::format!(
                    "{block} has a key that is no text"
                )));
            }
        }
    }
    if has_attention {
        Ok(())
    } else {
        Err(wrong_layout(alloc::format!("{block} has no \"attn1\"")))
    }
}

fn read_cell(
    name: &Value<'_>,
    step: Step,
    block: Block,
    table: &mut CellTable,
) -> Result<(), ReferenceError> {
    let Value::Text(name) = name else {
        return Err(wrong_layout(alloc::format!("{step}, {block} is no text")));
    };
    let strategy = strategy_from_reference(name).ok_or_else(|| {
        let found = shortened(name);
        ReferenceError::UnknownStrategy { step, block, found }
    })?;
    Ok(table.insert(step, block, strategy)?)
}

/// Writes a plan as the reference does; `torch.load` reads it with `weights_only=True`.
/// The window is not part of the file.
pub fn export_reference(plan: &CompressionPlan) -> Vec<u8> {
    let mut pickle = PickleWriter::new();
    pickle.begin_list();
    for block in plan.shape().blocks() {
        pickle.begin_dict();
        pickle.text("attn1");
        pickle.begin_list();
        for step in plan.shape().steps() {
            pickle.text(reference_name(plan.strategy(step, block)));
        }
        pickle.end_list();
        for layer in ["attn2", "ff"] {
            pickle.text(layer);
            pickle.none();
        }
        pickle.end_dict();
    }
    pickle.end_list();
    let pickle = pickle.end();
    archive_of(&[
        ("plan/data.pkl", &pickle),
        ("plan/byteorder", b"little"),
        ("plan/version", b"3\n"),
    ])
}

/// The window that a reference plan's file name records, `…_[left, right]_…`, as it was
/// passed to the reference; see [`window_from_reference`].
pub fn window_from_reference_name(file_name: &str) -> Option<[i64; 2]> {
    let (_, rest) = file_name.rsplit_once('[')?;
    let (list, _) = rest.split_once(']')?;
    let (left, right) = list.split_once(',')?;
    Some([left.trim().parse().ok()?, right.trim().parse().ok()?])
}

/// Converts a window setting made for the reference: its values go to flash-attention,
/// where a negative side means "unlimited". Ours are always finite, so an unlimited side
/// becomes the whole sequence of `n_tokens`.
pub fn window_from_reference([left, right]: [i64; 2], n_tokens: usize) -> Window {
    let side = |keys: i64| usize::try_from(keys).unwrap_or(n_tokens).min(n_tokens);
    Window {
        left: side(left),
        right: side(right),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::GridShape;
    use crate::strategy::Strategy;
    use alloc::string::ToString;
    use alloc::vec;

    const WINDOW: Window = Window { left: 3, right: 4 };

    #[test]
    fn plans_round_trip() {
        let shape = GridShape {
            n_steps: 4,
            n_blocks: 2,
        };
        let mut cells = vec![Strategy::Full; 2];
        cells.extend(Strategy::ALL);
        let plan = CompressionPlan::new(shape, WINDOW, cells).unwrap();
        let imported = import_reference(&export_reference(&plan), WINDOW).unwrap();
        assert_eq!(imported.plan, plan);
        assert_eq!(
            imported.warnings.len(),
            3,
            "window, residual half, old releases"
        );
    }

    #[test]
    fn wrong_layouts_are_refused() {
        let check = |pickle: &[u8], expected: &str| {
            let archive = archive_of(&[("plan/data.pkl", pickle)]);
            let error = import_reference(&archive, WINDOW).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(b"\x80\x02N.", "it is not a list");
        check(b"\x80\x02].", "found 0 × 0");
        check(b"\x80\x02]Na.", "block 0 is not a dictionary");
        check(b"\x80\x02]}a.", "block 0 has no \"attn1\"");
        check(b"\x80\x02]}NNsa.", "block 0 has a key that is no text");
        check(
            b"\x80\x02]}\x8c\x05attn1Nsa.",
            "block 0 has an unexpected \"attn1\"",
        );
        check(
            b"\x80\x02]}\x8c\x05attn2]sa.",
            "block 0 has an unexpected \"attn2\"",
        );
        check(
            b"\x80\x02]}\x8c\x05attn1]Nasa.",
            "step 0, block 0 is no text",
        );
        check(
            b"\x80\x02]}\x8c\x05attn1]\x8c\x01xasa.",
            "unknown strategy \"x\"",
        );
        check(
            b"\x80\x02]}\x8c\x05attn1]\x8c\x0coutput_shareasa.",
            "step 0 must be full attention",
        );
        check(
            b"\x80\x02]\x8c\x01xq\x00a(c__builtin__\neval\n",
            "GLOBAL __builtin__ eval",
        );
        let mut many = b"\x80\x02](".to_vec();
        many.extend(vec![b'N'; MAX_BLOCKS + 1]);
        many.extend(b"e.");
        check(&many, "too many blocks");
    }

    #[test]
    fn windows_of_the_reference_are_converted() {
        let check = |name: &str, expected: Option<Window>| {
            let found = window_from_reference_name(name);
            let found = found.map(|window| window_from_reference(window, 1024));
            assert_eq!(found, expected, "{name}");
        };
        check(
            "dit_50_8_0.05_False_[128, 128]_4.json",
            Some(Window::symmetric(128)),
        );
        let unlimited = Window {
            left: 1024,
            right: 128,
        };
        check("dit_50_8_0.05_False_[-128, 128]_4.json", Some(unlimited));
        check(
            "dit_50_8_0.05_False_[4096,64].json",
            Some(Window {
                left: 1024,
                right: 64,
            }),
        );
        check("dit_50_8_0.05_False.json", None);
        check("[a, 1]", None);
        check("]1,2[", None);
    }
}
