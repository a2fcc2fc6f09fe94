//! Names that come in paths and headers: job ids, hashes, thresholds, windows, strategies.
#![no_main]

use std::str::FromStr;

use dfa_core::Strategy;
use dfa_core::search::Threshold;
use dfa_core::window::WindowChoice;
use dfa_core::wire::{ContentHash, JobId};
use libfuzzer_sys::fuzz_target;

/// What is read is written in a form that is read as the same.
fn round_trip<T: FromStr + ToString + PartialEq>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        let again = value.to_string().parse::<T>();
        assert!(again.is_ok_and(|again| again == value), "{text:?}");
    }
}

fuzz_target!(|text: &str| {
    round_trip::<JobId>(text);
    round_trip::<ContentHash>(text);
    round_trip::<Threshold>(text);
    round_trip::<WindowChoice>(text);
    round_trip::<Strategy>(text);
});
