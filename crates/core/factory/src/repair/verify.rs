//! Whether the repaired disk is what the plan promised: every edited path, and every item.

use std::collections::BTreeSet;

use kiln_guest::repair::{Change, Edit, Editor, Plan, Staging, apply, worse};
use kiln_guest::{CHECKS, Inspection, Item, Status, run};
use kiln_volume::Tree;

use crate::{Error, Result};

/// Compare the disk that `after` looked at with what `plan` makes of `before`.
///
/// # Errors
///
/// [`Error::NotAsPlanned`] with the first difference; where something cannot be read.
pub(super) fn verify(before: &Inspection, plan: &Plan, after: &Inspection) -> Result<Vec<Item>> {
    let edits = plan.edits();
    let has_commands = !plan.commands().is_empty();
    let mut expected = Staging::new(before);
    apply(&mut expected, &edits, &mut |_| ())?;
    if !has_commands {
        // Programs of the guest may have changed the files again.
        compare_files(&edits, &mut expected, after)?;
    }
    let items = run(after, CHECKS);
    compare_items(plan, &items, has_commands)?;
    Ok(items)
}

fn compare_files(edits: &[Edit], expected: &mut Staging, after: &Inspection) -> Result<()> {
    let tree = tree(after)?;
    let mut real = Staging::new(after);
    for path in touched(edits) {
        let (wanted, found) = (expected.entry(path)?, real.entry(path)?);
        if wanted != found {
            return Err(Error::NotAsPlanned(format!("{path}: {found:?} instead of {wanted:?}")));
        }
        let expected_tree = expected.inspection().guest().map(|guest| &guest.tree);
        let Some(expected_tree) = expected_tree.filter(|_| wanted.is_some()) else { continue };
        let (wanted, found) = (attributes(expected_tree, path)?, attributes(tree, path)?);
        if wanted != found {
            return Err(Error::NotAsPlanned(format!("{path}: {found} instead of {wanted}")));
        }
    }
    Ok(())
}

fn touched(edits: &[Edit]) -> BTreeSet<&str> {
    let mut paths = BTreeSet::new();
    for edit in edits {
        paths.insert(edit.path.as_str());
        if let Change::Copy { to, .. } | Change::Rename { to } = &edit.change {
            paths.insert(to.as_str());
        }
    }
    paths
}

fn tree(inspection: &Inspection) -> Result<&Tree> {
    let guest = inspection.guest();
    let gone = || Error::NotAsPlanned("no operating system is found on it".to_owned());
    Ok(&guest.ok_or_else(gone)?.tree)
}

/// Owner, mode and labels, for comparison. FAT has none of its own.
fn attributes(tree: &Tree, path: &str) -> Result<String> {
    let Some(at) = tree.locate_link(path)? else { return Ok("nothing".to_owned()) };
    let fs = tree.filesystem(&at);
    if fs.info().kind.fstab_type() == "vfat" {
        return Ok("on FAT".to_owned());
    }
    let stat = fs.stat(at.node)?;
    let mut labels: Vec<String> = fs
        .xattrs(at.node)?
        .iter()
        .map(|xattr| format!(" {}={:?}", String::from_utf8_lossy(&xattr.name), xattr.value))
        .collect();
    labels.sort();
    Ok(format!("mode {:04o} of {}:{}{}", stat.mode, stat.uid, stat.gid, labels.concat()))
}

fn compare_items(plan: &Plan, items: &[Item], has_commands: bool) -> Result<()> {
    let worse = worse(&plan.before, items);
    if !worse.is_empty() {
        return Err(Error::NotAsPlanned(format!("{} got worse", worse.join(", "))));
    }
    for item in items {
        let promised = plan.after.iter().find(|promised| promised.name == item.name);
        let kept = promised.is_some_and(|promised| promised.status == item.status);
        // What the guest's programs do cannot be foreseen, but that they mended can be seen.
        let is_mended = has_commands && item.status != Status::Risk;
        if !kept && !is_mended {
            let code = item.risk_code.as_deref().unwrap_or_default();
            let text = format!("{} is {:?} {code}: {}", item.name, item.status, item.message);
            return Err(Error::NotAsPlanned(text));
        }
    }
    if has_commands {
        for step in plan.steps.iter().filter(|step| !step.commands().is_empty()) {
            let full = format!("GUESTOS.{}", step.item);
            let item = items.iter().find(|item| item.name == full);
            if let Some(item) = item.filter(|item| item.status != Status::Pass) {
                let text = format!("{full} still does not pass: {}", item.message);
                return Err(Error::NotAsPlanned(text));
            }
        }
    }
    Ok(())
}
