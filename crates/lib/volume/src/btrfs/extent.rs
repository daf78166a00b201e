//! The content of files: extents inline in the tree, on the device, preallocated, or absent.
//!
//! Data checksums are not verified: what kiln reads decides about a report and not about a
//! backup, a wrong byte in it is no danger to this process, and the checksum tree costs as many
//! reads as small files themselves. Tree blocks are always verified.
//! Source: `struct btrfs_file_extent_item` in the kernel's `include/uapi/linux/btrfs_tree.h`.

use std::sync::Arc;

use kiln_disk::{Error, Result};

use super::block::{Key, Pointer};
use super::cache::Cache;
use super::compress::{Compression, MAX_EXTENT_BYTES};
use super::field::{u8_at, u16_at, u64_at};
use super::store::Store;

const EXTENT_DATA: u8 = 108;
const INLINE_DATA_OFFSET: usize = 21;

/// Unpacked extents, at most 128 KiB each, by where they are stored: 2 MiB. Reading a file in small
/// pieces unpacks each extent once.
pub(super) type Unpacked = Cache<(u64, u64, Compression), Arc<[u8]>>;

/// How many unpacked extents a generation of the cache has.
pub(super) const N_UNPACKED: usize = 8;

/// A range of a file.
struct FileExtent<'a> {
    start: u64,
    length: u64,
    content: Content<'a>,
}

enum Content<'a> {
    Zero,
    Inline { stored: &'a [u8], compression: Option<Compression> },
    Plain { logical: u64 },
    Packed { logical: u64, stored_bytes: u64, size_bytes: u64, skip: u64, compression: Compression },
}

/// Extents that follow each other in the file and on the device, to be read at once.
struct Run {
    logical: u64,
    start: usize,
    end: usize,
}

/// What it takes to read files of one tree.
pub(super) struct Reader<'a> {
    pub(super) store: &'a Store,
    pub(super) unpacked: &'a Unpacked,
    pub(super) root: &'a Pointer,
}

impl Reader<'_> {
    /// Fill `buf` with the bytes of `ino` from `offset` on, zeroes where no extent is. The caller
    /// has cut `buf` to the size of the file.
    pub(super) fn read(&self, ino: u64, offset: u64, buf: &mut [u8]) -> Result<()> {
        buf.fill(0);
        let length = u64::try_from(buf.len()).unwrap_or(u64::MAX);
        let end = offset.saturating_add(length);
        let mut run: Option<Run> = None;
        let mut cursor = self.store.at_or_before(self.root, Key::new(ino, EXTENT_DATA, offset))?;
        while let Some((key, item)) = cursor.current() {
            if key >= Key::new(ino, EXTENT_DATA, end) {
                break;
            }
            if (key.objectid, key.kind) == (ino, EXTENT_DATA) {
                let extent = self.decode(key, item)?;
                let from = extent.start.max(offset);
                let to = extent.start.saturating_add(extent.length).min(end);
                if from < to {
                    let part = position(from, offset)?..position(to, offset)?;
                    self.read_extent(ino, &extent, from, buf, part, &mut run)?;
                }
            }
            cursor.advance()?;
        }
        self.finish(run, buf)
    }

    fn read_extent(
        &self,
        ino: u64,
        extent: &FileExtent<'_>,
        from: u64,
        buf: &mut [u8],
        part: std::ops::Range<usize>,
        run: &mut Option<Run>,
    ) -> Result<()> {
        let within = from.saturating_sub(extent.start);
        let bytes: Arc<[u8]> = match extent.content {
            Content::Zero => return Ok(()),
            Content::Plain { logical } => {
                let logical = logical.checked_add(within).ok_or_else(|| outside(ino, extent))?;
                return self.plain(logical, buf, part, run);
            }
            Content::Inline { stored, compression: None } => Arc::from(stored),
            Content::Inline { stored, compression: Some(compression) } => {
                Arc::from(self.unpack(ino, compression, stored, extent.length)?)
            }
            Content::Packed { .. } => self.packed(ino, extent)?,
        };
        let skip = match extent.content {
            Content::Packed { skip, .. } => skip,
            _ => 0,
        };
        let start = skip.checked_add(within).and_then(|start| usize::try_from(start).ok());
        let have = start.and_then(|start| bytes.get(start..)).unwrap_or(&[]);
        let room = buf.get_mut(part).unwrap_or_default();
        // A shorter extent leaves zeroes, as in the kernel.
        for (to, from) in room.iter_mut().zip(have) {
            *to = *from;
        }
        Ok(())
    }

    fn plain(
        &self,
        logical: u64,
        buf: &mut [u8],
        part: std::ops::Range<usize>,
        run: &mut Option<Run>,
    ) -> Result<()> {
        if let Some(run) = run {
            let length = u64::try_from(run.end.saturating_sub(run.start)).unwrap_or(u64::MAX);
            if run.end == part.start && run.logical.checked_add(length) == Some(logical) {
                run.end = part.end;
                return Ok(());
            }
        }
        let next = Run { logical, start: part.start, end: part.end };
        self.finish(run.replace(next), buf)
    }

    fn finish(&self, run: Option<Run>, buf: &mut [u8]) -> Result<()> {
        let Some(run) = run else { return Ok(()) };
        self.store.read_data(run.logical, buf.get_mut(run.start..run.end).unwrap_or_default())
    }

    fn packed(&self, ino: u64, extent: &FileExtent<'_>) -> Result<Arc<[u8]>> {
        let Content::Packed { logical, stored_bytes, size_bytes, compression, .. } = extent.content
        else {
            return Ok(Arc::from([]));
        };
        let key = (logical, size_bytes, compression);
        if let Some(bytes) = self.unpacked.get(&key) {
            return Ok(bytes);
        }
        let stored_bytes = usize::try_from(stored_bytes).map_err(|_| outside(ino, extent))?;
        let mut stored = vec![0; stored_bytes];
        self.store.read_data(logical, &mut stored)?;
        let bytes: Arc<[u8]> = Arc::from(self.unpack(ino, compression, &stored, size_bytes)?);
        self.unpacked.insert(key, Arc::clone(&bytes));
        Ok(bytes)
    }

    fn unpack(&self, ino: u64, how: Compression, stored: &[u8], size: u64) -> Result<Vec<u8>> {
        let corrupt = |why: String| Error::corrupt(format!("inode {ino}: {why}"));
        let size = usize::try_from(size).map_err(|error| corrupt(error.to_string()))?;
        let sector = usize::try_from(self.store.superblock.sector_bytes).unwrap_or(4096);
        how.unpack(stored, size, sector).map_err(corrupt)
    }

    /// The extent of `item`. Its numbers are judged as the kernel does when it reads a leaf.
    fn decode<'a>(&self, key: Key, item: &'a [u8]) -> Result<FileExtent<'a>> {
        let at = |what: String| format!("inode {}: extent at {}: {what}", key.objectid, key.offset);
        let corrupt = |what: String| Error::corrupt(at(what));
        let short = || corrupt(format!("an item of {} bytes is too short", item.len()));
        let start = key.offset;
        let sector_bytes = u64::from(self.store.superblock.sector_bytes);
        if !start.is_multiple_of(sector_bytes) {
            return Err(corrupt(format!("it does not begin at a multiple of {sector_bytes}")));
        }
        let compression = match u8_at(item, 16).ok_or_else(short)? {
            0 => None,
            1 => Some(Compression::Zlib),
            2 => Some(Compression::Lzo),
            3 => Some(Compression::Zstd),
            other => return Err(Error::unsupported(at(format!("compression type {other}")))),
        };
        if u8_at(item, 17).ok_or_else(short)? != 0 {
            return Err(Error::unsupported(at("it is encrypted".to_owned())));
        }
        let other_encoding = u16_at(item, 18).ok_or_else(short)?;
        if other_encoding != 0 {
            return Err(Error::unsupported(at(format!("encoding {other_encoding}"))));
        }
        let ram_bytes = u64_at(item, 8).ok_or_else(short)?;
        if compression.is_some() && ram_bytes > MAX_EXTENT_BYTES {
            return Err(corrupt(format!("{ram_bytes} bytes are more than compression allows")));
        }
        let kind = u8_at(item, 20).ok_or_else(short)?;
        if kind == 0 {
            let stored = item.get(INLINE_DATA_OFFSET..).ok_or_else(short)?;
            let content = Content::Inline { stored, compression };
            return Ok(FileExtent { start, length: ram_bytes, content });
        }
        let logical = u64_at(item, 21).ok_or_else(short)?;
        let stored_bytes = u64_at(item, 29).ok_or_else(short)?;
        let skip = u64_at(item, 37).ok_or_else(short)?;
        let length = u64_at(item, 45).ok_or_else(short)?;
        if start.checked_add(length).is_none() {
            return Err(corrupt(format!("its {length} bytes pass the end of any file")));
        }
        let content = match (kind, logical, compression) {
            (2, _, _) | (1, 0, _) => Content::Zero,
            (1, _, None) => {
                let logical = logical.checked_add(skip);
                let logical =
                    logical.ok_or_else(|| corrupt(format!("offset {skip} is too far")))?;
                Content::Plain { logical }
            }
            (1, _, Some(_)) if stored_bytes > MAX_EXTENT_BYTES => {
                return Err(corrupt(format!("{stored_bytes} compressed bytes are too many")));
            }
            (1, _, Some(compression)) => {
                Content::Packed { logical, stored_bytes, size_bytes: ram_bytes, skip, compression }
            }
            (other, _, _) => return Err(corrupt(format!("type {other} is none of 0, 1, 2"))),
        };
        Ok(FileExtent { start, length, content })
    }
}

/// Where the byte `at` of the file goes in a buffer that begins at `offset`.
fn position(at: u64, offset: u64) -> Result<usize> {
    at.checked_sub(offset)
        .and_then(|position| usize::try_from(position).ok())
        .ok_or_else(|| Error::corrupt(format!("byte {at} is outside the buffer at {offset}")))
}

fn outside(ino: u64, extent: &FileExtent<'_>) -> Error {
    Error::corrupt(format!(
        "inode {ino}: extent at {}: it passes the end of addresses",
        extent.start
    ))
}
