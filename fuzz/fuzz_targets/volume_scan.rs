//! A whole disk, given by its used blocks: tables, signatures, arrays, groups, and the filesystems
//! on it.
#![no_main]

use kiln_fuzz::Sparse;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    kiln_volume::exercise_volumes(Sparse::shared(data, 8 << 20));
});
