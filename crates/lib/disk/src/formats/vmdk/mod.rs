//! VMDK: VMware's disks of one sparse file, of a stream, and of a descriptor with extents.
//!
//! ```text
//! monolithicSparse, streamOptimized:      one file: header, descriptor, tables, grains
//! monolithicFlat, twoGbMaxExtent{Sparse,Flat}, vmfs: a descriptor file that names extent files
//! ```

mod descriptor;
mod header;
mod joined;
mod sparse;

use std::sync::Arc;

use super::{Decoded, Opening, check_virtual_size, refuse};
use crate::fields::length_usize;
use crate::image::{Format, Link};
use crate::{Error, Fault, Result, Source, Window};
use descriptor::{DESCRIPTOR_MAX_BYTES, Descriptor, DescriptorError, Extent, Storage};
use header::Header;
use joined::Joined;

/// Whether a file that begins with `head` is a VMDK.
pub(super) fn looks_like(head: &[u8]) -> bool {
    head.starts_with(b"KDMV") || descriptor::looks_like(head)
}

/// Open a VMDK file and its extents.
pub(super) fn open(opening: &Opening) -> Result<Decoded> {
    let head = opening.head(64)?;
    if descriptor::looks_like(&head) {
        return open_descriptor(opening);
    }
    let (source, header) = sparse::open(&opening.file, &opening.location)?;
    let create_type = embedded_type(&opening.file, &header)?;
    let mut decoded = Decoded::new(Format::Vmdk, create_type, source);
    decoded.notes.extend(unclean(&header, &opening.location));
    Ok(decoded)
}

fn unclean(header: &Header, location: &str) -> Option<String> {
    header.unclean.then(|| format!("{location} was not closed cleanly by its writer"))
}

fn told(error: DescriptorError) -> Error {
    let depends = matches!(error, DescriptorError::Differencing { .. });
    refuse(error.kind(), error).fault(depends.then_some(Fault::DependsOnOther))
}

/// The kind of a sparse file by its own descriptor. Extents of split disks have none.
fn embedded_type(file: &Source, header: &Header) -> Result<String> {
    let (at, length) = header.descriptor;
    if at == 0 || length == 0 {
        return Ok("sparse extent".to_owned());
    }
    let end = at.saturating_add(length);
    if length > DESCRIPTOR_MAX_BYTES || end > file.size_bytes() {
        let told = format!("the embedded descriptor of {length} bytes does not fit in the file");
        return Err(Error::corrupt(told).at(at));
    }
    let mut bytes = vec![0; length_usize(length)];
    file.read_at(at, &mut bytes)?;
    let descriptor = Descriptor::parse(&bytes).map_err(|error| told(error).at(at))?;
    if descriptor.extents.len() > 1 {
        let count = descriptor.extents.len();
        let told = format!("the embedded descriptor names {count} extents; kiln reads one");
        return Err(Error::unsupported(told).at(at));
    }
    Ok(descriptor.create_type)
}

fn open_descriptor(opening: &Opening) -> Result<Decoded> {
    let size = opening.file.size_bytes();
    if size > DESCRIPTOR_MAX_BYTES {
        return Err(Error::unsupported(format!(
            "the descriptor has {size} bytes; kiln reads up to {DESCRIPTOR_MAX_BYTES}"
        )));
    }
    let descriptor = Descriptor::parse(&opening.head(size)?).map_err(told)?;
    let (mut parts, mut chain, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for extent in descriptor.extents {
        let source = open_extent(opening, &extent, &mut chain, &mut notes)?;
        parts.push((extent.size_bytes, source));
    }
    let joined = Joined::new(parts)?;
    check_virtual_size(crate::BlockSource::size_bytes(&joined))?;
    let decoded = Decoded::new(Format::Vmdk, descriptor.create_type, Arc::new(joined));
    Ok(Decoded { chain, notes, ..decoded })
}

/// The source of one extent, checked to be as long as the descriptor says.
fn open_extent(
    opening: &Opening,
    extent: &Extent,
    chain: &mut Vec<Link>,
    notes: &mut Vec<String>,
) -> Result<Option<Source>> {
    let (name, start_bytes) = match &extent.storage {
        Storage::Zero => return Ok(None),
        Storage::Flat { name, start_bytes } => (name, Some(*start_bytes)),
        Storage::Sparse { name } => (name, None),
    };
    let file = opening.below(name)?;
    let located = |error: Error| error.in_location(file.location.clone());
    let (source, start, format) = match start_bytes {
        Some(start) => (Arc::clone(&file.file), start, Format::Raw),
        None => {
            let (source, header) = sparse::open(&file.file, &file.location).map_err(located)?;
            notes.extend(unclean(&header, &file.location));
            (source, 0, Format::Vmdk)
        }
    };
    let there = source.size_bytes().saturating_sub(start);
    if there < extent.size_bytes {
        return Err(located(
            Error::corrupt(format!(
                "the extent has {there} bytes where the descriptor needs {}",
                extent.size_bytes
            ))
            .truncated(),
        ));
    }
    chain.push(Link { location: file.location.clone(), format });
    Ok(Some(Arc::new(Window::new(source, start, extent.size_bytes)?)))
}
