//! Any bytes as an xfs filesystem: opened, and up to 200 nodes read in every way there is.
#![no_main]

use kiln_disk::MemSource;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(fs) = kiln_volume::open_xfs(MemSource::shared(data)) {
        kiln_fixtures::walk::exercise(&*fs, 200);
    }
});
