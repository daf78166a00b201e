//! LVM: the input is the metadata text of a group, put into a sound physical volume, because no
//! fuzzer finds the checksums that stand before it.
#![no_main]

use kiln_fixtures::lvm::{physical_volume, write_text};
use kiln_fuzz::Sparse;

const SIZE_BYTES: usize = 2 << 20;
/// The label and the text; what lies behind stays zero.
const USED_BYTES: usize = 256 << 10;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut image = physical_volume(SIZE_BYTES, "aaaaaabbbbccccddddeeeeffffgggggg");
    let text = String::from_utf8_lossy(data.get(..64 << 10).unwrap_or(data));
    write_text(&mut image, &text, 512);
    kiln_volume::exercise_volumes(Sparse::starting_with(&image[..USED_BYTES], SIZE_BYTES as u64));
});
