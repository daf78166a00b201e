//! Used blocks of a disk as an ext filesystem: opened, and up to 200 nodes read in every way there
//! is. The same calls on mutated sound images are the test `mutate` of kiln-volume.
#![no_main]

use kiln_fuzz::Sparse;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(fs) = kiln_volume::open_ext(Sparse::shared(data, 8 << 20)) {
        kiln_fixtures::walk::exercise(&*fs, 200);
    }
});
