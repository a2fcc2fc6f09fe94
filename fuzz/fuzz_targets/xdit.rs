//! Plans in xDiT's form.
#![no_main]

use dfa_core::Window;
use dfa_core::wire::xdit::import_xdit;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(imported) = import_xdit(text, Window::symmetric(1)) {
        assert!(imported.plan.shape().n_cells() > 0);
    }
});
