//! The VMDK writer: stream-optimised extents, as OVF packages have them and vSphere imports them.
//!
//! ```text
//! header | descriptor | grains, a grain table after the last of its grains | grain directory |
//! footer | end of stream
//! ```
//!
//! Layout: VMware, "Virtual Disk Format 5.0", "Stream-Optimized Compressed Sparse Extents"; all
//! numbers are little-endian, offsets are in sectors.

use std::io::{Seek, Write};
use std::ops::ControlFlow;

use super::out::Out;
use super::pack::{Cluster, Packing};
use super::pass::{Store, check, pass};
use super::{CLUSTER_BYTES, DISK_MAX_BYTES, Written};
use crate::fields::{length_u64, length_usize, round_up};
use crate::{Error, Result, Source};

/// How to write a VMDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VmdkOptions {
    /// The deflate level, from 1 to 9.
    pub deflate_level: u32,
    /// Threads that read and compress, from 1 to [`super::THREADS_MAX`]; the caller's own writes.
    pub threads: usize,
}

const SECTOR_BYTES: u64 = 512;
/// A grain is a cluster, so both have 64 KiB.
const GRAIN_SECTORS: u64 = CLUSTER_BYTES / SECTOR_BYTES;
const TABLE_ENTRIES: usize = 512;
const DESCRIPTOR_SECTORS: u64 = 20;
/// Where the grains begin: 64 KiB from the start.
const OVERHEAD_SECTORS: u64 = 128;
/// Newline test, compressed grains, markers.
const FLAGS: u32 = 0x3_0001;
/// In `gdOffset`: the footer knows where the grain directory is.
const AT_END: u64 = u64::MAX;

const MARKER_TABLE: u32 = 1;
const MARKER_DIRECTORY: u32 = 2;
const MARKER_FOOTER: u32 = 3;

/// Write the disk in `source` as a stream-optimised VMDK with grains of 64 KiB.
///
/// The disk is padded with zeroes to whole grains, which the format asks for, and to one at least. The same source and
/// level give the same file, whatever the number of threads.
///
/// `out` is an empty file: it is written from byte 0 on without going back, but for the header at the
/// very end. It is flushed and not synced; memory and `progress` are as for [`super::qcow2`], and 4
/// bytes for each 32 MiB of disk.
///
/// # Errors
///
/// As [`super::qcow2`], and [`crate::Kind::Unsupported`] for a level that is not from 1 to 9 or a
/// file that would be over 2 TiB.
pub fn vmdk(
    source: &Source,
    out: impl Write + Seek,
    options: &VmdkOptions,
    progress: &dyn Fn(u64) -> ControlFlow<()>,
) -> Result<Written> {
    check(source.size_bytes(), DISK_MAX_BYTES, options.threads)?;
    if !(1..=9).contains(&options.deflate_level) {
        let told = format!("deflate level {} is not from 1 to 9", options.deflate_level);
        return Err(Error::unsupported(told));
    }
    let virtual_size_bytes = round_up(source.size_bytes().max(1), CLUSTER_BYTES);
    let tables = virtual_size_bytes.div_ceil(CLUSTER_BYTES).div_ceil(length_u64(TABLE_ENTRIES));
    let mut stream = Stream {
        out: Out::new(out)?,
        directory: vec![0; length_usize(tables)],
        table: vec![0; TABLE_ENTRIES],
        table_of: None,
        stored: 0,
        sum: 0,
    };
    stream.out.extend_to(OVERHEAD_SECTORS.saturating_mul(SECTOR_BYTES))?;
    let packing = Packing::Zlib(options.deflate_level);
    pass(source, packing, options.threads, progress, &mut stream)?;
    stream.finish(virtual_size_bytes / SECTOR_BYTES)?;
    Ok(Written {
        size_bytes: stream.out.end(),
        allocated_bytes: stream.stored.saturating_mul(CLUSTER_BYTES),
        virtual_size_bytes,
    })
}

struct Stream<W: Write + Seek> {
    out: Out<W>,
    directory: Vec<u32>,
    table: Vec<u32>,
    /// Which directory entry `table` belongs to, if it has an entry of its own.
    table_of: Option<usize>,
    stored: u64,
    /// Of all grains: the identity of the content.
    sum: u32,
}

impl<W: Write + Seek> Store for Stream<W> {
    fn store(&mut self, number: u64, cluster: &Cluster) -> Result<()> {
        let number = length_usize(number);
        let (table, entry) = (number / TABLE_ENTRIES, number % TABLE_ENTRIES);
        if self.table_of != Some(table) {
            self.end_table()?;
            self.table_of = Some(table);
        }
        let at = self.sector()?;
        let packed = cluster.bytes();
        let mut grain = Vec::with_capacity(packed.len().saturating_add(1024));
        grain.extend(length_u64(number).saturating_mul(GRAIN_SECTORS).to_le_bytes());
        grain.extend(u32::try_from(packed.len()).map_err(|_| too_large())?.to_le_bytes());
        grain.extend(packed);
        self.sum = crc32c::crc32c_append(self.sum, &grain);
        self.append(&grain)?;
        *self.table.get_mut(entry).ok_or_else(too_large)? = at;
        self.stored = self.stored.saturating_add(1);
        Ok(())
    }
}

impl<W: Write + Seek> Stream<W> {
    /// The next sector of the file.
    fn sector(&self) -> Result<u32> {
        u32::try_from(self.out.end() / SECTOR_BYTES).map_err(|_| too_large())
    }

    /// Append whole sectors.
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.append(bytes)?;
        let end = self.out.end();
        let gap = round_up(end, SECTOR_BYTES).saturating_sub(end);
        self.out.append(&vec![0; length_usize(gap)])
    }

    /// Append a marker and what it announces; gives the sector of the latter.
    fn announce(&mut self, kind: u32, bytes: &[u8]) -> Result<u32> {
        let sectors = length_u64(bytes.len()).div_ceil(SECTOR_BYTES);
        let mut marker = sectors.to_le_bytes().to_vec();
        marker.extend([0; 4]);
        marker.extend(kind.to_le_bytes());
        self.append(&marker)?;
        let at = self.sector()?;
        self.append(bytes)?;
        Ok(at)
    }

    fn end_table(&mut self) -> Result<()> {
        let Some(table) = self.table_of.take() else { return Ok(()) };
        let bytes = words(&self.table);
        let at = self.announce(MARKER_TABLE, &bytes)?;
        *self.directory.get_mut(table).ok_or_else(too_large)? = at;
        self.table.fill(0);
        Ok(())
    }

    fn finish(&mut self, capacity: u64) -> Result<()> {
        self.end_table()?;
        let directory = words(&self.directory);
        let directory_at = self.announce(MARKER_DIRECTORY, &directory)?;
        self.announce(MARKER_FOOTER, &header(capacity, directory_at.into()))?;
        self.append(&[0; 512])?; // end of stream
        self.out.put(SECTOR_BYTES, descriptor(capacity, self.sum).as_bytes())?;
        self.out.put(0, &header(capacity, AT_END))?;
        self.out.flush()
    }
}

fn header(capacity: u64, directory_at: u64) -> Vec<u8> {
    let mut header = b"KDMV".to_vec();
    header.extend(3_u32.to_le_bytes());
    header.extend(FLAGS.to_le_bytes());
    for number in [capacity, GRAIN_SECTORS, 1, DESCRIPTOR_SECTORS] {
        header.extend(number.to_le_bytes());
    }
    header.extend(u32::try_from(TABLE_ENTRIES).unwrap_or(u32::MAX).to_le_bytes());
    for number in [0, directory_at, OVERHEAD_SECTORS] {
        header.extend(number.to_le_bytes());
    }
    header.extend(b"\0\n \r\n"); // closed cleanly; copied as it is
    header.extend(1_u16.to_le_bytes()); // deflate
    header.resize(length_usize(SECTOR_BYTES), 0);
    header
}

fn descriptor(capacity: u64, sum: u32) -> String {
    // All ones means "no parent", and the one below is taken by VMware, too.
    let cid = sum.min(0xffff_fffd);
    let cylinders = (capacity / (255 * 63)).clamp(1, 65_535);
    format!(
        "# Disk DescriptorFile\nversion=1\nCID={cid:08x}\nparentCID=ffffffff\n\
         createType=\"streamOptimized\"\n\n# Extent description\n\
         RW {capacity} SPARSE \"disk.vmdk\"\n\n# The Disk Data Base\n#DDB\n\n\
         ddb.virtualHWVersion = \"4\"\nddb.geometry.cylinders = \"{cylinders}\"\n\
         ddb.geometry.heads = \"255\"\nddb.geometry.sectors = \"63\"\n\
         ddb.adapterType = \"lsilogic\"\n"
    )
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn too_large() -> Error {
    Error::unsupported("the file would be longer than the 2 TiB that its tables can tell")
}
