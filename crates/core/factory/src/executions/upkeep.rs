//! What a process does for all runs that it drives: keep them, and look for their mail.
//!
//! One question and one statement for all of them: ten thousand drivers that each asked for
//! themselves would leave the database no time for their steps.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::driver::LEASE;
use super::service::Inner;

/// How often items of inboxes are looked for that another process wrote.
const LOOK: Duration = Duration::from_millis(500);

/// Begin; it ends with the last of the executions' handles.
pub(super) fn start(inner: &Arc<Inner>) {
    tokio::spawn(work(Arc::downgrade(inner)));
}

async fn work(inner: Weak<Inner>) {
    let mut look = tokio::time::interval(LOOK);
    let mut renew = tokio::time::interval(LEASE / 3);
    for interval in [&mut look, &mut renew] {
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    loop {
        let is_renewal = tokio::select! {
            _ = look.tick() => false,
            _ = renew.tick() => true,
        };
        let Some(inner) = inner.upgrade() else { return };
        if !inner.drives() {
            continue;
        }
        if is_renewal {
            // A driver whose lease was lost all the same learns it from its next step.
            if let Err(error) = inner.records.renew_of(&inner.owner, LEASE).await {
                tracing::warn!(%error, "what is driven here is not held for longer");
            }
            continue;
        }
        match inner.records.called(&inner.owner).await {
            Ok(roots) => roots.iter().for_each(|root| inner.ring(root)),
            Err(error) => tracing::warn!(%error, "no mail of executions is seen"),
        }
    }
}
