//! Any bytes as what a guest writes to its console, or as what QEMU writes of the wire; the first byte
//! chooses which, and in pieces of which length.
#![no_main]

use std::time::Duration;

use kiln_compute::boot::{Recogniser, Wire};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&choice, bytes)) = data.split_first() else { return };
    let pieces = bytes.chunks(usize::from(choice >> 1) + 1);
    if choice & 1 == 0 {
        let mut wire = Wire::default();
        for piece in pieces {
            let _ = wire.feed(piece);
        }
        return;
    }
    let mut recogniser = Recogniser::new(Some("marker"));
    for (second, piece) in (0..).zip(pieces) {
        recogniser.feed(piece, Duration::from_secs(second));
    }
    assert!(recogniser.stages().len() <= 9);
    assert!(recogniser.clues().len() <= 12);
});
