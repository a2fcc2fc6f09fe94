//! When the device thread last said that it lives. Written by the thread at every block,
//! read by whoever asks for its health.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The last sign of life, and whether the thread is at work.
#[derive(Debug)]
pub struct SignsOfLife {
    start: Instant,
    last_ms: AtomicU64,
    busy: AtomicBool,
}

impl Default for SignsOfLife {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            last_ms: AtomicU64::new(0),
            busy: AtomicBool::new(false),
        }
    }
}

impl SignsOfLife {
    /// The thread lives.
    pub fn touch(&self) {
        let ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(ms, Ordering::Relaxed);
    }

    /// Work begins or ends.
    pub fn set_busy(&self, busy: bool) {
        self.touch();
        self.busy.store(busy, Ordering::Relaxed);
    }

    /// Whether the thread is at work.
    pub fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    /// How long ago the last sign of life was.
    pub fn silent_for(&self) -> Duration {
        let last = Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
        self.start.elapsed().saturating_sub(last)
    }
}
