//! What a client puts into the query and into the `Cookie` header. The parsers are the
//! worker's own files, which need nothing but text; pairs are split as axum splits them.
#![no_main]

#[path = "../../native-worker/src/http/cookie.rs"]
mod cookie;
#[path = "../../native-worker/src/http/query.rs"]
mod query;

use dfa_core::wire::{JobId, JobKind, JobState};
use libfuzzer_sys::fuzz_target;
use query::{GivenTwice, Parameters};

/// Short ones, which the fuzzer finds.
const NAMES: [&str; 3] = ["a", "b", ""];

fuzz_target!(|input: (&str, &str, &str)| {
    let (query, value, header) = input;
    check_query(query);
    check_value(value);
    check_cookie(header);
});

fn check_query(text: &str) {
    let Ok(pairs) = serde_urlencoded::from_str::<Vec<(String, String)>>(text) else {
        return;
    };
    let count = |name: &str| pairs.iter().filter(|(key, _)| key == name).count();
    let mut parameters = Parameters(pairs.clone());
    for name in NAMES {
        match parameters.take(name) {
            Ok(value) => assert_eq!(count(name), usize::from(value.is_some()), "{text:?}"),
            // The request is refused.
            Err(GivenTwice) => return assert!(count(name) > 1, "{text:?}"),
        }
    }
    let n_known: usize = NAMES.map(count).iter().sum();
    let has_more = parameters.left_over().is_some();
    assert_eq!(has_more, n_known < pairs.len(), "{text:?}");
}

/// A value that is read is written the same.
fn check_value(text: &str) {
    const MOST: usize = 1 << 24;
    let state = text.parse().ok().map(|state: JobState| state.to_string());
    let kind = text.parse().ok().map(|kind: JobKind| kind.to_string());
    let id = text.parse().ok().map(|id: JobId| id.to_string());
    for again in [state, kind, id].into_iter().flatten() {
        assert_eq!(again, text);
    }
    if let Some((left, right)) = query::window_sides(text, MOST) {
        assert!(left <= MOST && right <= MOST, "{text:?}");
        let again = format!("{left},{right}");
        assert_eq!(query::window_sides(&again, MOST), Some((left, right)));
    }
}

fn check_cookie(header: &str) {
    let Some(value) = cookie::value_of(header, "s") else {
        return;
    };
    assert!(!value.contains(';'), "{header:?}");
    // Alone it is found again.
    assert_eq!(cookie::value_of(&format!("s={value}"), "s"), Some(value));
}
