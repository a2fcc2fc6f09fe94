//! Numbers, lists and sizes from what people type. What cannot be read is answered with a
//! sentence that says what would be.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use dfa_core::wire::pixel_size::PixelSize;
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

/// Frames per second that a video model can be told.
pub fn frames_per_second(text: &str) -> Result<f64, String> {
    let fps: Option<f64> = text.trim().parse().ok();
    let fps = fps.filter(|fps| *fps > 0.0 && *fps <= 1000.0);
    fps.ok_or_else(|| "Give a number above 0, up to 1000.".into())
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

/// A size that a model can make within the worker's limits; `n_frames` is 1 for a picture.
pub fn size(
    text: &str,
    model: &ModelView,
    limits: &LimitsView,
    n_frames: u32,
) -> Result<PixelSize, String> {
    let size: PixelSize = parsed(text)?;
    let (multiple, most) = (model.size_multiple.max(1), limits.max_side);
    let fits = |side: u32| (1..=most).contains(&side) && side.is_multiple_of(multiple);
    if !fits(size.width) || !fits(size.height) {
        let multiples = match multiple {
            1 => String::new(),
            multiple => format!("multiples of {multiple}, "),
        };
        return Err(format!(
            "Both sides are {multiples}up to {most}; for example {}.",
            model.size
        ));
    }
    let n_tokens = n_tokens_at(size, model) * u64::from(n_frames);
    if n_tokens > u64::from(limits.max_tokens) {
        let of = if n_frames > 1 { " over all frames" } else { "" };
        return Err(format!(
            "This size has {n_tokens} image tokens{of}; the worker takes at most {}.",
            limits.max_tokens
        ));
    }
    Ok(size)
}

/// Image tokens of one picture of a size, or of one frame.
pub fn n_tokens_at(size: PixelSize, model: &ModelView) -> u64 {
    let side = |pixels: u32| {
        let latent = pixels / model.pixels_per_latent.max(1);
        u64::from(latent.div_ceil(model.patch_size.max(1)))
    };
    side(size.width) * side(size.height)
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
            let answer = size(text, &worker.models[0], &worker.limits, 1);
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
    fn a_video_of_any_size_counts_all_its_frames() {
        let worker = capabilities();
        let video = &worker.models[2];
        assert_eq!(n_tokens_at(video.size, video), 15 * 27);
        assert!(size("427x241", video, &worker.limits, 16).is_ok());
        let words = size("426x240", video, &worker.limits, 64).unwrap_err();
        assert!(
            words.contains("25920 image tokens over all frames"),
            "{words}"
        );
        let words = size("4000x240", video, &worker.limits, 1).unwrap_err();
        assert!(words.starts_with("Both sides are up to 512"), "{words}");
    }

    #[test]
    fn sentences_begin_and_end_as_such() {
        assert_eq!(sentence("a window is N"), "A window is N.");
        assert_eq!(sentence("really?"), "Really?");
        assert_eq!(sentence(""), ".");
    }
}
