//! The time of runs: that of the world, faster, or as fast as it goes.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// A clock that runs `scale` times slower than a run's own time: with 0.1 a minute of waiting takes
/// six seconds, and with 0 no time at all.
#[derive(Debug)]
pub struct Clock {
    scale: f64,
    /// Where the clock was set, and to what.
    set: Mutex<(Instant, Timestamp)>,
}

impl Clock {
    /// The clock of the world.
    #[must_use]
    pub fn real() -> Self {
        Self::scaled(1.0)
    }

    /// A clock of which `scale` seconds pass for each second of a run. What is below 0 counts as 0.
    #[must_use]
    pub fn scaled(scale: f64) -> Self {
        let scale = if scale.is_finite() { scale.max(0.0) } else { 1.0 };
        Self { scale, set: Mutex::new((Instant::now(), Timestamp::now())) }
    }

    fn is_real(&self) -> bool {
        (self.scale - 1.0).abs() < f64::EPSILON
    }

    /// Whether waits take no time.
    #[must_use]
    pub fn jumps(&self) -> bool {
        self.scale == 0.0
    }

    /// The time of runs now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        if self.is_real() {
            return Timestamp::now();
        }
        let (at, set) = *self.set.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if self.jumps() {
            return set;
        }
        let passed = at.elapsed().as_secs_f64() / self.scale;
        let passed = SignedDuration::try_from_secs_f64(passed).unwrap_or(SignedDuration::ZERO);
        set.checked_add(passed).unwrap_or(Timestamp::MAX)
    }

    /// Set a clock that is not that of the world, unless it is later already.
    pub fn set(&self, to: Timestamp) {
        if !self.is_real() && to > self.now() {
            let mut set = self.set.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *set = (Instant::now(), to);
        }
    }

    /// How long it is until a time of runs.
    #[must_use]
    pub fn until(&self, at: Timestamp) -> Duration {
        let left = at.duration_since(self.now());
        let left = Duration::try_from(left).unwrap_or(Duration::ZERO);
        // A step of the clock back must not let the timer fire early again and again.
        left.mul_f64(self.scale.min(1e6))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumps_stands_still_until_it_is_set() {
        let clock = Clock::scaled(0.0);
        let start = clock.now();
        assert_eq!(clock.now(), start);
        let later = start + SignedDuration::from_hours(1);
        assert_eq!(clock.until(later), Duration::ZERO);
        clock.set(later);
        assert_eq!(clock.now(), later);
        clock.set(start);
        assert_eq!(clock.now(), later, "time does not go back");
    }

    #[test]
    fn a_scaled_clock_waits_less() {
        let clock = Clock::scaled(0.5);
        let later = clock.now() + SignedDuration::from_secs(10);
        let wait = clock.until(later);
        assert!(wait > Duration::from_secs(4) && wait <= Duration::from_secs(5), "{wait:?}");
    }
}
