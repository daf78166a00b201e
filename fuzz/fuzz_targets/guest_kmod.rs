#![no_main]
//! Any bytes as a module index.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = kiln_guest::index_entries(data, &mut |_, _| ());
});
