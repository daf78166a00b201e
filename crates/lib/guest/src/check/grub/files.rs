//! The files that the default entry loads: there, not empty, and what they should be.

use crate::boot::{Boot, BootEntry};
use crate::check::{Evidence, Finding};
use crate::inspect::devices::by_uuid;
use crate::{Guest, Result};

/// Kernel and initial ramdisks of `entry`.
pub(super) fn judge(guest: &Guest, entry: &BootEntry) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let Some(kernel) = entry.kernel.as_deref() else { return Ok(findings) };
    let seen = || Evidence::line(&entry.source, entry.line, kernel);
    // A failed search is told by itself: the kernel behind it is not missing but not looked for.
    let lost =
        entry.search_uuid.as_deref().is_some_and(|uuid| by_uuid(&guest.layout, uuid).is_none());
    if !entry.kernel_found {
        if !lost {
            let message =
                format!("the default entry loads {kernel}, which {}", state(guest, kernel)?);
            findings.push(Finding::high("Grub.KernelMissing", message).seen(seen()));
        }
        return Ok(findings);
    }
    if head(guest, kernel)?.is_some_and(|head| !is_kernel(&head)) {
        let message = format!("the default entry loads {kernel}, which is not a kernel");
        findings.push(Finding::high("Grub.KernelMissing", message).seen(seen()));
    }
    for initrd in &entry.initrds {
        let message = if entry.missing_initrds.contains(initrd) {
            format!("the default entry loads {initrd}, which {}", state(guest, initrd)?)
        } else if initrd != kernel && head(guest, initrd)?.is_some_and(|head| !is_archive(&head)) {
            format!("the default entry loads {initrd}, which is not an initial ramdisk")
        } else {
            continue;
        };
        let seen = Evidence::line(&entry.source, entry.line, initrd);
        findings.push(Finding::high("Grub.InitrdMissing", message).seen(seen));
    }
    Ok(findings)
}

fn state(guest: &Guest, path: &str) -> Result<&'static str> {
    Ok(if guest.tree.is_file(path)? { "is empty" } else { "is not there" })
}

/// The first KiB of a file of the guest. `None`: it is on a volume that the guest does not mount.
fn head(guest: &Guest, path: &str) -> Result<Option<Vec<u8>>> {
    let Some(file) = guest.tree.open(path)? else { return Ok(None) };
    let mut head = vec![0; 1024];
    let n = file.read_at(0, &mut head)?;
    head.truncate(n);
    Ok(Some(head))
}

/// x86 boot sector, EFI program, ELF, gzip (arm64), or arm64 `Image`.
fn is_kernel(head: &[u8]) -> bool {
    head.get(0x202..0x206) == Some(b"HdrS")
        || head.get(0x38..0x3C) == Some(b"ARM\x64")
        || [&b"MZ"[..], b"\x7fELF", b"\x1f\x8b", b"\x27\x05\x19\x56"]
            .iter()
            .any(|magic| head.starts_with(magic))
}

/// cpio, or what the kernel unpacks: gzip, bzip2, xz, lzma, lzo, lz4, zstd; zeroes may stand before.
fn is_archive(head: &[u8]) -> bool {
    let magics: [&[u8]; 10] = [
        b"070701",
        b"070702",
        b"\x1f\x8b",
        b"BZh",
        b"\xfd7zXZ",
        b"\x5d\0\0",
        b"\x89LZO",
        b"\x02\x21\x4c\x18",
        b"\x28\xb5\x2f\xfd",
        b"\x04\x22\x4d\x18",
    ];
    let is_padding = head.len() == 1024 && head.iter().all(|&byte| byte == 0);
    magics.iter().any(|magic| head.starts_with(magic)) || is_padding
}

/// Entries of the Boot Loader Specification whose kernel was removed.
pub(crate) fn stale_entries(boot: &Boot) -> impl Iterator<Item = &BootEntry> {
    let is_stale = |(index, entry): &(usize, &BootEntry)| {
        Some(*index) != boot.default && !entry.kernel_found && entry.command == "options"
    };
    boot.entries.iter().enumerate().filter(is_stale).map(|(_, entry)| entry)
}

/// What is held against each of them.
pub(super) fn judge_stale(boot: &Boot) -> Vec<Finding> {
    stale_entries(boot)
        .map(|entry| {
            let kernel = entry.kernel.as_deref().unwrap_or("no kernel");
            let message = format!("the entry {:?} loads {kernel}, which is not there", entry.id);
            Finding::medium("Grub.StaleEntry", message)
                .seen(Evidence::line(&entry.source, entry.line, kernel))
                .suggest(format!("remove {}", entry.source))
        })
        .take(20)
        .collect()
}
