#![no_main]
//! Any bytes as an initrd: never a panic, bounded memory and time.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = kiln_guest::Initramfs::from_bytes(data.to_vec());
});
