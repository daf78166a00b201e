//! A whole disk: tables, signatures, arrays, groups, and the filesystems on it.
#![no_main]

use kiln_disk::MemSource;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    kiln_volume::exercise_volumes(MemSource::shared(data));
});
