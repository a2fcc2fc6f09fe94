//! Lists whose length is capped while they are read, so that a file cannot ask for an
//! absurd grid.

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::plan::{MAX_BLOCKS, MAX_STEPS};

/// A list of at most `MAX` entries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bounded<T, const MAX: usize>(pub Vec<T>);

/// One entry per (step, block), row by row; rows may still have different lengths.
pub type Rows<T> = Bounded<Bounded<T, MAX_BLOCKS>, MAX_STEPS>;

impl<T: Serialize, const MAX: usize> Serialize for Bounded<T, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Bounded<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(BoundedVisitor(PhantomData))
    }
}

struct BoundedVisitor<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for BoundedVisitor<T, MAX> {
    type Value = Bounded<T, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX} entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = seq.next_element()? {
            if entries.len() == MAX {
                return Err(A::Error::custom(format_args!(
                    "list of more than {MAX} entries"
                )));
            }
            entries.push(entry);
        }
        Ok(Bounded(entries))
    }
}

impl<T, const MAX: usize> FromIterator<T> for Bounded<T, MAX> {
    /// Collects without looking at the cap: for lists that come from a checked plan.
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}
