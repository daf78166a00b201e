//! LVM: the input is the metadata text of a group, put into a sound physical volume, because no
//! fuzzer finds the checksums that stand before it.
#![no_main]

use kiln_disk::MemSource;
use kiln_fixtures::lvm::{physical_volume, write_text};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut image = physical_volume(2 << 20, "aaaaaabbbbccccddddeeeeffffgggggg");
    let text = String::from_utf8_lossy(data.get(..64 << 10).unwrap_or(data));
    write_text(&mut image, &text, 512);
    kiln_volume::exercise_volumes(MemSource::shared(image));
});
