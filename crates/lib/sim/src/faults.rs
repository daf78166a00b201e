//! What goes wrong, as the world file scripts it.

use serde::{Deserialize, Serialize};

use crate::{error::ApiFault, resources::ResourceKind};

/// A scripted fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Fault {
    /// A call is refused and has no effect.
    Refuse {
        /// Which calls.
        on: Calls,
        /// What they are answered.
        answer: ApiFault,
    },
    /// A call has its effect, and its caller gets an error.
    LoseAnswer {
        /// Which calls.
        on: Calls,
        /// What they are answered.
        answer: ApiFault,
    },
    /// Some calls one after the other are refused for their number.
    Throttle {
        /// The first of them.
        on: Calls,
        /// How many they are.
        n_calls: u64,
    },
    /// A resource ends in its failed state.
    Ends {
        /// Of which kind.
        resource: ResourceKind,
        /// The how manieth made during the rehearsal.
        nth: Nth,
    },
}

/// Calls of one operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Calls {
    pub(crate) service: String,
    pub(crate) api: String,
    pub(crate) nth: Nth,
}

/// One of many, counted from 1, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Nth {
    Every,
    Only(u64),
}

/// What a fault does to a call.
#[derive(Debug, PartialEq)]
pub(crate) enum Strike {
    Refuse(ApiFault),
    LoseAnswer(ApiFault),
}

impl Nth {
    fn is(self, nth: u64) -> bool {
        match self {
            Self::Every => true,
            Self::Only(only) => only == nth,
        }
    }

    fn first(self) -> u64 {
        match self {
            Self::Every => 1,
            Self::Only(only) => only,
        }
    }
}

impl Calls {
    fn are_of(&self, service: &str, api: &str) -> bool {
        self.service == service && self.api == api
    }
}

impl Fault {
    /// What this does to the `nth` call of an operation.
    pub(crate) fn strikes(&self, service: &str, api: &str, nth: u64) -> Option<Strike> {
        match self {
            Self::Refuse { on, answer } if on.are_of(service, api) && on.nth.is(nth) => {
                Some(Strike::Refuse(answer.clone()))
            }
            Self::LoseAnswer { on, answer } if on.are_of(service, api) && on.nth.is(nth) => {
                Some(Strike::LoseAnswer(answer.clone()))
            }
            Self::Throttle { on, n_calls } if on.are_of(service, api) => {
                let since_first = nth.checked_sub(on.nth.first())?;
                (since_first < *n_calls).then(|| Strike::Refuse(throttled()))
            }
            _ => None,
        }
    }

    /// Whether the `nth` resource of a kind ends badly.
    pub(crate) fn ends(&self, kind: ResourceKind, made_nth: u64) -> bool {
        matches!(self, Self::Ends { resource, nth } if *resource == kind && nth.is(made_nth))
    }
}

fn throttled() -> ApiFault {
    ApiFault::new(400, "Throttling.User", "Request was denied due to user flow control.")
}
