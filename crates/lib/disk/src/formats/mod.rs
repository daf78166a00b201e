//! The formats: which one a file is in, and the way down a chain of files.
//!
//! Detection looks at the content and never at the name, which any tool can have changed.

#![cfg_attr(not(test), warn(clippy::as_conversions, clippy::arithmetic_side_effects))]

mod qcow2;
mod vhd;
mod vhdx;
mod vmdk;

use std::sync::Arc;

use crate::counting::Counter;
use crate::fields::length_usize;
use crate::image::{Format, Link};
use crate::siblings::Siblings;
use crate::{Error, Fault, Kind, Result, Source};

/// The largest virtual disk: 64 TiB, the limit of VHDX and more than any cloud offers. It bounds
/// how many tables a hostile header can make kiln walk.
pub(crate) const VIRTUAL_SIZE_MAX_BYTES: u64 = 64 << 40;

/// How many files may lie below one another. Real chains are 2 or 3 deep.
const CHAIN_MAX: usize = 16;

/// A file about to be decoded, and how it was reached.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) file: Source,
    pub(crate) location: String,
    pub(crate) siblings: Arc<dyn Siblings>,
    pub(crate) counter: Counter,
    /// The identities of this file and of those above it.
    pub(crate) above: Vec<String>,
}

/// A decoded file.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) format: Format,
    pub(crate) variant: String,
    pub(crate) source: Source,
    pub(crate) notes: Vec<String>,
    pub(crate) chain: Vec<Link>,
    pub(crate) sector_size_bytes: Option<u32>,
}

impl Decoded {
    pub(crate) fn new(format: Format, variant: impl Into<String>, source: Source) -> Self {
        Self {
            format,
            variant: variant.into(),
            source,
            notes: Vec::new(),
            chain: Vec::new(),
            sector_size_bytes: None,
        }
    }
}

impl Opening {
    /// The first `length` bytes of the file, or all of a shorter one.
    pub(crate) fn head(&self, length: u64) -> Result<Vec<u8>> {
        let mut head = vec![0; length_usize(length.min(self.file.size_bytes()))];
        self.file.read_at(0, &mut head)?;
        Ok(head)
    }

    /// Open a file that this one names, as the next link of the chain.
    pub(crate) fn below(&self, name: &str) -> Result<Self> {
        if self.above.len() > CHAIN_MAX {
            let told = format!("more than {CHAIN_MAX} files lie below one another");
            return Err(Error::unsupported(told));
        }
        let sibling = self.siblings.open(name)?;
        if self.above.contains(&sibling.location) {
            let told =
                format!("'{}' is its own backing file: the chain is a loop", name.escape_debug());
            return Err(Error::corrupt(told));
        }
        let mut above = self.above.clone();
        above.push(sibling.location.clone());
        Ok(Self {
            file: self.counter.watch(sibling.source),
            location: sibling.location,
            siblings: sibling.siblings,
            counter: self.counter.clone(),
            above,
        })
    }
}

/// Decode a file, as `format` where that is given and as what it looks like otherwise.
pub(crate) fn decode(opening: &Opening, format: Option<Format>) -> Result<Decoded> {
    let format = match format {
        Some(format) => format,
        None => detect(opening)?,
    };
    match format {
        Format::Raw => Ok(Decoded::new(Format::Raw, "", Arc::clone(&opening.file))),
        Format::Qcow2 => qcow2::open(opening),
        Format::Vhd => vhd::open(opening),
        Format::Vhdx => vhdx::open(opening),
        Format::Vmdk => vmdk::open(opening),
    }
}

fn detect(opening: &Opening) -> Result<Format> {
    let head = opening.head(64 << 10)?;
    if head.starts_with(b"QFI\xfb") {
        return Ok(Format::Qcow2);
    }
    if head.starts_with(b"vhdxfile") {
        return Ok(Format::Vhdx);
    }
    if vmdk::looks_like(&head) {
        return Ok(Format::Vmdk);
    }
    if vhd::looks_like(opening, &head)? {
        return Ok(Format::Vhd);
    }
    match foreign(&head) {
        Some(told) => Err(Error::unsupported(told.0).fault(Fault::UnknownFormat).hint(told.1)),
        None => Ok(Format::Raw),
    }
}

/// Files that certainly are not disks to boot from as they are: what they are, and what to do.
/// Without this they would be raw disks, on which the checks find no partition.
fn foreign(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let convert = "convert it first: qemu-img convert -O qcow2 IN OUT";
    let unpack = "unpack it first";
    let starts: [(&[u8], _, _); 9] = [
        (b"\x1f\x8b\x08", "this is gzip-compressed", unpack),
        (b"\xfd7zXZ\0", "this is xz-compressed", unpack),
        (b"\x28\xb5\x2f\xfd", "this is zstd-compressed", unpack),
        (b"BZh", "this is bzip2-compressed", unpack),
        (b"PK\x03\x04", "this is a zip archive", unpack),
        (b"QED\0", "this is a QED image, which kiln does not read", convert),
        (b"COWD", "this is an ESX COWD image, which kiln does not read", convert),
        (b"WithoutFreeSpace", "this is a Parallels image, which kiln does not read", convert),
        (b"WithouFreSpacExt", "this is a Parallels image, which kiln does not read", convert),
    ];
    let started = starts.into_iter().find(|(magic, ..)| head.starts_with(magic));
    if let Some((_, what, hint)) = started {
        return Some((what, hint));
    }
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|b| b.starts_with(magic));
    if at(0x40, b"\x7f\x10\xda\xbe") {
        return Some(("this is a VirtualBox VDI image, which kiln does not read", convert));
    }
    // An OVA is a tar file whose first member is the .ovf; a disk has no text at byte 257.
    at(257, b"ustar")
        .then_some(("this is a tar archive (perhaps an OVA)", "unpack it and use the disk inside"))
}

/// Refuse a disk larger than [`VIRTUAL_SIZE_MAX_BYTES`].
pub(crate) fn check_virtual_size(size_bytes: u64) -> Result<()> {
    if size_bytes > VIRTUAL_SIZE_MAX_BYTES {
        return Err(Error::unsupported(format!(
            "the disk has {size_bytes} bytes; kiln reads up to {VIRTUAL_SIZE_MAX_BYTES} (64 TiB)"
        ))
        .fault(Fault::TooLarge));
    }
    Ok(())
}

/// An error of a header decoder as the error of the crate.
pub(crate) fn refuse(kind: Kind, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(kind, error.to_string()).caused_by(error)
}
