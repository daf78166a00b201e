//! What stands between the menu and an unattended boot: waiting, passwords, commands of the other
//! firmware; and what makes the next kernel update write a worse menu.

use kiln_volume::Origin;

use crate::boot::{Boot, BootEntry};
use crate::check::{Evidence, Finding};
use crate::inspect::devices::{Resolved, resolve_device};
use crate::syntax::assignments;
use crate::{Guest, Result};

/// Seconds that a menu may wait.
pub(crate) const MAX_TIMEOUT_S: i64 = 30;

pub(super) fn timeout(boot: &Boot) -> Option<Finding> {
    let timeout = boot.timeout_s.filter(|timeout| !(0..=MAX_TIMEOUT_S).contains(timeout))?;
    let message = if timeout < 0 {
        "the boot menu waits for a key for ever".to_owned()
    } else {
        format!("the boot menu waits {timeout} s, more than {MAX_TIMEOUT_S}")
    };
    let finding = Finding::medium("Grub.TimeoutTooLong", message);
    let path = boot.configs.first().map_or("", |(_, path)| path.as_str());
    Some(finding.seen(Evidence::file(path, format!("timeout={timeout}"))))
}

pub(super) fn password(entry: &BootEntry) -> Option<Finding> {
    if entry.unrestricted {
        return None;
    }
    let message = format!("the default entry {:?} asks for a password", entry.title);
    let finding = Finding::high("Grub.PasswordLocked", message);
    let seen = Evidence::line(&entry.source, entry.line, "superusers without --unrestricted");
    Some(finding.seen(seen).suggest("add --unrestricted to the entry"))
}

/// `linux16` is a command of GRUB for BIOS, `linuxefi` one for UEFI.
pub(super) fn wrong_command(entry: &BootEntry, bios: bool, uefi: bool) -> Option<Finding> {
    let command = entry.command.as_str();
    let firmware = match (command, bios, uefi) {
        ("linux16", false, true) => "UEFI",
        ("linuxefi", true, false) => "BIOS",
        _ => return None,
    };
    let message = format!("the disk starts by {firmware}, whose GRUB has no command {command}");
    let finding = Finding::high("Grub.WrongLoaderCommand", message);
    let seen = Evidence::line(&entry.source, entry.line, command);
    Some(finding.seen(seen).suggest("write linux and initrd, which both have"))
}

/// `root=` that the next `update-grub` or kernel would bring back.
pub(super) fn default_file(guest: &Guest) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut files = vec!["/etc/default/grub".to_owned()];
    for entry in guest.tree.list("/etc/default/grub.d")?.iter().take(100) {
        let name = entry.name_lossy();
        if name.ends_with(".cfg") {
            files.push(format!("/etc/default/grub.d/{name}"));
        }
    }
    for path in files {
        let Some(text) = guest.tree.read_text(&path)? else { continue };
        for assignment in assignments::parse(&text) {
            if matches!(
                assignment.name.as_str(),
                "GRUB_CMDLINE_LINUX" | "GRUB_CMDLINE_LINUX_DEFAULT"
            ) {
                findings.extend(stale_words(guest, &path, assignment.line, &assignment.value));
            }
        }
    }
    if let Some(text) = guest.tree.read_text("/etc/kernel/cmdline")? {
        findings.extend(stale_words(guest, "/etc/kernel/cmdline", 1, &text));
    }
    Ok(findings)
}

fn stale_words(guest: &Guest, path: &str, line: u32, words: &str) -> Option<Finding> {
    let root = words.split_ascii_whitespace().rev().find_map(|word| word.strip_prefix("root="))?;
    match resolve_device(&guest.layout, root) {
        Resolved::Volume(index) if index == guest.root_volume => return None,
        Resolved::KernelName { stable: true, .. } | Resolved::NotADevice => return None,
        _ => {}
    }
    let message = format!("{path} has root={root}: the next kernel update brings it into the menu");
    let finding = Finding::medium("Grub.DefaultFileStale", message);
    let seen = Evidence::line(path, line, format!("root={root}"));
    Some(finding.seen(seen).suggest(format!("remove root={root} from {path}")))
}

/// Settings of LVM that let only the disks of the machine it came from be volumes.
pub(super) fn lvm_filter(guest: &Guest) -> Result<Option<Finding>> {
    let origin = guest.layout.volumes.get(guest.root_volume).map(|volume| &volume.origin);
    if !matches!(origin, Some(Origin::Lvm { .. })) {
        return Ok(None);
    }
    for (path, is_filter) in [
        ("/etc/lvm/devices/system.devices", pins_hardware as fn(&str) -> bool),
        ("/etc/lvm/lvm.conf", filters_names),
    ] {
        let Some(text) = guest.tree.read_text(path)? else { continue };
        let found = (1u32..).zip(text.lines()).find(|(_, text)| is_filter(text.trim()));
        if let Some((line, text)) = found {
            let message = format!(
                "the root is on LVM, and {path} line {line} lets in only disks of another machine"
            );
            let finding = Finding::medium("Grub.LvmDeviceFilter", message)
                .seen(Evidence::line(path, line, text.trim()))
                .suggest(format!("remove the line from {path}"));
            return Ok(Some(finding));
        }
    }
    Ok(None)
}

fn pins_hardware(line: &str) -> bool {
    line.contains("IDTYPE=sys_wwid") || line.contains("IDTYPE=sys_serial")
}

/// Whether a line of `lvm.conf` lets in only disks by names that the platform does not have.
pub(crate) fn filters_names(line: &str) -> bool {
    let is_setting = line.starts_with("filter") || line.starts_with("global_filter");
    is_setting && ["/dev/sd", "/dev/hd", "/dev/xvd"].iter().any(|name| line.contains(name))
}
