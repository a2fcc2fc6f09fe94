//! Memory that a thread keeps between calls: fresh memory costs as much as filling it.

use std::cell::RefCell;

/// Calls `f` with `n` values that hold anything.
pub(crate) fn with_scratch<R>(n: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    thread_local! {
        static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    }
    // Taken out, because a thread that waits for others may be given another task.
    let mut scratch = SCRATCH.take();
    if scratch.len() < n {
        scratch.resize(n, 0.0);
    }
    let result = f(&mut scratch[..n]);
    SCRATCH.set(scratch);
    result
}
