//! Numbers, lists and sizes from what people type. What cannot be read is answered with a
//! sentence that says what would be.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use dfa_core::wire::job_request::PixelSize;
use dfa_core::wire::service::{LimitsView, ModelView};

/// `None` if nothing was typed.
pub fn optional<T>(
    text: &str,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    match text.trim() {
        "" => Ok(None),
        text => read(text).map(Some),
    }
}

/// A whole number within a range.
pub fn whole(text: &str, range: RangeInclusive<u64>) -> Result<u64, String> {
    let (least, most) = (*range.start(), *range.end());
    let number = text.trim().parse().ok();
    let number = number.filter(|number| range.contains(number));
    number.ok_or_else(|| format!("Give a whole number from {least} to {most}."))
}

/// A number that is not below 0.
pub fn not_negative(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.trim().parse().ok();
    let number = number.filter(|number| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "Give a number of 0 or more.".into())
}

/// Anything that has a reader with a sentence of its own.
pub fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.trim()
        .parse()
        .map_err(|error| sentence(&format!("{error}")))
}

/// The parts of a list, separated by commas.
pub fn list<T: FromStr<Err: Display>>(text: &str) -> Result<Vec<T>, String> {
    let parts = text.split(',').map(str::trim);
    parts.filter(|part| !part.is_empty()).map(parsed).collect()
}

/// A picture's size that a model can make within the worker's limits.
pub fn size(text: &str, model: &ModelView, limits: &LimitsView) -> Result<PixelSize, String> {
    let size: PixelSize = parsed(text)?;
    let (multiple, most) = (model.size_multiple.max(1), limits.max_side);
    let fits = |side: u32| (1..=most).contains(&side) && side.is_multiple_of(multiple);
    if !fits(size.width) || !fits(size.height) {
        return Err(format!(
            "Both sides are multiples of {multiple}, up to {most}; for example {}.",
            model.size
        ));
    }
    let n_tokens = n_tokens_at(size, model);
    if n_tokens > u64::from(limits.max_tokens) {
        return Err(format!(
            "This size has {n_tokens} image tokens; the worker takes at most {}.",
            limits.max_tokens
        ));
    }
    Ok(size)
}

/// Image tokens of one picture of a size.
pub fn n_tokens_at(size: PixelSize, model: &ModelView) -> u64 {
    let multiple = u64::from(model.size_multiple.max(1));
    (u64::from(size.width) / multiple) * (u64::from(size.height) / multiple)
}

/// Upper case first, full stop last.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    let mut sentence: String = first.chain(letters).collect();
    if !sentence.ends_with(['.', '!', '?', ')']) {
        sentence.push('.');
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forms::examples::capabilities;

    #[test]
    fn numbers_are_read_within_their_range() {
        assert_eq!(whole(" 12 ", 1..=20), Ok(12));
        for text in ["", "0", "21", "-1", "1.5", "1e3", "x"] {
            assert_eq!(
                whole(text, 1..=20),
                Err("Give a whole number from 1 to 20.".into()),
                "{text:?}"
            );
        }
        assert_eq!(not_negative("3.5"), Ok(3.5));
        for text in ["", "-0.1", "inf", "NaN", "x"] {
            assert!(not_negative(text).is_err(), "{text:?}");
        }
        assert_eq!(optional("  ", |text| whole(text, 1..=2)), Ok(None));
    }

    #[test]
    fn lists_skip_what_is_empty() {
        assert_eq!(list::<u32>("3, 4,,5 "), Ok(vec![3, 4, 5]));
        assert_eq!(list::<u32>(""), Ok(vec![]));
        assert!(list::<u32>("3,x").is_err());
    }

    #[test]
    fn sizes_fit_the_model_and_the_limits() {
        let worker = capabilities();
        let check = |text: &str, expected: &str| {
            let answer = size(text, &worker.models[0], &worker.limits);
            let words = answer.map_or_else(|words| words, |size| size.to_string());
            assert!(words.contains(expected), "{text}: {words}");
        };
        check("64x64", "64x64");
        check("128×32", "128x32");
        check("63x64", "multiples of 2");
        check("0x64", "multiples of 2");
        check("4098x64", "up to 512");
        check("512x512", "65536 image tokens");
        check("64", "WIDTHxHEIGHT");
    }

    #[test]
    fn sentences_begin_and_end_as_such() {
        assert_eq!(sentence("a window is N"), "A window is N.");
        assert_eq!(sentence("really?"), "Really?");
        assert_eq!(sentence(""), ".");
    }
}
