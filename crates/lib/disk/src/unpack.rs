//! Decompression into a buffer whose size the format fixes beforehand.
//!
//! Nothing compressed can grow past its cluster or grain, so a bomb is only an error. Decoders are
//! kept and used again: setting one up costs more than a small cluster does.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use crate::fields::length_usize;
use crate::{Error, Result};

/// The largest zstd window that is allowed, 8 MiB. A window need not be larger than the cluster
/// (2 MiB at most), but `zstd -19` without a known size asks for this; the format itself allows
/// windows of gigabytes, which a hostile image would have the decoder reserve.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// How a cluster or grain was compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    /// A bare deflate stream (qcow2).
    Deflate,
    /// A deflate stream in a zlib frame (VMDK).
    Zlib,
    /// Zstandard frames (qcow2).
    Zstd,
}

/// Decoders for one codec, lent to one thread at a time.
pub(crate) struct Unpacker {
    codec: Codec,
    idle: Mutex<Vec<Tool>>,
}

enum Tool {
    Flate(Decompress),
    Zstd(Decoder<'static>),
}

impl fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unpacker({:?})", self.codec)
    }
}

impl Unpacker {
    pub(crate) fn new(codec: Codec) -> Self {
        Self { codec, idle: Mutex::default() }
    }

    /// Decompress `packed` into `out` and give the number of bytes that came out. What follows the
    /// stream in `packed` is padding and not looked at; output beyond `out` is not produced.
    pub(crate) fn unpack(&self, packed: &[u8], out: &mut [u8]) -> Result<usize> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut tool = match idle {
            Some(tool) => tool,
            None => Tool::new(self.codec)?,
        };
        let result = tool.run(self.codec, packed, out);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(tool);
        result
    }
}

impl Tool {
    fn new(codec: Codec) -> Result<Self> {
        Ok(match codec {
            Codec::Deflate => Self::Flate(Decompress::new(false)),
            Codec::Zlib => Self::Flate(Decompress::new(true)),
            Codec::Zstd => {
                let mut decoder = Decoder::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
                Self::Zstd(decoder)
            }
        })
    }

    fn run(&mut self, codec: Codec, packed: &[u8], out: &mut [u8]) -> Result<usize> {
        match self {
            Self::Flate(inflate) => {
                inflate.reset(codec == Codec::Zlib);
                run_inflate(inflate, packed, out)
            }
            Self::Zstd(decoder) => {
                decoder.reinit()?;
                run_zstd(decoder, packed, out)
            }
        }
    }
}

fn damaged(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::corrupt(format!("the compressed data is damaged: {error}")).caused_by(error)
}

fn run_inflate(inflate: &mut Decompress, packed: &[u8], out: &mut [u8]) -> Result<usize> {
    let status = inflate.decompress(packed, out, FlushDecompress::Finish).map_err(damaged)?;
    let produced = length_usize(inflate.total_out());
    match status {
        Status::StreamEnd => Ok(produced),
        _ if produced >= out.len() => Ok(produced),
        _ => Err(Error::corrupt("the compressed data ends too early")),
    }
}

fn run_zstd(decoder: &mut Decoder<'_>, packed: &[u8], out: &mut [u8]) -> Result<usize> {
    let wanted = out.len();
    let mut input = InBuffer::around(packed);
    let mut output = OutBuffer::around(out);
    while output.pos() < wanted {
        let before = (input.pos(), output.pos());
        decoder.run(&mut input, &mut output).map_err(damaged)?;
        if before == (input.pos(), output.pos()) {
            return Err(Error::corrupt("the compressed data ends too early"));
        }
    }
    Ok(output.pos())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use std::io::Write;

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut to = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        to.write_all(bytes).unwrap();
        to.finish().unwrap()
    }

    fn packed(codec: Codec, bytes: &[u8]) -> Vec<u8> {
        match codec {
            Codec::Zlib => zlib(bytes),
            Codec::Deflate => zlib(bytes)[2..].to_vec(),
            Codec::Zstd => zstd::bulk::compress(bytes, 1).unwrap(),
        }
    }

    #[test]
    fn each_codec_gives_back_what_went_in_and_ignores_padding() {
        let plain: Vec<u8> = (0..65_536_u32).map(|n| (n / 7).to_le_bytes()[0]).collect();
        for codec in [Codec::Deflate, Codec::Zlib, Codec::Zstd] {
            let mut stored = packed(codec, &plain);
            stored.extend([0; 512]);
            let unpacker = Unpacker::new(codec);
            for _ in 0..2 {
                let mut out = vec![0; plain.len()];
                assert_eq!(unpacker.unpack(&stored, &mut out).unwrap(), plain.len(), "{codec:?}");
                assert_eq!(out, plain, "{codec:?}");
            }
        }
    }

    #[test]
    fn a_bomb_fills_the_cluster_and_no_more_and_half_a_stream_is_an_error() {
        let bomb = vec![0; 64 << 20];
        for codec in [Codec::Deflate, Codec::Zlib, Codec::Zstd] {
            let stored = packed(codec, &bomb);
            let unpacker = Unpacker::new(codec);
            let mut out = vec![1; 4096];
            assert_eq!(unpacker.unpack(&stored, &mut out).unwrap(), 4096);
            assert_eq!(out, vec![0; 4096]);
            let mut out = vec![1; 64 << 20];
            let error = unpacker.unpack(&stored[..stored.len() / 2], &mut out).unwrap_err();
            assert_eq!(error.to_string(), "the compressed data ends too early", "{codec:?}");
            assert_eq!(error.kind(), Kind::Corrupt);
        }
    }
}
