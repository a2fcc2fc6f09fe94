//! Fields of a request that are read by their type's own reader, from a text or, where a
//! person would write one, a number.

use alloc::string::String;
use core::fmt;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serializer};

use crate::search::{SearchMode, Threshold};
use crate::window::WindowChoice;
use crate::wire::as_text;

pub(super) mod search_mode {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        mode: &SearchMode,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(mode.as_str())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SearchMode, D::Error> {
        let text = alloc::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let mode = SearchMode::ALL
            .into_iter()
            .find(|mode| mode.as_str() == text);
        mode.ok_or_else(|| D::Error::custom("search is exact, record-all or fast"))
    }
}

/// A value that is a number or a text in JSON; both go through the type's own reader.
struct NumberOrText;

enum Either {
    Whole(u64),
    Fraction(f64),
    Text(String),
}

impl Visitor<'_> for NumberOrText {
    type Value = Either;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or a string")
    }

    fn visit_u64<E>(self, value: u64) -> Result<Either, E> {
        Ok(Either::Whole(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Either, E> {
        Ok(u64::try_from(value).map_or(Either::Fraction(value as f64), Either::Whole))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Either, E> {
        Ok(Either::Fraction(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Either, E> {
        Ok(Either::Text(value.into()))
    }
}

pub(super) mod number_or_name {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        threshold: &Option<Threshold>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match threshold {
            Some(threshold) => serializer.serialize_f64(threshold.value()),
            None => serializer.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Threshold>, D::Error> {
        let given = Option::<Given>::deserialize(deserializer)?;
        Ok(given.map(|Given(threshold)| threshold))
    }

    struct Given(Threshold);

    impl<'de> Deserialize<'de> for Given {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let read = match deserializer.deserialize_any(NumberOrText)? {
                Either::Whole(value) => Threshold::new(value as f64),
                Either::Fraction(value) => Threshold::new(value),
                Either::Text(text) => text.parse(),
            };
            read.map(Self).map_err(D::Error::custom)
        }
    }
}

pub(super) mod window_choice {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        window: &WindowChoice,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        as_text::serialize(window, serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<WindowChoice, D::Error> {
        let text = match deserializer.deserialize_any(NumberOrText)? {
            Either::Whole(side) => alloc::format!("{side}"),
            Either::Fraction(number) => alloc::format!("{number}"),
            Either::Text(text) => text,
        };
        text.parse().map_err(D::Error::custom)
    }
}
