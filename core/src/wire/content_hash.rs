//! SHA-256 hashes of contents: of weights and configs in a fingerprint, and of a plan.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::plan::CompressionPlan;

/// A SHA-256 hash, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// The hash of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// A hash that was computed elsewhere, for example over a large file.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 12 digits: enough for people to tell two plans apart.
    pub fn short(&self) -> String {
        let mut text = alloc::format!("{self}");
        text.truncate(12);
        text
    }
}

/// The identity of a plan: equal for two plans exactly if shape, window and every
/// strategy are equal. Losses, fingerprint and notes do not change it.
///
/// SHA-256 over UTF-8 text: the line `dfa-plan 1`, the line
/// `<steps> <blocks> <left> <right>`, then one line per step with the strategies of its
/// blocks separated by spaces; every line ends with `\n`.
pub fn plan_hash(plan: &CompressionPlan) -> ContentHash {
    let shape = plan.shape();
    let window = plan.window();
    let mut text = alloc::format!(
        "dfa-plan 1\n{} {} {} {}\n",
        shape.n_steps,
        shape.n_blocks,
        window.left,
        window.right
    );
    for step in shape.steps() {
        for (idx, strategy) in plan.row(step).iter().enumerate() {
            if idx > 0 {
                text.push(' ');
            }
            text.push_str(strategy.as_str());
        }
        text.push('\n');
    }
    ContentHash::of(text.as_bytes())
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

/// A string that is not a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 hash is written as 64 lower-case hexadecimal digits")]
pub struct BadHash;

impl FromStr for ContentHash {
    type Err = BadHash;

    fn from_str(text: &str) -> Result<Self, BadHash> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(BadHash);
        }
        let mut bytes = [0u8; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit_value(pair[0])? << 4 | digit_value(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

fn digit_value(digit: u8) -> Result<u8, BadHash> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(BadHash),
    }
}

impl Serialize for ContentHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        super::as_text::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::as_text::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Block, GridShape, Step, Strategy, Window};
    use alloc::string::ToString;

    #[test]
    fn hashes_are_lower_case_hexadecimal() {
        // FIPS 180-4, the empty message.
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(ContentHash::of(b"").to_string(), empty);
        assert_eq!(empty.parse(), Ok(ContentHash::of(b"")));
        let check = |text: &str| assert_eq!(text.parse::<ContentHash>(), Err(BadHash), "{text:?}");
        check("");
        check(&empty[1..]);
        check(&empty.to_uppercase());
        check(&empty.replace('e', "é"));
    }

    #[test]
    fn the_plan_hash_depends_on_shape_window_and_strategies() {
        let shape = GridShape {
            n_steps: 2,
            n_blocks: 2,
        };
        let plan = CompressionPlan::all_full(shape, Window { left: 3, right: 4 }).unwrap();
        let text = "dfa-plan 1\n2 2 3 4\nfull full\nfull full\n";
        assert_eq!(plan_hash(&plan), ContentHash::of(text.as_bytes()));
        let edited = plan.with_strategy(Step(1), Block(0), Strategy::WindowResidualShareCfg);
        let text = "dfa-plan 1\n2 2 3 4\nfull full\nwa_rs+asc full\n";
        assert_eq!(
            plan_hash(&edited.unwrap()),
            ContentHash::of(text.as_bytes())
        );
    }
}
