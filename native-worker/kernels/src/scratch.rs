//! Memory that a thread keeps between calls: fresh memory costs as much as filling it.

use std::cell::RefCell;
use std::thread::LocalKey;

/// Memory of one place in the code, for `thread_local!`.
pub(crate) type Scratch = RefCell<Vec<f32>>;

/// Calls `f` with `n` values that hold anything.
pub(crate) fn with_scratch<R>(
    scratch: &'static LocalKey<Scratch>,
    n: usize,
    f: impl FnOnce(&mut [f32]) -> R,
) -> R {
    // Taken out, because a thread that waits for others may be given another task.
    let mut kept = scratch.take();
    if kept.len() < n {
        kept.resize(n, 0.0);
    }
    let result = f(&mut kept[..n]);
    scratch.set(kept);
    result
}
