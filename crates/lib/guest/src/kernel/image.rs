//! What a kernel image says about itself: its version, its architecture, its configuration.
//!
//! Layouts: Linux Documentation/arch/x86/boot.rst, Documentation/arch/arm64/booting.rst,
//! drivers/firmware/efi/libstub/zboot-header.S, kernel/configs.c.

use std::io::{self, BufReader, Read};
use std::sync::Arc;

use kiln_volume::{Error, FileReader, Kind, MemFs, Result, Tree};
use memchr::memmem;

use crate::initramfs::{Codec, Part};
use crate::kernel::pe;

/// The largest kernels with everything built in have about 80 MiB unpacked.
const MAX_UNPACKED_BYTES: u64 = 256 << 20;
const CHUNK_BYTES: usize = 256 << 10;
const BANNER: &[u8] = b"Linux version ";
const CONFIG_START: &[u8] = b"IKCFG_ST";
/// What may follow a mark that is searched for; a packed configuration has about 60 KiB.
const TAIL_BYTES: usize = 512 << 10;
const MAX_CONFIG_BYTES: u64 = 4 << 20;
const MAX_VERSION_BYTES: usize = 128;

/// The version of the kernel image at `path`. `None`: no file there, or no version in it.
///
/// # Errors
///
/// What the filesystem says.
pub(crate) fn image_version(tree: &Tree, path: &str) -> Result<Option<String>> {
    tree.open(path)?.map_or(Ok(None), |file| KernelImage::new(file).version())
}

/// The architecture of the kernel image at `path`: `x86_64`, `i386`, `arm64`. `None`: no file, or
/// the image does not tell.
///
/// # Errors
///
/// What the filesystem says.
pub(crate) fn image_architecture(tree: &Tree, path: &str) -> Result<Option<&'static str>> {
    tree.open(path)?.map_or(Ok(None), |file| KernelImage::new(file).architecture())
}

/// A kernel image: bzImage, arm64 `Image`, compressed ones of these, or a unified kernel image.
#[derive(Clone, Debug)]
pub struct KernelImage {
    file: FileReader,
}

enum Form {
    /// With the offset of the version, where it has one.
    BzImage {
        version_at: Option<u64>,
    },
    /// With the offset of the version.
    Uki {
        offset_bytes: u64,
    },
    Zboot {
        offset_bytes: u64,
        length_bytes: u64,
    },
    Compressed,
    Arm64,
    Other,
}

impl KernelImage {
    /// Nothing is read yet.
    pub fn new(file: FileReader) -> Self {
        Self { file }
    }

    /// An image in memory, as it lies in a file.
    ///
    /// # Errors
    ///
    /// None that the bytes could cause.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        const NAME: &str = "/vmlinuz";
        let mut fs = MemFs::new();
        fs.file(NAME, bytes);
        let file = Tree::new(Arc::new(fs)).open(NAME)?;
        file.map(Self::new).ok_or_else(|| Error::new(Kind::NotFound, NAME))
    }

    /// The kernel itself, unpacked where the image packs it. `None`: it cannot be unpacked, or is
    /// unreasonably large.
    ///
    /// # Errors
    ///
    /// What the filesystem says.
    pub fn unpack(&self) -> Result<Option<Vec<u8>>> {
        let told_bytes = self.told_bytes()?;
        let kernel = self.unpacked(|input| {
            let mut kernel = Vec::new();
            // Behind the stream a bzImage has the size, which is no part of it.
            let limit_bytes = told_bytes.unwrap_or(MAX_UNPACKED_BYTES);
            input.take(limit_bytes).read_to_end(&mut kernel).map(|_| kernel)
        })?;
        Ok(kernel.filter(|kernel| {
            let n = kernel.len() as u64;
            n < MAX_UNPACKED_BYTES && told_bytes.is_none_or(|told| told == n)
        }))
    }

    /// The size of the unpacked kernel in bytes, where a bzImage tells it.
    fn told_bytes(&self) -> Result<Option<u64>> {
        let Form::BzImage { .. } = self.form()? else { return Ok(None) };
        let Some((offset, length)) = self.bzimage_payload()? else { return Ok(None) };
        let at = offset.saturating_add(length).saturating_sub(4);
        Ok(pe::read_array::<4>(&self.file, at)?.map(|told| u32::from_le_bytes(told).into()))
    }

    /// `uname -r`. `None`: the image does not tell.
    ///
    /// # Errors
    ///
    /// What the filesystem says. A broken image is one that does not tell.
    pub fn version(&self) -> Result<Option<String>> {
        match self.form()? {
            Form::BzImage { version_at: Some(at) } => self.text_at(at),
            Form::BzImage { version_at: None } => Ok(None),
            Form::Uki { offset_bytes } => self.text_at(offset_bytes),
            Form::Arm64 | Form::Zboot { .. } | Form::Compressed => self.banner_version(),
            // An ELF vmlinux of other architectures tells it in its banner, as all of them do.
            Form::Other if self.starts_with(b"\x7FELF")? => self.banner_version(),
            Form::Other => Ok(None),
        }
    }

    /// `x86_64`, `i386` or `arm64`. `None`: the image does not tell, as those before Linux 3.8
    /// without an EFI stub do not.
    ///
    /// # Errors
    ///
    /// What the filesystem says.
    pub fn architecture(&self) -> Result<Option<&'static str>> {
        let by_machine = match pe::machine(&self.file)? {
            Some(0x8664) => Some("x86_64"),
            Some(0x014C) => Some("i386"),
            Some(0xAA64) => Some("arm64"),
            _ => None,
        };
        if by_machine.is_some() {
            return Ok(by_machine);
        }
        Ok(match self.form()? {
            Form::Arm64 => Some("arm64"),
            Form::BzImage { .. } => self.bzimage_architecture()?,
            Form::Compressed => {
                let mut head = [0; 64];
                let read = self.unpacked(|input| input.read_exact(&mut head))?;
                (read.is_some() && is_arm64(&head)).then_some("arm64")
            }
            _ => None,
        })
    }

    /// The configuration that `CONFIG_IKCONFIG` put into the image. `None`: there is none.
    ///
    /// # Errors
    ///
    /// What the filesystem says.
    pub fn embedded_config(&self) -> Result<Option<Vec<u8>>> {
        let packed =
            self.unpacked(|input| find_mark(input, CONFIG_START, |tail| Some(tail.to_vec())))?;
        let Some(packed) = packed.flatten() else { return Ok(None) };
        let mut config = Vec::new();
        let unpacked = flate2::bufread::GzDecoder::new(&packed[..])
            .take(MAX_CONFIG_BYTES)
            .read_to_end(&mut config);
        Ok(unpacked.is_ok().then_some(config))
    }

    fn bzimage_architecture(&self) -> Result<Option<&'static str>> {
        let Some(header) = pe::read_array::<0x40>(&self.file, 0x1F8)? else { return Ok(None) };
        let protocol = u16::from_le_bytes([header[0x0E], header[0x0F]]);
        // xloadflags, bit 0: a 64-bit entry point. New in protocol 2.12.
        let flags = header[0x3E];
        let told = if flags & 1 != 0 { "x86_64" } else { "i386" };
        Ok((protocol >= 0x020C).then_some(told))
    }

    fn form(&self) -> Result<Form> {
        if let pe::Section::At { offset_bytes, .. } = pe::section(&self.file, b".uname")? {
            return Ok(Form::Uki { offset_bytes });
        }
        let Some(head) = pe::read_array::<64>(&self.file, 0)? else { return Ok(Form::Other) };
        if is_arm64(&head) {
            return Ok(Form::Arm64);
        }
        if head[..2] == *b"MZ" && head[4..8] == *b"zimg" {
            let word = |at: usize| {
                u64::from(u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]))
            };
            return Ok(Form::Zboot { offset_bytes: word(8), length_bytes: word(12) });
        }
        if Codec::of(&head).is_some() {
            return Ok(Form::Compressed);
        }
        let Some(setup) = pe::read_array::<14>(&self.file, 0x202)? else { return Ok(Form::Other) };
        if setup[..4] != *b"HdrS" {
            return Ok(Form::Other);
        }
        let pointer = u64::from(u16::from_le_bytes([setup[12], setup[13]]));
        Ok(Form::BzImage { version_at: (pointer != 0).then_some(pointer + 0x200) })
    }

    fn starts_with(&self, magic: &[u8; 4]) -> Result<bool> {
        Ok(pe::read_array::<4>(&self.file, 0)?.is_some_and(|head| head == *magic))
    }

    /// The first word of the text at `offset`.
    fn text_at(&self, offset: u64) -> Result<Option<String>> {
        let mut bytes = [0; MAX_VERSION_BYTES];
        let n = self.file.read_at(offset, &mut bytes)?;
        Ok(version_word(&bytes[..n]))
    }

    fn banner_version(&self) -> Result<Option<String>> {
        Ok(self.unpacked(|input| find_mark(input, BANNER, version_word))?.flatten())
    }

    /// Read the kernel itself: unpacked where the image packs it. `None`: it cannot be unpacked.
    fn unpacked<T>(
        &self,
        mut read: impl FnMut(&mut dyn Read) -> io::Result<T>,
    ) -> Result<Option<T>> {
        let whole = (0, self.file.size_bytes());
        let (offset_bytes, length_bytes) = match self.form()? {
            Form::Zboot { offset_bytes, length_bytes } => (offset_bytes, length_bytes),
            Form::BzImage { .. } => self.bzimage_payload()?.unwrap_or(whole),
            Form::Uki { .. } => match pe::section(&self.file, b".linux")? {
                pe::Section::At { offset_bytes, length_bytes } => (offset_bytes, length_bytes),
                _ => whole,
            },
            _ => whole,
        };
        let part =
            Part { path: String::new(), file: self.file.clone(), offset_bytes, length_bytes };
        let mut head = [0; Codec::MAGIC_BYTES];
        let n = self.file.read_at(offset_bytes, &mut head)?;
        let input = BufReader::with_capacity(CHUNK_BYTES, part.from(0));
        let result = match Codec::of(&head[..n]) {
            Some(codec) => {
                codec.decoder(input).and_then(|decoder| read(&mut decoder.take(MAX_UNPACKED_BYTES)))
            }
            None => read(&mut input.take(MAX_UNPACKED_BYTES)),
        };
        match result {
            Ok(value) => Ok(Some(value)),
            // The disk failed, and not the decompressor.
            Err(error) if error.get_ref().is_some_and(|inner| inner.is::<Error>()) => {
                Err(Error::new(Kind::Io, error.to_string()))
            }
            Err(_) => Ok(None),
        }
    }

    /// Where the compressed kernel lies in a bzImage: offset and length in bytes. New in boot
    /// protocol 2.08.
    fn bzimage_payload(&self) -> Result<Option<(u64, u64)>> {
        let Some(header) = pe::read_array::<0x60>(&self.file, 0x1F0)? else { return Ok(None) };
        let protocol = u16::from_le_bytes([header[0x16], header[0x17]]);
        let n_sectors = match header[1] {
            // Zero means four, for the oldest kernels.
            0 => 4,
            n => u64::from(n),
        };
        let word = |at: usize| {
            let bytes = [header[at], header[at + 1], header[at + 2], header[at + 3]];
            u64::from(u32::from_le_bytes(bytes))
        };
        let (offset, length) = (word(0x58), word(0x5C));
        Ok((protocol >= 0x0208 && length != 0).then_some(((n_sectors + 1) * 512 + offset, length)))
    }
}

fn is_arm64(head: &[u8; 64]) -> bool {
    head[0x38..0x3C] == *b"ARMd"
}

/// The word that `bytes` start with, where it can be a kernel version.
fn version_word(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.get(..MAX_VERSION_BYTES).unwrap_or(bytes);
    let is_end = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    let word = &bytes[..bytes.iter().position(is_end)?];
    let is_version = word.first().is_some_and(u8::is_ascii_digit)
        && word.iter().all(|byte| byte.is_ascii_graphic());
    is_version.then(|| String::from_utf8_lossy(word).into_owned())
}

/// What `judge` makes of the bytes after the first `mark` that it makes something of.
fn find_mark<T>(
    input: &mut dyn Read,
    mark: &[u8],
    judge: impl Fn(&[u8]) -> Option<T>,
) -> io::Result<Option<T>> {
    let finder = memmem::Finder::new(mark);
    let mut window: Vec<u8> = Vec::new();
    loop {
        let n = input.take(CHUNK_BYTES as u64).read_to_end(&mut window);
        // What came before a broken end still counts.
        let is_end = !matches!(n, Ok(n) if n > 0);
        let mut from = 0;
        while let Some(at) = finder.find(&window[from..]).map(|at| at + from) {
            let after = at + mark.len();
            if !is_end && window.len() - after < TAIL_BYTES {
                break;
            }
            if let Some(value) = judge(&window[after..]) {
                return Ok(Some(value));
            }
            from = after;
        }
        if is_end {
            return n.map(|_| None);
        }
        // Keep what a mark at the end, and what follows it, need.
        let keep =
            finder.find(&window[from..]).map_or(mark.len() - 1, |at| window.len() - from - at);
        window.drain(..window.len() - keep.min(window.len()));
    }
}
