//! Vhdx: open a file given by its used blocks, read in some places, walk a part of the map.
#![no_main]

use kiln_disk::Format;
use kiln_fuzz::Sparse;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    kiln_fuzz::exercise_image(Sparse::shared(data, 16 << 20), Format::Vhdx);
});
