//! What a client puts into paths and headers: the name of a plan, a range of bytes. The
//! parsers are the worker's own files, which need nothing but `core`.
#![no_main]

#[path = "../../native-worker/src/http/byte_range.rs"]
mod byte_range;
#[path = "../../native-worker/src/http/plan_name.rs"]
mod plan_name;

use byte_range::Asked;
use libfuzzer_sys::fuzz_target;
use plan_name::PlanName;

fuzz_target!(|input: (u64, &str)| {
    let (size, text) = input;
    if let Asked::Part(range) = Asked::by(text, size) {
        assert!(range.start < range.end && range.end <= size, "{text:?}");
    }
    if let Ok(name) = text.parse::<PlanName>() {
        assert_eq!(name.to_string().parse(), Ok(name));
    }
});
