//! The reference's plans: the archive, and the pickle without it (whose checksum would
//! otherwise stop most inputs).
#![no_main]

use dfa_core::Window;
use dfa_core::wire::reference::{export_reference, import_reference, import_reference_pickle};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let window = Window::symmetric(1);
    let _ = import_reference(bytes, window);
    if let Ok(imported) = import_reference_pickle(bytes, window) {
        let again = import_reference(&export_reference(&imported.plan), window);
        assert_eq!(again.expect("our own export").plan, imported.plan);
    }
});
