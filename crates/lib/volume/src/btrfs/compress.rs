//! Compressed extents. One extent is at most 128 KiB before and after, so everything here is
//! bounded by that, whatever the image claims.
//!
//! Source: the kernel's `fs/btrfs/{zlib,lzo,zstd}.c`.

use std::io::Read;

use flate2::{Decompress, FlushDecompress, Status};

use super::field::u32_at;
use super::lzo;

/// The kernel's `BTRFS_MAX_UNCOMPRESSED`, and the same for what is stored.
pub(super) const MAX_EXTENT_BYTES: u64 = 128 << 10;
/// The kernel's `ZSTD_BTRFS_MAX_WINDOWLOG`: no window is larger than an extent.
const ZSTD_MAX_WINDOW_LOG: u32 = 17;

/// How an extent is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Compression {
    Zlib,
    Lzo,
    Zstd,
}

impl Compression {
    /// The `size_bytes` that `stored` unpacks to. What is stored may be followed by padding; a
    /// stream that ends early leaves zeroes, as in the kernel.
    ///
    /// `sector_bytes` is the filesystem's sector size, which LZO is cut into.
    pub(super) fn unpack(
        self,
        stored: &[u8],
        size_bytes: usize,
        sector_bytes: usize,
    ) -> Result<Vec<u8>, String> {
        let mut unpacked = vec![0; size_bytes];
        let n = match self {
            Self::Zlib => unpack_zlib(stored, &mut unpacked)?,
            Self::Lzo => unpack_lzo(stored, &mut unpacked, sector_bytes)?,
            Self::Zstd => unpack_zstd(stored, &mut unpacked)?,
        };
        // Decompressors use the room behind their output: zlib leaves bytes there.
        unpacked.truncate(n);
        unpacked.resize(size_bytes, 0);
        Ok(unpacked)
    }
}

fn unpack_zlib(stored: &[u8], unpacked: &mut [u8]) -> Result<usize, String> {
    let mut stream = Decompress::new(true);
    let result = stream.decompress(stored, unpacked, FlushDecompress::None);
    let n = usize::try_from(stream.total_out()).unwrap_or(unpacked.len());
    match result {
        Ok(Status::StreamEnd) => Ok(n),
        // The stream has more than the extent wants, which a split extent may.
        Ok(_) if n == unpacked.len() => Ok(n),
        Ok(_) => Err("zlib data ends too early".to_owned()),
        Err(error) => Err(format!("zlib data is damaged: {error}")),
    }
}

fn unpack_zstd(stored: &[u8], unpacked: &mut [u8]) -> Result<usize, String> {
    let damaged = |error| format!("zstd data is damaged: {error}");
    let mut stream = zstd::stream::read::Decoder::with_buffer(stored).map_err(damaged)?;
    stream.window_log_max(ZSTD_MAX_WINDOW_LOG).map_err(damaged)?;
    let mut stream = stream.single_frame();
    let mut written: usize = 0;
    while let Some(rest) = unpacked.get_mut(written..).filter(|rest| !rest.is_empty()) {
        match stream.read(rest).map_err(damaged)? {
            0 => break,
            n => written = written.saturating_add(n),
        }
    }
    Ok(written)
}

/// A length of everything, then segments of one sector each with a length before them. No length
/// crosses a sector of the stored bytes: where fewer than 4 are left, they are padding.
fn unpack_lzo(stored: &[u8], unpacked: &mut [u8], sector_bytes: usize) -> Result<usize, String> {
    let length_at = |at| u32_at(stored, at).and_then(|length| usize::try_from(length).ok());
    let total = length_at(0).ok_or("lzo data has no length")?;
    if total > stored.len() {
        return Err(format!("lzo data of {total} bytes in {}", stored.len()));
    }
    let (mut at, mut written): (usize, usize) = (4, 0);
    for segment in unpacked.chunks_mut(sector_bytes) {
        let left_in_sector = sector_bytes.saturating_sub(at % sector_bytes);
        if left_in_sector < 4 {
            at = at.saturating_add(left_in_sector);
        }
        if at >= total {
            break;
        }
        let length = length_at(at).ok_or("an lzo segment has no length")?;
        let start = at.saturating_add(4);
        let end = start.saturating_add(length);
        if end > total {
            return Err(format!("an lzo segment of {length} bytes at {start} of {total}"));
        }
        let packed = stored.get(start..end).unwrap_or(&[]);
        let n =
            lzo::unpack(packed, segment).map_err(|why| format!("lzo data is damaged: {why}"))?;
        written = written.saturating_add(n);
        at = end;
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder =
            flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn padding_after_and_zeroes_beyond_the_stream() {
        let text = b"some text some text some text".repeat(100);
        for (kind, stored) in [
            (Compression::Zlib, zlib(&text)),
            (Compression::Zstd, zstd::bulk::compress(&text, 3).unwrap()),
        ] {
            let stored = [stored, vec![0; 1000]].concat();
            let unpacked = kind.unpack(&stored, text.len() + 10, 4096).unwrap();
            assert_eq!(unpacked[..text.len()], text);
            assert_eq!(unpacked[text.len()..], [0; 10]);
            let part = kind.unpack(&stored, 100, 4096).unwrap();
            assert_eq!(part, text[..100], "{kind:?}: a part of a split extent");
        }
    }

    #[test]
    fn each_fault_is_named() {
        let cut = &zlib(&b"some text".repeat(100))[..10];
        for (kind, stored, message) in [
            (Compression::Zlib, cut, "zlib data ends too early"),
            (Compression::Lzo, &[1, 0][..], "lzo data has no length"),
            (Compression::Lzo, &[9, 0, 0, 0, 1, 0, 0, 0], "lzo data of 9 bytes in 8"),
            (Compression::Lzo, &[8, 0, 0, 0, 1, 0, 0, 0], "an lzo segment of 1 bytes at 8 of 8"),
            (
                Compression::Lzo,
                &[10, 0, 0, 0, 2, 0, 0, 0, 16, 0],
                "lzo data is damaged: it ends inside an instruction",
            ),
        ] {
            assert_eq!(kind.unpack(stored, 4096, 4096).unwrap_err(), message);
        }
        let error = Compression::Zstd.unpack(b"no zstd at all", 4096, 4096).unwrap_err();
        assert!(error.starts_with("zstd data is damaged: "), "{error}");
    }
}
