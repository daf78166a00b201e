//! The chain of segments of an initrd: raw archives, compressed ones, and zeroes between them, in
//! any order and nesting, as init/initramfs.c takes them.
//!
//! "The first archive is microcode, skip it" would be wrong: Debian 13 keeps its modules there.

use std::io;

use crate::initramfs::Initramfs;
use crate::initramfs::codec::Codec;
use crate::initramfs::content::{Content, Entry};
use crate::initramfs::stream::{Budget, Chunks, PREFETCH_FROM_BYTES, Part, Unpacked};

/// Compressed archives in compressed archives: one level is usual, kernels accept more.
const MAX_DEPTH: u32 = 3;
/// The largest real ones (generic images with all firmware) have about 10 000.
const MAX_ENTRIES: u64 = 200_000;
/// `PATH_MAX` of Linux.
const MAX_NAME_BYTES: usize = 4096;
const HEADER_BYTES: usize = 110;
/// Behind an initrd with a boot configuration, which is not part of the archive.
const BOOTCONFIG_MAGIC: &[u8] = b"#BOOTCONFIG\n";

/// Read `parts` one after the other, as loaders place them in memory.
pub(crate) fn read(parts: &[Part]) -> Initramfs {
    let mut content = Content::default();
    let budget = Budget::default();
    for part in parts {
        if let Err(error) = read_part(part, &budget, &mut content) {
            content.fail(format!("{}: {error}", part.path));
            break;
        }
    }
    content.finish()
}

fn read_part(part: &Part, budget: &Budget, content: &mut Content) -> io::Result<()> {
    let whole_bytes = part.length_bytes;
    let part = without_bootconfig(part)?;
    if part.length_bytes < whole_bytes {
        content.boot_config();
    }
    let mut position = 0;
    loop {
        let mut input = Chunks::of_file(part.from(position), budget);
        let segment = next_segment(&mut input).map_err(|e| at(position + input.position(), &e))?;
        let started = position + input.position();
        match segment {
            Segment::End => return Ok(()),
            Segment::Archive => {
                raw_archive(&mut input, content).map_err(|error| at(started, &error))?;
                position += input.position();
            }
            Segment::Compressed(codec) => {
                drop(input);
                let range = part.from(started);
                let read = std::thread::scope(|scope| {
                    let is_large = range.remaining_bytes() >= PREFETCH_FROM_BYTES;
                    let mut input = if is_large {
                        Chunks::of_file(range.prefetch(scope), budget)
                    } else {
                        Chunks::of_file(range, budget)
                    };
                    compressed(codec, &mut input, budget, 1, content)?;
                    Ok(input.position())
                })
                .map_err(|error: io::Error| at(started, &error))?;
                position = started + read;
            }
        }
    }
}

/// Everything from a stream inside another one. `depth` counts the compressed streams around it.
fn chain(
    input: &mut Chunks<'_>,
    budget: &Budget,
    depth: u32,
    content: &mut Content,
) -> io::Result<()> {
    loop {
        match next_segment(input)? {
            Segment::End => return Ok(()),
            Segment::Archive => entries(input, content)?,
            Segment::Compressed(_) if depth >= MAX_DEPTH => {
                return Err(io::Error::other(format!(
                    "more than {MAX_DEPTH} compressions inside each other"
                )));
            }
            Segment::Compressed(codec) => compressed(codec, input, budget, depth + 1, content)?,
        }
    }
}

fn compressed(
    codec: Codec,
    input: &mut Chunks<'_>,
    budget: &Budget,
    depth: u32,
    content: &mut Content,
) -> io::Result<()> {
    let before = content.counts();
    let result = codec.decoder(input).and_then(|decoder| {
        let mut inner = Chunks::of_decoder(Unpacked { decoder, budget });
        let result = chain(&mut inner, budget, depth, content);
        // What is unpacked twice is counted once, as what the kernel gets of it.
        if depth == 1 {
            content.unpacked(inner.position());
        }
        result
    });
    if depth == 1 {
        content.segment(Some(codec.name()), before);
    }
    result.map_err(|error| io::Error::other(format!("{}: {error}", codec.name())))
}

enum Segment {
    End,
    Archive,
    Compressed(Codec),
}

fn next_segment(input: &mut Chunks<'_>) -> io::Result<Segment> {
    if !input.skip_zeroes()? {
        return Ok(Segment::End);
    }
    let head = input.window(Codec::MAGIC_BYTES)?;
    if is_archive(head) {
        return Ok(Segment::Archive);
    }
    if let Some(codec) = Codec::of(head) {
        return Ok(Segment::Compressed(codec));
    }
    let head = &head[..head.len().min(6)];
    Err(io::Error::other(format!(
        "neither an archive nor a known compression: starts with {head:02x?}"
    )))
}

fn is_archive(head: &[u8]) -> bool {
    head.starts_with(b"070701") || head.starts_with(b"070702")
}

/// An archive that is not compressed, which is a segment of its own.
fn raw_archive(input: &mut Chunks<'_>, content: &mut Content) -> io::Result<()> {
    let (start, before) = (input.position(), content.counts());
    let result = entries(input, content);
    content.unpacked(input.position() - start);
    content.segment(None, before);
    result
}

/// The entries of one archive, up to its trailer.
fn entries(input: &mut Chunks<'_>, content: &mut Content) -> io::Result<()> {
    let truncated = || io::Error::other("the archive ends before its trailer");
    loop {
        let head = input.window(HEADER_BYTES)?;
        let header: &[u8; HEADER_BYTES] = head.first_chunk().ok_or_else(truncated)?;
        let (mode, data_bytes, name_bytes) = fields(header)?;
        let with_name = HEADER_BYTES + name_bytes;
        let shown = input.window(with_name)?;
        let name = shown.get(HEADER_BYTES..with_name).ok_or_else(truncated)?;
        let name = name.split(|&byte| byte == 0).next().unwrap_or(name);
        let padded = with_name.next_multiple_of(4);
        if name == b"TRAILER!!!" {
            // Some writers leave out the padding of the last entry.
            input.skip(padded as u64)?;
            return Ok(());
        }
        let entry = content.enter(name, mode, data_bytes);
        if content.counts().0 > MAX_ENTRIES {
            return Err(io::Error::other(format!("more than {MAX_ENTRIES} entries")));
        }
        if !input.skip(padded as u64)? {
            return Err(truncated());
        }
        let padded = u64::from(data_bytes).next_multiple_of(4);
        let is_complete = if matches!(entry, Entry::Pass) {
            input.skip(padded)?
        } else {
            let data = input.take(data_bytes as usize)?;
            let is_complete = data.len() == data_bytes as usize;
            match entry {
                Entry::Keep(path) => content.keep(path, data),
                Entry::Link(path) => content.link(path, data),
                Entry::Pass => {}
            }
            is_complete && input.skip(padded - u64::from(data_bytes))?
        };
        if !is_complete {
            return Err(truncated());
        }
    }
}

/// Mode, length of the data and length of the name with its NUL.
fn fields(header: &[u8; HEADER_BYTES]) -> io::Result<(u32, u32, usize)> {
    let Newc { mode, data_bytes, name_bytes, .. } = Newc::decode(header)?;
    Ok((mode, data_bytes, name_bytes))
}

/// The fields of an entry's header that anyone asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Newc {
    pub(crate) inode: u32,
    pub(crate) mode: u32,
    pub(crate) n_links: u32,
    pub(crate) data_bytes: u32,
    /// With its NUL; at least 1.
    pub(crate) name_bytes: usize,
}

impl Newc {
    /// The length of a header.
    pub(crate) const BYTES: usize = HEADER_BYTES;

    /// Decode a header.
    ///
    /// # Errors
    ///
    /// Where it is none, or its name is longer than a path.
    pub(crate) fn decode(header: &[u8; HEADER_BYTES]) -> io::Result<Self> {
        if !is_archive(header) {
            let magic = header[..6].escape_ascii();
            return Err(io::Error::other(format!(
                "an entry starts with `{magic}`, not with 070701"
            )));
        }
        let field = |index: usize| {
            let digits = &header[6 + 8 * index..14 + 8 * index];
            digits.iter().try_fold(0_u32, |value, &digit| {
                let digit = char::from(digit).to_digit(16)?;
                Some(value << 4 | digit)
            })
        };
        let fields = (field(0), field(1), field(4), field(6), field(11));
        let (Some(inode), Some(mode), Some(n_links), Some(data_bytes), Some(name)) = fields else {
            return Err(io::Error::other("an entry's header is not hexadecimal"));
        };
        let name_bytes = name as usize;
        if name_bytes == 0 || name_bytes > MAX_NAME_BYTES {
            return Err(io::Error::other(format!("an entry's name has {name_bytes} bytes")));
        }
        Ok(Self { inode, mode, n_links, data_bytes, name_bytes })
    }
}

/// Leave out what Documentation/admin-guide/bootconfig.rst lets tools append to an initrd.
fn without_bootconfig(part: &Part) -> io::Result<Part> {
    let mut part = part.clone();
    let footer_bytes = 8 + BOOTCONFIG_MAGIC.len() as u64;
    let mut footer = Vec::new();
    if let Some(start) = part.length_bytes.checked_sub(footer_bytes) {
        io::Read::read_to_end(&mut part.from(start), &mut footer)?;
    }
    if footer.ends_with(BOOTCONFIG_MAGIC)
        && let Some(size) = footer.first_chunk()
    {
        let all = footer_bytes + u64::from(u32::from_le_bytes(*size));
        part.length_bytes = part.length_bytes.saturating_sub(all);
    }
    Ok(part)
}

fn at(position: u64, error: &io::Error) -> io::Error {
    io::Error::other(format!("segment at byte {position}: {error}"))
}
