//! How far a piece of work is, told by the thread that does it and read by the task that reports it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A shared meter. Clones are of the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    done: AtomicU64,
    total: AtomicU64,
    is_cancelled: AtomicBool,
}

impl Meter {
    /// Tell how far the work is, in whatever unit; breaks once it is to end.
    pub(super) fn set(&self, done: u64, total: u64) -> ControlFlow<()> {
        self.0.done.store(done, Ordering::Relaxed);
        self.0.total.store(total, Ordering::Relaxed);
        if self.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// How much is done, 0 to 100.
    pub(super) fn percent(&self) -> u8 {
        let done = u128::from(self.0.done.load(Ordering::Relaxed));
        let total = u128::from(self.0.total.load(Ordering::Relaxed)).max(1);
        u8::try_from((done * 100 / total).min(100)).unwrap_or(100)
    }

    /// Ask for an end.
    pub(super) fn cancel(&self) {
        self.0.is_cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether an end was asked for.
    pub(super) fn is_cancelled(&self) -> bool {
        self.0.is_cancelled.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_counts_without_overflow_and_breaks_once_cancelled() {
        let meter = Meter::default();
        assert_eq!(meter.percent(), 0);
        assert!(meter.set(u64::MAX / 2, u64::MAX).is_continue());
        assert_eq!(meter.percent(), 49);
        assert!(meter.set(7, 0).is_continue());
        assert_eq!(meter.percent(), 100);
        meter.clone().cancel();
        assert!(meter.set(1, 2).is_break());
    }
}
