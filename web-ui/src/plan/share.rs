//! A small plan as text inside an address, and back: its strategies, its window, and the
//! size of its layers. Losses and the fingerprint stay behind, they are far too long.
//!
//! The text is base64url (RFC 4648, section 5, without padding) of: the version, the four
//! numbers of shape and window, tokens and width (0 if unknown), how the cells are packed,
//! the cells block by block, and a check sum, so that an address that was cut short is
//! refused instead of showing another plan.

use dfa_core::cost::LayerShape;
use dfa_core::plan::{MAX_BLOCKS, MAX_STEPS};
use dfa_core::wire::plan_file::MAX_TOKENS;
use dfa_core::wire::{CheckedPlan, ContentHash};
use dfa_core::{Block, CompressionPlan, GridShape, Step, Strategy, Window};

use super::opened::{OpenPlan, Origin};

mod base64url;
mod packing;

/// Longest text that is put into an address: beyond it, programs begin to cut.
pub const MAX_TEXT: usize = 6000;
/// The version of the packing.
const VERSION: u8 = 1;
/// Bytes of the check sum.
const N_CHECK_BYTES: usize = 4;

/// Why a plan cannot be put into an address, or an address holds no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// Too many different cells.
    #[error(
        "this plan of {shape} is too large for an address ({found} letters, at most {MAX_TEXT}); \
         save it as a file and send that"
    )]
    TooLong {
        /// The plan's shape.
        shape: GridShape,
        /// Letters that it would take.
        found: usize,
    },
    /// Not what this page writes, or not all of it.
    #[error(
        "the plan in the address is damaged or cut short; ask for the link again, or for the plan as a file"
    )]
    Damaged,
    /// Written by a newer page.
    #[error(
        "the plan in the address was written by a newer version of this page; reload the page to update it"
    )]
    Newer,
}

/// The text of a plan.
///
/// # Errors
/// [`ShareError::TooLong`].
pub fn to_text(plan: &CompressionPlan, layer: Option<LayerShape>) -> Result<String, ShareError> {
    let (shape, window) = (plan.shape(), plan.window());
    let mut bytes = vec![VERSION];
    let (n_tokens, width) = layer.map_or((0, 0), |layer| (layer.n_tokens, layer.width));
    for number in [
        shape.n_steps,
        shape.n_blocks,
        window.left,
        window.right,
        n_tokens,
        width,
    ] {
        packing::push_number(&mut bytes, number);
    }
    packing::push_cells(&mut bytes, &columns(plan));
    let check = ContentHash::of(&bytes);
    bytes.extend(&check.as_bytes()[..N_CHECK_BYTES]);
    let text = base64url::encoded(&bytes);
    if text.len() > MAX_TEXT {
        let found = text.len();
        return Err(ShareError::TooLong { shape, found });
    }
    Ok(text)
}

/// The plan of a text.
///
/// # Errors
/// [`ShareError`].
pub fn from_text(text: &str) -> Result<OpenPlan, ShareError> {
    if text.len() > MAX_TEXT {
        return Err(ShareError::Damaged);
    }
    let bytes = base64url::decoded(text).ok_or(ShareError::Damaged)?;
    let n_bytes = bytes
        .len()
        .checked_sub(N_CHECK_BYTES)
        .ok_or(ShareError::Damaged)?;
    let (content, check) = bytes.split_at(n_bytes);
    if ContentHash::of(content).as_bytes()[..N_CHECK_BYTES] != *check {
        return Err(ShareError::Damaged);
    }
    match content.split_first() {
        Some((&VERSION, content)) => opened(content).ok_or(ShareError::Damaged),
        Some((&version, _)) if version > VERSION => Err(ShareError::Newer),
        _ => Err(ShareError::Damaged),
    }
}

fn opened(mut content: &[u8]) -> Option<OpenPlan> {
    let mut number = |most: usize| packing::number(&mut content).filter(|&found| found <= most);
    let shape = GridShape {
        n_steps: number(MAX_STEPS)?,
        n_blocks: number(MAX_BLOCKS)?,
    };
    let window = Window {
        left: number(MAX_TOKENS)?,
        right: number(MAX_TOKENS)?,
    };
    let (n_tokens, width) = (number(MAX_TOKENS)?, number(MAX_TOKENS)?);
    let columns = packing::cells(content, shape.n_cells())?;
    let cells = shape
        .cells()
        .map(|(step, block)| columns[block.0 * shape.n_steps + step.0]);
    let plan = CompressionPlan::new(shape, window, cells.collect()).ok()?;
    let mut opened = OpenPlan::new("shared plan", Origin::Link, CheckedPlan::bare(plan));
    if n_tokens > 0 && width > 0 {
        opened.stated_layer = Some(LayerShape { n_tokens, width });
    }
    opened.warnings.push(
        "This plan came with the address: it has its strategies and its window, but neither \
         losses nor the model it was made for."
            .to_owned(),
    );
    Some(opened)
}

/// The cells block by block: a block's strategy seldom changes from step to step.
fn columns(plan: &CompressionPlan) -> Vec<Strategy> {
    let shape = plan.shape();
    let cells = |block: Block| (0..shape.n_steps).map(move |step| plan.strategy(Step(step), block));
    shape.blocks().flat_map(cells).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::examples;
    use dfa_core::search::SearchMode;

    #[test]
    fn plans_come_back_as_they_were() {
        let plan = examples::searched(0.1, SearchMode::RecordAll);
        let text = to_text(plan.plan(), plan.layer_shape()).unwrap();
        assert!(text.len() < 60, "{text}");
        let back = from_text(&text).unwrap();
        assert_eq!(back.plan(), plan.plan());
        assert_eq!(back.layer_shape(), plan.layer_shape());
        let foreign = examples::foreign();
        let back = from_text(&to_text(foreign.plan(), None).unwrap()).unwrap();
        assert_eq!(back.layer_shape(), None);
    }

    #[test]
    fn sizes_of_known_models_fit() {
        let check = |n_steps, n_blocks, fits: bool| {
            let shape = GridShape { n_steps, n_blocks };
            let plan = examples::searched_of(shape, 0.1, SearchMode::RecordAll);
            let found = to_text(plan.plan(), None);
            assert_eq!(found.is_ok(), fits, "{shape}");
            if let Ok(text) = found {
                assert_eq!(from_text(&text).unwrap().plan(), plan.plan());
            }
        };
        check(50, 28, true);
        check(250, 56, false);
        let shape = GridShape {
            n_steps: 4096,
            n_blocks: 1024,
        };
        let plan = CompressionPlan::all_full(shape, Window::symmetric(3)).unwrap();
        assert!(matches!(
            to_text(&plan, None),
            Err(ShareError::TooLong { .. })
        ));
    }

    #[test]
    fn damaged_addresses_are_refused() {
        let text = to_text(examples::foreign().plan(), None).unwrap();
        for end in 0..text.len() {
            assert!(from_text(&text[..end]).is_err(), "{end}");
        }
        let mut letters = text.clone().into_bytes();
        letters[5] = if letters[5] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(letters).unwrap();
        assert_eq!(from_text(&changed), Err(ShareError::Damaged));
        for text in ["", "A", "é", "====", "a b", &"A".repeat(MAX_TEXT + 1)] {
            assert_eq!(from_text(text), Err(ShareError::Damaged), "{text}");
        }
        let mut newer = vec![VERSION + 1, 7];
        let check = ContentHash::of(&newer);
        newer.extend(&check.as_bytes()[..N_CHECK_BYTES]);
        let newer = base64url::encoded(&newer);
        assert_eq!(from_text(&newer), Err(ShareError::Newer));
    }
}
