//! The compressions that Linux unpacks an initramfs with, told apart by their first bytes as the
//! kernel does (lib/decompress.c), each as a reader that takes exactly its own stream.

use std::io::{self, BufRead, Read, Write};

use crate::initramfs::lzo;

/// Kernels refuse larger windows (`ZSTD_WINDOWLOG_MAX` of lib/decompress_unzstd.c).
const MAX_ZSTD_WINDOW_LOG: u32 = 27;
/// Enough for a dictionary of 192 MiB; `xz -9` needs 65 MiB.
const MAX_XZ_MEMORY_BYTES: u64 = 256 << 20;
/// The legacy frame has blocks of 8 MiB.
const LZ4_BLOCK_BYTES: usize = 8 << 20;
/// As strong as is still quick; windows stay below what kernels accept.
const ZSTD_LEVEL: i32 = 10;
/// A dictionary of 8 MiB, which small machines have at boot.
const XZ_PRESET: u32 = 6;
/// The first bytes of an lz4 legacy frame.
const LZ4_MAGIC: [u8; 4] = [0x02, 0x21, 0x4C, 0x18];

/// A compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Gzip,
    Zstd,
    Xz,
    Lzma,
    Lz4,
    Lzo,
    Bzip2,
}

impl Codec {
    /// As many bytes as [`Codec::of`] wants to see.
    pub(crate) const MAGIC_BYTES: usize = 9;

    /// By the first bytes.
    pub(crate) fn of(head: &[u8]) -> Option<Self> {
        let table: [(&[u8], Self); 7] = [
            (b"\x1F\x8B", Self::Gzip),
            (b"\x28\xB5\x2F\xFD", Self::Zstd),
            (b"\xFD7zXZ\0", Self::Xz),
            (b"\x5D\0\0", Self::Lzma),
            (&LZ4_MAGIC, Self::Lz4),
            (lzo::MAGIC, Self::Lzo),
            (b"BZh", Self::Bzip2),
        ];
        table.into_iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, codec)| codec)
    }

    /// As its own tool is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Lzma => "lzma",
            Self::Lz4 => "lz4",
            Self::Lzo => "lzo",
            Self::Bzip2 => "bzip2",
        }
    }

    /// Unpack one stream from `input`, which is left right behind it.
    pub(crate) fn decoder<'a>(self, input: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
        let xz = |stream: Result<_, liblzma::stream::Error>, input| {
            Ok::<_, io::Error>(Box::new(liblzma::bufread::XzDecoder::new_stream(input, stream?)))
        };
        Ok(match self {
            Self::Gzip => Box::new(flate2::bufread::GzDecoder::new(input)),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?.single_frame();
                decoder.window_log_max(MAX_ZSTD_WINDOW_LOG)?;
                Box::new(decoder)
            }
            Self::Xz => {
                xz(liblzma::stream::Stream::new_stream_decoder(MAX_XZ_MEMORY_BYTES, 0), input)?
            }
            Self::Lzma => {
                xz(liblzma::stream::Stream::new_lzma_decoder(MAX_XZ_MEMORY_BYTES), input)?
            }
            Self::Lz4 => Box::new(Blocks::new(Lz4Legacy { input, started: false })),
            Self::Lzo => Box::new(Blocks::new(lzo::Lzop::new(input))),
            Self::Bzip2 => Box::new(bzip2::bufread::BzDecoder::new(input)),
        })
    }
}

impl Codec {
    /// The codec of this name.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        let all = [Self::Gzip, Self::Zstd, Self::Xz, Self::Lzma, Self::Lz4, Self::Lzo, Self::Bzip2];
        all.into_iter().find(|codec| codec.name() == name)
    }

    /// Pack `bytes` as one stream that the kernel unpacks. `None`: kiln does not write lzo.
    pub(crate) fn encode(self, bytes: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let xz = |stream: Result<_, liblzma::stream::Error>| {
            let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream?);
            encoder.write_all(bytes)?;
            encoder.finish()
        };
        Ok(Some(match self {
            Self::Gzip => {
                let mut encoder =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(bytes)?;
                encoder.finish()?
            }
            Self::Zstd => zstd::encode_all(bytes, ZSTD_LEVEL)?,
            // The kernel knows no other check (Documentation/staging/xz.rst).
            Self::Xz => xz(liblzma::stream::Stream::new_easy_encoder(
                XZ_PRESET,
                liblzma::stream::Check::Crc32,
            ))?,
            Self::Lzma => {
                let options = liblzma::stream::LzmaOptions::new_preset(XZ_PRESET)?;
                xz(liblzma::stream::Stream::new_lzma_encoder(&options))?
            }
            Self::Lz4 => lz4_legacy(bytes),
            Self::Bzip2 => {
                let mut encoder =
                    bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
                encoder.write_all(bytes)?;
                encoder.finish()?
            }
            Self::Lzo => return Ok(None),
        }))
    }
}

/// The frame that [`Lz4Legacy`] reads.
fn lz4_legacy(bytes: &[u8]) -> Vec<u8> {
    let mut out = LZ4_MAGIC.to_vec();
    for block in bytes.chunks(LZ4_BLOCK_BYTES) {
        let packed = lz4_flex::block::compress(block);
        // A block of 8 MiB never packs to more than 9.
        out.extend_from_slice(&(packed.len() as u32).to_le_bytes());
        out.extend_from_slice(&packed);
    }
    out
}

/// A format that unpacks block by block.
pub(super) trait BlockFormat {
    /// Unpack the next block into `block`, replacing what it holds. `false`: there is none.
    fn next_block(&mut self, block: &mut Vec<u8>) -> io::Result<bool>;
}

/// The blocks of a format as one stream.
struct Blocks<F> {
    format: F,
    block: Vec<u8>,
    at: usize,
    ended: bool,
}

impl<F: BlockFormat> Blocks<F> {
    fn new(format: F) -> Self {
        Self { format, block: Vec::new(), at: 0, ended: false }
    }
}

impl<F: BlockFormat> Read for Blocks<F> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() && !self.ended {
            self.at = 0;
            self.block.clear();
            self.ended = !self.format.next_block(&mut self.block)?;
        }
        let n = (&self.block[self.at..]).read(buf)?;
        self.at += n;
        Ok(n)
    }
}

/// The frame that `lz4 -l` writes: the magic, then blocks behind their length, to the end of the
/// file or a length of 0. The kernel reads no other lz4 frame (lib/decompress_unlz4.c).
struct Lz4Legacy<R> {
    input: R,
    started: bool,
}

impl<R: BufRead> BlockFormat for Lz4Legacy<R> {
    fn next_block(&mut self, block: &mut Vec<u8>) -> io::Result<bool> {
        let mut length = [0; 4];
        loop {
            if !read_or_end(&mut self.input, &mut length)? {
                return Ok(false);
            }
            // Concatenated frames repeat the magic.
            if length != LZ4_MAGIC {
                break;
            }
            self.started = true;
        }
        let length = u32::from_le_bytes(length) as usize;
        if length == 0 {
            return Ok(false);
        }
        if !self.started || length > lz4_flex::block::get_maximum_output_size(LZ4_BLOCK_BYTES) {
            return Err(invalid(format!(
                "an lz4 block of {length} bytes is longer than any can be"
            )));
        }
        let packed = read_exactly(&mut self.input, length)?;
        block.resize(LZ4_BLOCK_BYTES, 0);
        let n = lz4_flex::block::decompress_into(&packed, block)
            .map_err(|error| invalid(format!("lz4 block: {error}")))?;
        block.truncate(n);
        Ok(true)
    }
}

/// Fill `buf`. `false`: the input ends before its first byte, or within it with only zeroes, which
/// is padding.
pub(super) fn read_or_end(input: &mut impl BufRead, buf: &mut [u8]) -> io::Result<bool> {
    let mut filled = 0;
    while filled < buf.len() {
        match input.read(&mut buf[filled..])? {
            0 if buf[..filled].iter().all(|&byte| byte == 0) => return Ok(false),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => filled += n,
        }
    }
    Ok(true)
}

/// `n` bytes; memory grows with what is really there.
pub(super) fn read_exactly(input: &mut impl BufRead, n: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(n as u64).read_to_end(&mut bytes)?;
    if bytes.len() < n { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
}

pub(super) fn invalid(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}
