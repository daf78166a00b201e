//! Vhd: open a file in memory, read in some places, walk a part of the map.

#![no_main]

use std::sync::Arc;

use kiln_disk::{Format, MemSource, NoSiblings, OpenOptions, map, open_source};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let options = OpenOptions { format: Some(Format::Vhd), ..OpenOptions::default() };
    let source = MemSource::shared(data);
    let Ok(image) = open_source(source, "fuzz", Arc::new(NoSiblings), &options) else { return };
    let size = image.source.size_bytes();
    let mut buf = vec![0; 70_000];
    for at in [0, 511, size / 3, size / 2, size.saturating_sub(70_000)] {
        let length = buf.len().min(usize::try_from(size - at.min(size)).unwrap_or(usize::MAX));
        let _ = image.source.read_at(at, &mut buf[..length]);
    }
    let _ = map(&*image.source).take(1000).count();
});
