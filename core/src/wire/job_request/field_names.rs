//! What a field of a request names: a class, a strategy, a field of a fingerprint.

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::strategy::Strategy;
use crate::wire::as_text;
use crate::wire::fingerprint::FingerprintField;

/// A class: its index, or a name of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Label {
    /// The class's index.
    Index(u32),
    /// One of its names, whatever the case; or its index as text.
    Name(String),
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => index.fmt(f),
            Self::Name(name) => f.pad(name),
        }
    }
}

/// A strategy by its plan string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrategyName(#[serde(with = "as_text")] pub Strategy);

/// A field of a plan's fingerprint by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldName(#[serde(with = "as_text")] pub FingerprintField);
