//! Memory that a thread keeps between calls, because fresh memory costs as much as filling
//! it; and asking for memory before it is needed.

use std::cell::RefCell;
use std::thread::LocalKey;

/// Memory of one place in the code, for `thread_local!`.
pub(crate) type Scratch<T = f32> = RefCell<Vec<T>>;

/// Calls `f` with `n` values that hold anything.
pub(crate) fn with_scratch<T: Copy + Default, R>(
    scratch: &'static LocalKey<Scratch<T>>,
    n: usize,
    f: impl FnOnce(&mut [T]) -> R,
) -> R {
    // Taken out, because a thread that waits for others may be given another task.
    let mut kept = scratch.take();
    if kept.len() < n {
        kept.resize(n, T::default());
    }
    let result = f(&mut kept[..n]);
    scratch.set(kept);
    result
}

/// Asks for the cache lines of a slice, to be read soon. Rows that lie far apart are not
/// foreseen by the machine itself.
#[inline(always)]
pub(crate) fn prefetch(values: &[f32]) {
    /// f32 of a cache line.
    const LINE: usize = 16;
    for line in values.chunks(LINE) {
        // SAFETY: a prefetch of any address is allowed; SSE is there on every x86-64.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
        }
        let _ = line;
    }
}

/// Asks for the cache line that lies `n` values after the start of a slice, or beyond it.
#[inline(always)]
pub(crate) fn prefetch_after(values: &[f32], n: usize) {
    // SAFETY: a prefetch of any address is allowed; SSE is there on every x86-64.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(values.as_ptr().wrapping_add(n).cast());
    }
    let _ = (values, n);
}
