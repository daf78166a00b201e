//! Files of GRUB that are damaged, that keep names of the old machine, or that are not there.

use super::super::fstab::forget_lvm_devices;
use super::super::refusal::{Refusal, codes};
use super::super::{Draft, Stop, lines};
use crate::Result;
use crate::boot::grubenv;
use crate::check::Finding;
use crate::check::grub::filters_names;
use crate::inspect::devices::{Resolved, resolve_device};

/// Write a damaged environment block anew. Another configuration only the guest's own tool can.
pub(super) fn mend(draft: &mut Draft, finding: &Finding) -> Result<bool, Stop> {
    let path = finding.evidence.first().and_then(|seen| seen.path.clone()).unwrap_or_default();
    if !path.ends_with("grubenv") {
        return regenerate(draft, finding);
    }
    let Some(bytes) = draft.tree()?.read(&path, 1 << 20)? else { return Ok(false) };
    let after = grubenv::mended(&bytes);
    let changed = after != bytes;
    draft.write(&path, after, "GRUB reads and writes a block of 1024 bytes, and no other")?;
    Ok(changed)
}

/// Menus are written by the guest's own tool, where that may run.
fn regenerate(draft: &mut Draft, finding: &Finding) -> Result<bool, Stop> {
    let refusal = Refusal::new(codes::GRUB_NO_CONFIG, finding.message.as_str());
    let tree = draft.tree()?;
    let mut tools: Vec<&[&str]> = Vec::new();
    for (program, argv) in [
        ("/usr/sbin/update-grub", &["update-grub"][..]),
        ("/usr/sbin/grub2-mkconfig", &["grub2-mkconfig", "-o", "/boot/grub2/grub.cfg"]),
        ("/usr/bin/grub-mkconfig", &["grub-mkconfig", "-o", "/boot/grub/grub.cfg"]),
    ] {
        if tree.is_file(program)? {
            tools.push(argv);
        }
    }
    let Some(argv) = tools.first() else {
        return Err(refusal
            .hint("write the menu in the guest: update-grub, or grub2-mkconfig")
            .into());
    };
    if !draft.options().exec {
        let hint = format!("--exec runs `{}` in the helper VM", argv.join(" "));
        return Err(refusal.hint(hint).into());
    }
    if draft.is_empty() {
        draft.run(argv, finding.message.as_str())?;
    }
    Ok(false)
}

/// No list or filter of LVM names the disks of another machine.
pub(super) fn lift_lvm_filter(draft: &mut Draft) -> Result<bool, Stop> {
    let reason = "it lets LVM use only the disks of the machine it came from";
    let removed = forget_lvm_devices(draft)?;
    Ok(draft.rewrite("/etc/lvm/lvm.conf", reason, without_filters)? || removed)
}

/// `text` with the filters that name disks as comments, to the end of each list.
pub(super) fn without_filters(text: &str) -> String {
    let mut is_inside = false;
    let mut kept = lines::edit(text, |line| {
        let body = line.trim();
        if !filters_names(body) && !is_inside {
            return lines::Fate::Keep;
        }
        is_inside = !body.contains(']');
        lines::Fate::Become(format!("# kiln: {line}"))
    });
    if is_inside {
        // A list that never ends is not ours to cut.
        kept.clear();
        kept.push_str(text);
    }
    kept
}

/// What tools of the guest take the names of its disks from: they stop at one that is not there, and
/// do without the list. GRUB legacy needs the list.
pub(super) fn forget_old_disks(draft: &mut Draft) -> Result<(), Stop> {
    const REASON: &str = "it has names of disks that the platform does not have";
    for (directory, is_legacy_place) in [("/boot/grub2", false), ("/boot/grub", true)] {
        let path = format!("{directory}/device.map");
        let Some(text) = draft.tree()?.read_text(&path)? else { continue };
        let layout = &draft.guest()?.layout;
        let is_old = |line: &str| {
            let device = line.split_ascii_whitespace().nth(1).filter(|_| line.starts_with('('));
            let resolved = device.map(|device| resolve_device(layout, device));
            matches!(resolved, Some(Resolved::KernelName { stable: false, .. }))
        };
        if !text.lines().any(is_old) {
            continue;
        }
        if is_legacy_place && draft.tree()?.is_file("/boot/grub/stage2")? {
            let after = lines::edit(&text, |line| match line.split_ascii_whitespace().next() {
                Some(disk @ "(hd0)") if is_old(line) => {
                    lines::Fate::Become(format!("{disk}     /dev/vda"))
                }
                _ => lines::Fate::Keep,
            });
            draft.write(&path, after, REASON)?;
        } else {
            draft.remove(&path, REASON)?;
        }
    }
    draft.rewrite("/etc/default/grub", "menus name the root by its UUID", |text| {
        lines::edit(text, |line| match line.trim().split_once('=') {
            Some(("GRUB_DISABLE_LINUX_UUID", value))
                if value.trim_matches(['"', '\'']) == "true" =>
            {
                lines::Fate::Become(format!("#kiln {line}"))
            }
            _ => lines::Fate::Keep,
        })
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::without_filters;

    #[test]
    fn filters_become_comments_to_their_end() {
        for (before, after) in [
            ("\tfilter = [ \"a|/dev/sda|\" ]\nx\n", "# kiln: \tfilter = [ \"a|/dev/sda|\" ]\nx\n"),
            (
                "global_filter = [ \"a|/dev/sda|\",\n \"r|.*|\" ]\nx\n",
                "# kiln: global_filter = [ \"a|/dev/sda|\",\n# kiln:  \"r|.*|\" ]\nx\n",
            ),
            ("filter = [ \"a|.*|\" ]\n", "filter = [ \"a|.*|\" ]\n"),
            ("filter = [ \"a|/dev/sda|\",\nx\n", "filter = [ \"a|/dev/sda|\",\nx\n"),
        ] {
            assert_eq!(without_filters(before), after);
        }
    }
}
