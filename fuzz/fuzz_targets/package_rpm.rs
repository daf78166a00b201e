#![no_main]
//! Any bytes as a package of a bundle, read to its end.
use kiln_guest::repair::Bundle;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let file = "any/any/x86_64/a.rpm".to_owned();
    if let Ok(bundle) = Bundle::new([(file, data.to_vec())]) {
        let _ = bundle.verify();
    }
});
