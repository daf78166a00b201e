//! qcow2, versions 2 and 3: QEMU's format, and that of most published cloud images.
//!
//! ```text
//! header -> L1 table -> L2 tables -> clusters: standard, zero, compressed, or absent
//!                                    (absent = the backing file has it, else zero)
//! ```
//!
//! Refcounts and snapshots are not looked at: they matter to a writer only.

mod entry;
mod header;
mod mapping;

use std::sync::Arc;

use super::{Decoded, Opening, check_virtual_size, decode, refuse};
use crate::fields::length_usize;
use crate::image::{Format, Link};
use crate::mapped::Mapped;
use crate::unpack::Codec;
use crate::{Error, Result};
use header::{Compression, Header};
use mapping::Tables;

/// Open a qcow2 file and the files below it.
pub(super) fn open(opening: &Opening) -> Result<Decoded> {
    let header = Header::decode(&opening.head(64 << 10)?)
        .map_err(|error| refuse(error.kind(), error.clone()).fault(error.fault()))?;
    check_virtual_size(header.size_bytes)?;
    let below = header.backing_name.map(|name| open_backing(opening, &header, name)).transpose()?;
    let codec = match header.compression {
        Compression::Zlib => Codec::Deflate,
        Compression::Zstd => Codec::Zstd,
    };
    let notes = notes(&header);
    let variant = format!("version {}", header.version);
    let tables = Tables::new(header, Arc::clone(&opening.file))?;
    let (below, chain) = match below {
        Some(decoded) => (Some(decoded.source), decoded.chain),
        None => (None, Vec::new()),
    };
    let source =
        Mapped::new(tables, Arc::clone(&opening.file), &opening.location, codec).over(below);
    let decoded = Decoded::new(Format::Qcow2, variant, Arc::new(source));
    Ok(Decoded { notes, chain, ..decoded })
}

/// Open the backing file. Its chain then begins with itself.
fn open_backing(opening: &Opening, header: &Header, at: (u64, u32)) -> Result<Decoded> {
    let mut name = vec![0; length_usize(at.1.into())];
    let end = at.0.saturating_add(at.1.into());
    if end > opening.file.size_bytes() {
        return Err(Error::corrupt("the backing file name is past the end of the file").at(at.0));
    }
    opening.file.read_at(at.0, &mut name)?;
    let name = String::from_utf8(name)
        .map_err(|_| Error::unsupported("the backing file name is not UTF-8").at(at.0))?;
    let below = opening.below(&name)?;
    let format = header.backing_format.as_deref().map(format_by_name).transpose()?;
    let mut decoded =
        decode(&below, format).map_err(|error| error.in_location(below.location.clone()))?;
    decoded.chain.insert(0, Link { location: below.location, format: decoded.format });
    Ok(decoded)
}

/// The recorded format is binding: a guest can write a qcow2 header into its raw disk and so make
/// whoever guesses open files of the guest's choice.
fn format_by_name(name: &str) -> Result<Format> {
    match name {
        "raw" | "file" | "host_device" => Ok(Format::Raw),
        "qcow2" => Ok(Format::Qcow2),
        "vpc" => Ok(Format::Vhd),
        "vhdx" => Ok(Format::Vhdx),
        "vmdk" => Ok(Format::Vmdk),
        _ => Err(Error::unsupported(format!(
            "the backing file has format '{}', which kiln does not read",
            name.escape_debug()
        ))),
    }
}

fn notes(header: &Header) -> Vec<String> {
    let mut notes = Vec::new();
    if header.dirty {
        let lazy = if header.lazy_refcounts { " (it uses lazy refcounts)" } else { "" };
        notes.push(format!("the image was not closed cleanly{lazy}: qemu-img check -r all IMAGE"));
    }
    if header.corrupt {
        notes.push("QEMU marked the image as corrupt: qemu-img check -r all IMAGE".to_owned());
    }
    if header.snapshots > 0 {
        let count = header.snapshots;
        notes.push(format!("{count} internal snapshots are ignored; the current state is read"));
    }
    notes
}
