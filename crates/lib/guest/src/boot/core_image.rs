//! Whether the GRUB core image that BIOS starts is the one that the guest's files belong to.
//!
//! `grub-install` writes `core.img` beside the configuration and embeds the same bytes in the gap
//! or the BIOS boot partition. The first sector holds the block list and differs; bytes 0x210 to
//! 0x213 are the Reed-Solomon length, zero in the file (seen with GRUB 2.06 on MBR and GPT).

use super::BootFact;
use super::firmware::core_sector;
use crate::Guest;
use crate::check::Evidence;

const PATHS: &[&str] = &["/boot/grub/i386-pc/core.img", "/boot/grub2/i386-pc/core.img"];

/// The core image, where it is another one than the guest's.
pub(super) fn compare(guest: &Guest) -> Option<BootFact> {
    const MAX_CORE_BYTES: u64 = 4 << 20;
    let disk = guest.layout.disks.first()?;
    let mut sector = [0; 512];
    disk.source.read_at(0, &mut sector).ok()?;
    if !sector.windows(4).any(|window| window == b"GRUB") || !sector.starts_with(&[0xEB, 0x63]) {
        return None;
    }
    let (path, file) = PATHS.iter().find_map(|path| {
        let bytes = guest.tree.read(path, MAX_CORE_BYTES).ok().flatten()?;
        Some((*path, bytes))
    })?;
    let mut embedded = vec![0; file.len()];
    let at = core_sector(&sector);
    disk.source.read_at(at.checked_mul(512)?, &mut embedded).ok()?;
    let is_same = |range: std::ops::Range<usize>| file.get(range.clone()) == embedded.get(range);
    let end = file.len();
    if end <= 0x214 || (is_same(0x200..0x210) && is_same(0x214..end)) {
        return None;
    }
    let message = format!(
        "the core image at sector {at} is not {path}: BIOS starts a GRUB of another installation"
    );
    let evidence = Evidence::file(path, format!("differs from sector {at} of the disk"));
    Some(BootFact { code: "Grub.CoreImageStale", message, evidence })
}
