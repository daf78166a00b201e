//! What a repair would do to a phony guest, as text.

use kiln_fixtures::phony::Phony;

use super::{Bundle, Options, Repair, StepResult, plan, unified};
use crate::{Declared, inspect};

/// The diff of every edit but the copies that backups are, and what is left; or the refusal.
pub(super) fn told(guest: &Phony, repair: &'static Repair, options: &Options) -> String {
    let inspection = inspect(guest.layout(), Declared::default());
    let plan = match plan(&inspection, &[repair], options, &Bundle::default()) {
        Ok(plan) => plan,
        Err(refusal) => return format!("refused: {}: {}\n", refusal.code, refusal.reason),
    };
    match &plan.steps[0].result {
        StepResult::Skipped(why) => format!("skipped: {why}\n"),
        StepResult::Refused(refusal) => format!("refused: {}: {}\n", refusal.code, refusal.reason),
        StepResult::Planned { edits, left, .. } => {
            let diffs = edits.iter().filter(|edit| edit.reason != "keep the file as it was");
            let left = left.iter().map(|left| format!("left: {left}\n"));
            diffs.map(unified).chain(left).collect()
        }
    }
}
