//! LZO1X in the container of `lzop`, which is what kernels with `CONFIG_RD_LZO` unpack.
//!
//! Instructions: Linux Documentation/staging/lzo.rst; container: lib/decompress_unlzo.c. Written
//! here because the crates that decode it are bindings or no longer kept up. No checksum is
//! verified: the archive inside tells when something is wrong, as it must for the kernel, which
//! does not verify them either.

use std::io::{self, BufRead};

use crate::initramfs::codec::{BlockFormat, invalid, read_exactly, read_or_end};

/// The first bytes of a `.lzo` file.
pub(super) const MAGIC: &[u8] = b"\x89LZO\0\r\n\x1A\n";
/// Kernels unpack blocks of 256 KiB (`LZO_BLOCK_SIZE`), which is what lzop writes.
const MAX_BLOCK_BYTES: usize = 256 << 10;

const FLAG_ADLER32_UNPACKED: u32 = 0x001;
const FLAG_ADLER32_PACKED: u32 = 0x002;
const FLAG_CRC32_UNPACKED: u32 = 0x100;
const FLAG_CRC32_PACKED: u32 = 0x200;
const FLAG_FILTER: u32 = 0x800;

/// A `.lzo` file.
pub(super) struct Lzop<R> {
    input: R,
    /// Of the header; `None` before it was read.
    flags: Option<u32>,
}

impl<R: BufRead> Lzop<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, flags: None }
    }

    fn header(&mut self) -> io::Result<u32> {
        let input = &mut self.input;
        let start = read_exactly(input, MAGIC.len() + 4)?;
        let version = u16::from_be_bytes([start[MAGIC.len()], start[MAGIC.len() + 1]]);
        let is_current = version >= 0x0940;
        // Version needed to extract, method, level: the last is new in 0.94.
        skip(input, if is_current { 4 } else { 1 })?;
        let flags = be32(input)?;
        if flags & FLAG_FILTER != 0 {
            skip(input, 4)?;
        }
        // Mode and time, whose high half is new in 0.94.
        skip(input, if is_current { 12 } else { 8 })?;
        let name_bytes = read_exactly(input, 1)?[0];
        skip(input, usize::from(name_bytes) + 4)?;
        Ok(flags)
    }
}

impl<R: BufRead> BlockFormat for Lzop<R> {
    fn next_block(&mut self, block: &mut Vec<u8>) -> io::Result<bool> {
        let flags = match self.flags {
            Some(flags) => flags,
            None => {
                let flags = self.header()?;
                self.flags = Some(flags);
                flags
            }
        };
        let mut length = [0; 4];
        if !read_or_end(&mut self.input, &mut length)? {
            return Ok(false);
        }
        let unpacked = u32::from_be_bytes(length) as usize;
        if unpacked == 0 {
            return Ok(false);
        }
        let packed = be32(&mut self.input)? as usize;
        if unpacked > MAX_BLOCK_BYTES || packed > unpacked {
            return Err(invalid(format!("an lzo block of {packed} bytes for {unpacked}")));
        }
        let n_checksums = |mask: u32| (flags & mask).count_ones() as usize;
        skip(&mut self.input, 4 * n_checksums(FLAG_ADLER32_UNPACKED | FLAG_CRC32_UNPACKED))?;
        if packed < unpacked {
            skip(&mut self.input, 4 * n_checksums(FLAG_ADLER32_PACKED | FLAG_CRC32_PACKED))?;
        }
        let data = read_exactly(&mut self.input, packed)?;
        if packed == unpacked {
            *block = data;
            return Ok(true);
        }
        unpack(&data, unpacked, block)?;
        if block.len() != unpacked {
            return Err(invalid(format!("an lzo block gave {} bytes of {unpacked}", block.len())));
        }
        Ok(true)
    }
}

fn skip(input: &mut impl BufRead, n: usize) -> io::Result<()> {
    read_exactly(input, n).map(drop)
}

fn be32(input: &mut impl BufRead) -> io::Result<u32> {
    let mut bytes = [0; 4];
    input.read_exact(&mut bytes)?;
    Ok(u32::from_be_bytes(bytes))
}

/// What went before an instruction: it decides what codes below 16 mean.
#[derive(Clone, Copy, PartialEq)]
enum After {
    /// A match without literals.
    Match,
    /// A match with one to three literals.
    FewLiterals,
    /// Four or more literals.
    ManyLiterals,
}

/// Unpack one LZO1X block to at most `limit` bytes.
fn unpack(packed: &[u8], limit: usize, out: &mut Vec<u8>) -> io::Result<()> {
    let mut input = Input { bytes: packed, at: 0 };
    let mut after = After::Match;
    if let Some(first @ 18..) = packed.first().copied() {
        input.at = 1;
        let n = usize::from(first) - 17;
        literals(&mut input, n, limit, out)?;
        after = if n < 4 { After::FewLiterals } else { After::ManyLiterals };
    }
    loop {
        let code = usize::from(input.byte()?);
        if code < 16 && after == After::Match {
            let n = if code == 0 { input.long(15)? } else { code } + 3;
            literals(&mut input, n, limit, out)?;
            after = After::ManyLiterals;
            continue;
        }
        let (length, distance, n_literals) = match code {
            0..16 => {
                let high = usize::from(input.byte()?) << 2;
                match after {
                    After::ManyLiterals => (3, high + (code >> 2) + 2049, code & 3),
                    _ => (2, high + (code >> 2) + 1, code & 3),
                }
            }
            16..32 => {
                let length = if code & 7 == 0 { input.long(7)? } else { code & 7 } + 2;
                let word = input.le16()?;
                let distance = 16384 + ((code & 8) << 11) + (word >> 2);
                if distance == 16384 {
                    return Ok(());
                }
                (length, distance, word & 3)
            }
            32..64 => {
                let length = if code & 31 == 0 { input.long(31)? } else { code & 31 } + 2;
                let word = input.le16()?;
                (length, (word >> 2) + 1, word & 3)
            }
            _ => {
                let high = usize::from(input.byte()?) << 3;
                ((code >> 5) + 1, high + ((code >> 2) & 7) + 1, code & 3)
            }
        };
        copy_match(length, distance, limit, out)?;
        literals(&mut input, n_literals, limit, out)?;
        after = if n_literals == 0 { After::Match } else { After::FewLiterals };
    }
}

fn copy_match(length: usize, distance: usize, limit: usize, out: &mut Vec<u8>) -> io::Result<()> {
    let start = out.len().checked_sub(distance);
    let start = start.ok_or_else(|| invalid("an lzo match reaches before the block"))?;
    if length > limit - out.len() {
        return Err(invalid("an lzo block unpacks to more than it says"));
    }
    // Byte by byte: a match may overlap what it writes.
    for at in start..start + length {
        out.push(out[at]);
    }
    Ok(())
}

fn literals(input: &mut Input<'_>, n: usize, limit: usize, out: &mut Vec<u8>) -> io::Result<()> {
    let end = input.at.checked_add(n).ok_or(io::ErrorKind::UnexpectedEof)?;
    let bytes = input.bytes.get(input.at..end).ok_or(io::ErrorKind::UnexpectedEof)?;
    if n > limit - out.len() {
        return Err(invalid("an lzo block unpacks to more than it says"));
    }
    out.extend_from_slice(bytes);
    input.at = end;
    Ok(())
}

struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Input<'_> {
    fn byte(&mut self) -> io::Result<u8> {
        let byte = self.bytes.get(self.at).copied().ok_or(io::ErrorKind::UnexpectedEof)?;
        self.at += 1;
        Ok(byte)
    }

    fn le16(&mut self) -> io::Result<usize> {
        Ok(usize::from(self.byte()?) | usize::from(self.byte()?) << 8)
    }

    /// A length too large for its code: `base`, 255 for every zero byte, and the byte after them.
    /// Bounded by the block, which bounds the number of zeroes.
    fn long(&mut self, base: usize) -> io::Result<usize> {
        let mut length = base;
        loop {
            match self.byte()? {
                0 => length += 255,
                last => return Ok(length + usize::from(last)),
            }
        }
    }
}
