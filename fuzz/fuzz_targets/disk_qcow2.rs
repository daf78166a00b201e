//! Qcow2: open a file in memory, read in some places, walk a part of the map.
#![no_main]

use kiln_disk::{Format, MemSource};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    kiln_fuzz::exercise_image(MemSource::shared(data), Format::Qcow2);
});
