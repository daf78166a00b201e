//! Lines `key value` as entries of a module index, with the key's first byte as priority: what is
//! written is read back, in the order of keys and priorities.
#![no_main]

use std::collections::BTreeMap;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let mut index = kiln_guest::IndexWriter::new();
    let mut wanted: BTreeMap<&str, Vec<(u32, &str)>> = BTreeMap::new();
    for line in text.lines() {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        let priority = u32::from(value.bytes().next().unwrap_or(0) % 4);
        if index.insert(key, value, priority).is_ok() {
            // Of two of the same priority, the later comes first.
            wanted.entry(key).or_default().insert(0, (priority, value));
        }
    }
    let bytes = index.finish().expect("far below 256 MiB");
    let mut found: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    let read = kiln_guest::index_entries(&bytes, &mut |key, value| {
        found.entry(key.to_vec()).or_default().push(value.to_vec());
    });
    read.expect("what kiln writes, it reads");
    let wanted = wanted.into_iter().map(|(key, mut values)| {
        values.sort_by_key(|(priority, _)| *priority);
        let values = values.into_iter().map(|(_, value)| value.as_bytes().to_vec());
        (key.as_bytes().to_vec(), values.collect())
    });
    assert_eq!(found, wanted.collect());
});
