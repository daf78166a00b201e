//! Used blocks of a disk as an xfs filesystem: opened, and up to 200 nodes read in every way there
//! is. `cfg(fuzzing)` turns the verification of checksums off, which no fuzzer guesses.
#![no_main]

use kiln_fuzz::Sparse;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(fs) = kiln_volume::open_xfs(Sparse::shared(data, 320 << 20)) {
        kiln_fixtures::walk::exercise(&*fs, 200);
    }
});
