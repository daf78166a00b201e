//! Any text as grub.cfg; what follows a NUL is the environment block, what follows another an entry
//! under loader/entries.
#![no_main]

use kiln_fuzz::Firmware;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(3, |&byte| byte == 0);
    let mut part = || parts.next().unwrap_or_default();
    let files = [
        ("/boot/grub/grub.cfg", part()),
        ("/boot/grub/grubenv", part()),
        ("/boot/loader/entries/a.conf", part()),
    ];
    kiln_fuzz::check_guest(Firmware::Bios, &files);
});
