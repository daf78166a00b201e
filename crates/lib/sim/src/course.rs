//! How a resource moves through its states: a list of states and the times they begin.
//!
//! The whole course is set down when an operation starts it, so that the state at any time is a
//! pure function of the course and that time.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// States and the times at which they begin. The first also holds before its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Course<S> {
    since: Timestamp,
    first: S,
    later: Vec<(Timestamp, S)>,
}

impl<S: Copy + PartialEq> Course<S> {
    /// `state` since `since`, and for ever unless more follows.
    pub(crate) fn new(state: S, since: Timestamp) -> Self {
        Self { since, first: state, later: Vec::new() }
    }

    /// `seconds` after the beginning of the last state so far, `state`.
    pub(crate) fn then(mut self, seconds: u32, state: S) -> Self {
        self.later.push((after(self.end(), seconds), state));
        self
    }

    /// The state at `now`.
    pub(crate) fn at(&self, now: Timestamp) -> S {
        self.later.iter().rev().find(|(since, _)| *since <= now).map_or(self.first, |step| step.1)
    }

    /// When the last state begins.
    pub(crate) fn end(&self) -> Timestamp {
        self.later.last().map_or(self.since, |step| step.0)
    }

    /// When the first state began.
    pub(crate) fn since(&self) -> Timestamp {
        self.since
    }

    /// Whether nothing more will happen.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.end() <= now
    }

    /// How much of the way to the last state is behind, in percent.
    pub(crate) fn percent(&self, now: Timestamp) -> i64 {
        let whole = self.end().duration_since(self.since).as_secs();
        let gone = now.duration_since(self.since).as_secs();
        if whole <= 0 || gone >= whole {
            return 100;
        }
        gone.max(0).saturating_mul(100).checked_div(whole).unwrap_or(100)
    }

    /// Seconds until the last state begins.
    pub(crate) fn remaining(&self, now: Timestamp) -> i64 {
        self.end().duration_since(now).as_secs().max(0)
    }
}

/// `seconds` after `time`, or the end of time.
pub(crate) fn after(time: Timestamp, seconds: u32) -> Timestamp {
    time.checked_add(SignedDuration::from_secs(seconds.into())).unwrap_or(Timestamp::MAX)
}

/// An enum whose variants have the names of the wire.
macro_rules! wire_names {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $wire:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub(crate) enum $name { $(#[serde(rename = $wire)] $variant),+ }

        #[allow(dead_code, reason = "not every list of names is read from a file or a request")]
        impl $name {
            pub(crate) const NAMES: &'static [&'static str] = &[$($wire),+];

            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$variant => $wire),+ }
            }

            pub(crate) fn named(name: &str) -> Option<Self> {
                match name { $($wire => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
pub(crate) use wire_names;

/// `2026-01-02T03:04:05Z`, as images, disks, snapshots and Cloud Assistant have times.
pub(crate) fn with_seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `2026-01-02T03:04Z`, as instances and tasks have times.
pub(crate) fn with_minutes(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%MZ").to_string()
}

/// A time of a request or a world file: with or without seconds, or a date alone.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let whole = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        17 => format!("{}:00Z", text.strip_suffix('Z')?),
        _ => text.to_owned(),
    };
    whole.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_a_function_of_the_time() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let course = Course::new("a", start).then(10, "b").then(10, "c");
        for (seconds, state, percent, over) in
            [(0, "a", 0, false), (9, "a", 45, false), (10, "b", 50, false), (20, "c", 100, true)]
        {
            let now = after(start, seconds);
            assert_eq!((course.at(now), course.percent(now)), (state, percent), "{seconds}");
            assert_eq!(course.is_over(now), over, "{seconds}");
        }
        assert_eq!(course.at(Timestamp::MIN), "a");
        assert_eq!(Course::new("a", Timestamp::MAX).then(u32::MAX, "b").at(Timestamp::MAX), "b");
    }

    #[test]
    fn times_are_read_in_each_written_form() {
        for text in ["2026-01-02", "2026-01-02T00:00Z", "2026-01-02T00:00:00Z"] {
            assert_eq!(with_seconds(parse_time(text).unwrap()), "2026-01-02T00:00:00Z");
        }
        for text in ["", "2026", "yesterday!", "2026-01-02T00:00X", "年年年a"] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }
}
