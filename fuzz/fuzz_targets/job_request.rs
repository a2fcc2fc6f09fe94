//! The body of `POST /v1/jobs`: whatever is accepted is written and read back the same.
#![no_main]

use dfa_core::wire::JobRequest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(request) = serde_json::from_str::<JobRequest>(text) {
        let written = serde_json::to_string(&request).expect("a request is JSON");
        let again: JobRequest = serde_json::from_str(&written).expect("our own writing");
        assert_eq!(again, request);
    }
});
