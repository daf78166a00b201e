#![no_main]
//! Any bytes as each of the package databases that are text.
use kiln_guest::{PackageDb, PackageDbKind};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for kind in [PackageDbKind::Dpkg, PackageDbKind::Apk, PackageDbKind::Pacman] {
        let _ = PackageDb::parse(kind, data);
    }
});
