//! The VDI writer: dynamic disks of VirtualBox.
//!
//! Layout: QEMU block/vdi.c, version 1.1; all numbers are little-endian.

use std::io::{Seek, Write};
use std::ops::ControlFlow;

use super::blocks::{Blocks, uuid};
use super::out::Out;
use super::pack::Packing;
use super::pass::{check, pass};
use super::{DISK_MAX_BYTES, Options, Written};
use crate::fields::{length_usize, round_up};
use crate::{Error, Result, Source};

const BLOCK_BYTES: u32 = 1 << 20;
const HEADER_BYTES: u32 = 512;
const UNALLOCATED: u32 = u32::MAX;

/// Write the disk in `source` as a dynamic VDI with blocks of 1 MiB, rounded up to whole sectors of
/// 512 bytes.
///
/// `out` is an empty file; its header is written last. Of `options`, only the threads count. It is
/// flushed and not synced; memory and `progress` are as for [`super::qcow2`], and 12 bytes for each
/// block. Two runs differ in the random identities.
///
/// # Errors
///
/// As [`super::qcow2`].
pub fn vdi(
    source: &Source,
    out: impl Write + Seek,
    options: &Options,
    progress: &dyn Fn(u64) -> ControlFlow<()>,
) -> Result<Written> {
    check(source.size_bytes(), DISK_MAX_BYTES, options.threads)?;
    let virtual_size_bytes = round_up(source.size_bytes(), 512);
    let entries = virtual_size_bytes.div_ceil(BLOCK_BYTES.into());
    let table_end = u64::from(HEADER_BYTES).saturating_add(entries.saturating_mul(4));
    let mut blocks = Blocks {
        out: Out::new(out)?,
        // Whole blocks, so that the data is aligned as the disk is.
        begin: round_up(table_end, BLOCK_BYTES.into()),
        prefix: Vec::new(),
        block_bytes: BLOCK_BYTES.into(),
        table: Vec::new(),
        used: 0,
    };
    pass(source, Packing::None, options.threads, progress, &mut blocks)?;
    let mut table = Vec::new();
    for block in 0..length_usize(entries) {
        let number = blocks.table.get(block).copied().flatten().unwrap_or(UNALLOCATED);
        table.extend(number.to_le_bytes());
    }
    let end = blocks.end();
    blocks.out.extend_to(end)?;
    blocks.out.put(HEADER_BYTES.into(), &table)?;
    let header = header(virtual_size_bytes, blocks.begin, entries, blocks.used)?;
    blocks.out.put(0, &header)?;
    blocks.out.flush()?;
    Ok(Written {
        size_bytes: blocks.out.end(),
        allocated_bytes: blocks.allocated_bytes(),
        virtual_size_bytes,
    })
}

fn header(size_bytes: u64, data_at: u64, entries: u64, used: u32) -> Result<Vec<u8>> {
    let narrow = |value: u64| {
        u32::try_from(value)
            .map_err(|_| Error::unsupported("the disk has more blocks than the file can have"))
    };
    let mut header = b"<<< kiln VM Virtual Disk Image >>>\n".to_vec();
    header.resize(0x40, 0);
    let mut word = |value: u32| header.extend(value.to_le_bytes());
    word(0xbeda_107f);
    word(0x0001_0001);
    word(0x180); // what is counted as the header: up to the identities
    word(1); // dynamic
    word(0);
    header.resize(0x154, 0); // no description
    let mut word = |value: u32| header.extend(value.to_le_bytes());
    word(HEADER_BYTES);
    word(narrow(data_at)?);
    for _ in 0..3 {
        word(0); // no geometry: the reader's business
    }
    word(512);
    word(0);
    header.extend(size_bytes.to_le_bytes());
    let mut word = |value: u32| header.extend(value.to_le_bytes());
    word(BLOCK_BYTES);
    word(0);
    word(narrow(entries)?);
    word(used);
    header.extend(uuid());
    header.extend(uuid());
    header.resize(length_usize(HEADER_BYTES.into()), 0); // no parent
    Ok(header)
}
