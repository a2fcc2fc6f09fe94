//! Plans as tables.
#![no_main]

use dfa_core::Window;
use dfa_core::wire::CheckedPlan;
use dfa_core::wire::csv::{export_csv, import_csv};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let window = Window::symmetric(1);
    if let Ok(imported) = import_csv(text, window) {
        let written = export_csv(&CheckedPlan::bare(imported.plan.clone()));
        let again = import_csv(&written, window).expect("our own export");
        assert_eq!(again.plan, imported.plan);
    }
});
