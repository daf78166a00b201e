#![no_main]
//! Any bytes as each of rpm's databases; the first byte chooses which.
use kiln_guest::{PackageDb, PackageDbKind};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, bytes)) = data.split_first() else { return };
    let kind = match choice % 3 {
        0 => PackageDbKind::RpmSqlite,
        1 => PackageDbKind::RpmNdb,
        _ => PackageDbKind::RpmBdb,
    };
    let _ = PackageDb::parse(kind, bytes);
});
