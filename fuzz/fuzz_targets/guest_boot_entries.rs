//! Any bytes as one of the files by which a guest starts, other than grub.cfg; the first byte
//! chooses which.
#![no_main]

use kiln_fuzz::{DISK, Firmware};

const BIOS: &[&str] = &["/boot/grub/menu.lst", "/boot/extlinux/extlinux.conf", DISK];
const UEFI: &[&str] = &[
    "/boot/efi/loader/loader.conf",
    "/boot/efi/loader/entries/debian.conf",
    "/boot/efi/EFI/Linux/debian.efi",
    "/boot/efi/EFI/BOOT/BOOTX64.EFI",
    "/boot/efi/EFI/debian/grub.cfg",
    "/boot/efi/EFI/debian/BOOTX64.CSV",
    "/boot/vmlinuz-6.1.0",
];

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // An empty grub.cfg, or the menu of the guest below would be the one that counts.
    let grub: (&str, &[u8]) = ("/boot/grub/grub.cfg", b"");
    let Some((first, _)) = data.split_first() else { return };
    let is_bios = usize::from(*first) < BIOS.len();
    let (paths, firmware) = if is_bios { (BIOS, Firmware::Bios) } else { (UEFI, Firmware::Uefi) };
    let Some((path, content)) = kiln_fuzz::chosen(data, paths) else { return };
    let entries: (&str, &[u8]) = ("/boot/efi/loader/loader.conf", b"default *\n");
    let mut files = vec![grub, (path, content)];
    if path.contains("entries") {
        files.push(entries);
    }
    kiln_fuzz::check_guest(firmware, &files);
});
