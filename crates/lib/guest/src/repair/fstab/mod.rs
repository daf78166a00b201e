//! `fstab`: boot waits only for devices that are there, under names that last.
//!
//! What the item holds against a line decides what becomes of it; nothing else of the table changes.
//! Volumes that are not in the image stay in the table, as ones that may be missing: their disk may
//! be attached later.

mod crypttab;
mod decide;
mod lines;
#[cfg(test)]
mod tests;
mod units;

use kiln_volume::{Origin, Result};

use self::decide::Decided;
use super::{Draft, Repair, Stop, waits};
use crate::check::fstab::PATH;
use crate::syntax::fstab::ProblemKind;

pub(super) static FSTAB: Repair = Repair {
    name: "fstab",
    items: &["Fstab"],
    summary: "let boot wait only for devices that are there, under names that last",
    plan,
};

const REASON: &str = "boot waits only for devices that are there, under names that last";
/// A line is changed at most a few times: its device, its type, its options.
const MAX_ROUNDS: usize = 6;
/// What remembers which device had which name on the old machine.
const CACHES: [&str; 3] = ["/etc/blkid/blkid.tab", "/etc/blkid.tab", "/etc/lvm/cache/.cache"];

fn plan(draft: &mut Draft) -> Result<(), Stop> {
    for _ in 0..MAX_ROUNDS {
        let decided = decide::decide(draft.inspection(), draft.guest()?)?;
        if !make(draft, &decided)? {
            break;
        }
        draft.look_again();
    }
    crypttab::plan(draft)?;
    for path in CACHES {
        draft.remove(path, "it remembers the device names of the machine it came from")?;
    }
    forget_lvm_devices(draft)?;
    waits::lift(draft)
}

/// `false`: there was nothing to do.
fn make(draft: &mut Draft, decided: &Decided) -> Result<bool, Stop> {
    let mut changed = false;
    let before = draft.tree()?.read(PATH, 1 << 20)?;
    let mut table = before.clone().unwrap_or_default();
    for ((path, line), change) in &decided.lines {
        if path == PATH {
            table = lines::changed(&table, *line, change);
            continue;
        }
        changed |= draft.rewrite(path, REASON, |text| {
            units::changed(text, change).unwrap_or_else(|| text.to_owned())
        })?;
    }
    let has = |wanted| decided.cleaning.iter().any(|(kind, _)| *kind == wanted);
    // Lines keep their numbers as long as they are cleaned in place.
    for (kind, line) in &decided.cleaning {
        table = match kind {
            ProblemKind::NotUtf8 => lines::escaped(&table, *line),
            // A line of zeroes only is none any more once they are gone.
            ProblemKind::TooFewFields if !has(ProblemKind::ZeroByte) => {
                lines::changed(&table, *line, &lines::LineChange::Comment)
            }
            _ => table,
        };
    }
    if has(ProblemKind::CarriageReturn) {
        table = lines::with_unix_line_ends(&table);
    }
    if has(ProblemKind::ZeroByte) {
        table = lines::without_zeroes(&table);
    }
    if let Some(line) = &decided.first_line {
        table = lines::with_first(&table, line);
    }
    for line in &decided.last_lines {
        table = lines::with_last(&table, line);
    }
    if table != before.unwrap_or_default() {
        draft.write(PATH, table, REASON)?;
        changed = true;
    }
    for link in &decided.links {
        changed |= draft.remove(link, "what it mounts is not in the image")?;
    }
    for directory in &decided.directories {
        draft.make_directory(directory, "fstab mounts something here")?;
        changed = true;
    }
    Ok(changed)
}

/// The list of the disks that LVM may use, where it names those of another machine: without the
/// list it uses all. `false`: there was nothing to forget.
pub(super) fn forget_lvm_devices(draft: &mut Draft) -> Result<bool> {
    let guest = draft.guest()?;
    let root = guest.layout.volumes.get(guest.root_volume).map(|volume| &volume.origin);
    if matches!(root, Some(Origin::Lvm { .. })) {
        let reason = "it lets LVM use only the disks of the machine it came from";
        return draft.remove("/etc/lvm/devices/system.devices", reason);
    }
    Ok(false)
}
