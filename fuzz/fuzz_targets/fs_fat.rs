//! A FAT filesystem on a disk without a table, given by its used blocks.
#![no_main]

use kiln_fuzz::Sparse;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    kiln_volume::exercise_volumes(Sparse::shared(data, 40 << 20));
});
