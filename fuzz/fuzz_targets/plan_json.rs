//! JSON plan files, ours and xDiT's: never a panic, and what is read can be written.
#![no_main]

use dfa_core::Window;
use dfa_core::wire::CheckedPlan;
use dfa_core::wire::xdit::{export_xdit, import_xdit};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(plan) = CheckedPlan::parse(text) {
        let written = plan.to_json().expect("what is read can be written");
        assert_eq!(CheckedPlan::parse(&written).as_ref(), Ok(&plan));
    }
    if let Ok(imported) = import_xdit(text, Window::symmetric(1)) {
        let written = export_xdit(&imported.plan).expect("xDiT has its own strategies");
        let again = import_xdit(&written, Window::symmetric(1)).expect("our own export");
        assert_eq!(again.plan, imported.plan);
    }
});
