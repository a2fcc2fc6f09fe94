//! Prints the native digest of core's numbers.

fn main() {
    print!("{}", dfa_wasm_golden::core_digest());
}
