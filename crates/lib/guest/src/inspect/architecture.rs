//! The architecture of programs and kernels, from their headers.

use kiln_volume::{Result, Tree};

/// Programs that every Linux has one of; links to busybox are followed.
const PROGRAMS: &[&str] = &[
    "/bin/bash",
    "/bin/ls",
    "/bin/sh",
    "/usr/bin/env",
    "/usr/bin/bash",
    "/usr/lib/systemd/systemd",
    "/sbin/init",
];

/// The architecture of the first program that can be read, and which it was. Scripts prove nothing.
///
/// # Errors
///
/// Of the last program that could not be read, where none could.
pub(crate) fn of_programs(tree: &Tree) -> Result<Option<(&'static str, &'static str)>> {
    let mut error = None;
    for path in PROGRAMS {
        match of_file(tree, path) {
            Ok(Some(architecture)) => return Ok(Some((path, architecture))),
            Ok(None) => {}
            Err(found) => error = Some(found),
        }
    }
    error.map_or(Ok(None), Err)
}

/// The architecture of the ELF program, the PE program or the kernel image at `path`. `None`: no
/// such file, or none of these.
pub(crate) fn of_file(tree: &Tree, path: &str) -> Result<Option<&'static str>> {
    let Some(reader) = tree.open(path)? else { return Ok(None) };
    let mut head = vec![0; 1024];
    let mut filled = 0;
    while let Some(rest) = head.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read_at(filled as u64, rest)? {
            0 => break,
            n => filled += n,
        }
    }
    head.truncate(filled);
    Ok(of_header(&head))
}

/// The architecture that the first KiB of a program or kernel image tells.
pub(crate) fn of_header(head: &[u8]) -> Option<&'static str> {
    of_elf(head).or_else(|| of_pe(head)).or_else(|| of_kernel(head))
}

/// `e_machine` at 0x12, in the byte order that the byte at 5 names (ELF specification, "ELF
/// header").
fn of_elf(head: &[u8]) -> Option<&'static str> {
    let header: &[u8; 20] = head.first_chunk()?;
    if !header.starts_with(b"\x7fELF") {
        return None;
    }
    let is_64 = header[4] == 2;
    let little = header[5] == 1;
    let bytes = [header[0x12], header[0x13]];
    let machine = if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) };
    Some(match (machine, is_64, little) {
        (3, false, _) => "i386",
        (62, _, _) => "x86_64",
        (183, _, _) => "arm64",
        (40, _, _) => "arm",
        (21, true, true) => "ppc64le",
        (21, true, false) => "ppc64",
        (22, true, _) => "s390x",
        (243, true, _) => "riscv64",
        (258, true, _) => "loongarch64",
        (8, _, true) => "mips64el",
        _ => return None,
    })
}

/// The machine of a PE file: the u16 after the signature that the u32 at 0x3C points to.
pub(crate) fn of_pe(head: &[u8]) -> Option<&'static str> {
    if !head.starts_with(b"MZ") {
        return None;
    }
    let at = head.get(0x3C..0x40)?.try_into().ok().map(u32::from_le_bytes)?;
    let at = usize::try_from(at).ok()?;
    let header = head.get(at..at.checked_add(6)?)?;
    let machine: [u8; 2] = header.strip_prefix(b"PE\0\0")?.try_into().ok()?;
    match u16::from_le_bytes(machine) {
        0x014C => Some("i386"),
        0x8664 => Some("x86_64"),
        0xAA64 => Some("arm64"),
        0x5064 => Some("riscv64"),
        0x6264 => Some("loongarch64"),
        _ => None,
    }
}

/// Kernels that are not PE files: x86 `HdrS` at 0x202 with `xloadflags` at 0x236 (bit 0: 64-bit,
/// boot protocol 2.12), arm64 `ARM\x64` at 0x38. Older x86 kernels do not tell 32 from 64 bit.
fn of_kernel(head: &[u8]) -> Option<&'static str> {
    if head.get(0x38..0x3C) == Some(b"ARM\x64") {
        return Some("arm64");
    }
    if head.get(0x202..0x206) != Some(b"HdrS") {
        return None;
    }
    let version = head.get(0x206..0x208)?.try_into().ok().map(u16::from_le_bytes)?;
    match head.get(0x236) {
        Some(flags) if version >= 0x020C => Some(if flags & 1 == 1 { "x86_64" } else { "i386" }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::elf;
    use kiln_volume::MemFs;
    use std::sync::Arc;

    #[test]
    fn elf_machines_are_named() {
        for (machine, name) in [(62, "x86_64"), (183, "arm64"), (243, "riscv64"), (40, "arm")] {
            assert_eq!(of_header(&elf(machine)), Some(name));
        }
        let mut i386 = elf(3);
        i386[4] = 1;
        assert_eq!(of_header(&i386), Some("i386"));
        assert_eq!(of_header(&elf(999)), None);
        assert_eq!(of_header(&elf(62)[..19]), None);
        assert_eq!(of_header(b"#!/bin/sh\n"), None);
    }

    #[test]
    fn kernels_are_named() {
        let mut image = vec![0; 1024];
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x206..0x208].copy_from_slice(&0x020Fu16.to_le_bytes());
        assert_eq!(of_header(&image), Some("i386"));
        image[0x236] = 0x7F;
        assert_eq!(of_header(&image), Some("x86_64"));
        image[0x206] = 0x0A;
        assert_eq!(of_header(&image), None, "protocol 2.10 has no such flag");
    }

    #[test]
    fn links_are_followed_and_scripts_skipped() {
        let mut fs = MemFs::new();
        fs.file("/bin/bash", "#!/bin/sh\n").symlink("/bin/ls", "/bin/busybox");
        fs.file("/bin/busybox", elf(183));
        let tree = Tree::new(Arc::new(fs));
        assert_eq!(of_programs(&tree).unwrap(), Some(("/bin/ls", "arm64")));
    }
}
