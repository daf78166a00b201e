//! Opening an image: from a location to the disk as the guest sees it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::counting::Counter;
use crate::file::FileSource;
use crate::formats::{self, Opening};
use crate::siblings::{LocalSiblings, NoSiblings, Siblings};
use crate::{Error, Result, Source};

/// The format of a file that holds a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// The bytes of the disk and nothing else.
    Raw,
    /// QEMU copy-on-write, version 2 or 3.
    Qcow2,
    /// Virtual PC / Hyper-V (1st generation) and Azure; QEMU calls it vpc.
    Vhd,
    /// Hyper-V, 2nd generation.
    Vhdx,
    /// VMware.
    Vmdk,
}

impl Format {
    /// The name that users type and read.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vhd => "vhd",
            Self::Vhdx => "vhdx",
            Self::Vmdk => "vmdk",
        }
    }

    /// The format that a file name promises. `.img` and the like promise nothing: cloud images in
    /// qcow2 are published under them.
    fn of_suffix(location: &str) -> Option<Self> {
        let suffix = Path::new(location).extension()?.to_str()?.to_ascii_lowercase();
        match suffix.as_str() {
            "raw" => Some(Self::Raw),
            "qcow2" => Some(Self::Qcow2),
            "vhd" | "vpc" => Some(Self::Vhd),
            "vhdx" => Some(Self::Vhdx),
            "vmdk" => Some(Self::Vmdk),
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the caller allows and knows.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Take the file to be in this format and do not look what it is.
    pub format: Option<Format>,
    /// Folders besides the image's own in which files that an image names may be opened.
    pub allow_backing: Vec<PathBuf>,
}

/// A file below an image: a backing file or an extent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its path or URL.
    pub location: String,
    /// Its format.
    pub format: Format,
}

/// An open image.
#[derive(Clone, Debug)]
pub struct Image {
    /// The path or URL that was opened.
    pub location: String,
    /// The format of the file.
    pub format: Format,
    /// The kind within the format, for example `dynamic` or `streamOptimized`; may be empty.
    pub variant: String,
    /// The disk as the guest sees it.
    pub source: Source,
    /// What a person should know about the file although it can be read, one sentence each.
    pub notes: Vec<String>,
    /// The files the image is made of besides its own, nearest first.
    pub chain: Vec<Link>,
    /// The logical sector size of the disk in bytes, where the format records one.
    pub sector_size_bytes: Option<u32>,
    counter: Counter,
}

impl Image {
    /// Bytes read so far from the files of the image, its backing files and extents included; of a
    /// remote image, bytes fetched.
    pub fn bytes_read(&self) -> u64 {
        self.counter.bytes_read()
    }
}

/// Open the image at `location`: a path, or a URL of a scheme whose feature is on (`http` for
/// `http://` and `https://`, `object` for `s3://` and `oss://`). An image behind a URL may not name
/// other files.
///
/// # Errors
///
/// Any [`crate::Kind`] but `OtherFormat`: what is in no known format is a raw disk.
pub fn open(location: &str, options: &OpenOptions) -> Result<Image> {
    if let Some((scheme, rest)) = location.split_once("://") {
        let fetched = Counter::default();
        let source = open_remote(scheme, rest, location, &fetched)
            .map_err(|error| error.in_location(location))?;
        return open_counted(source, fetched, location, Arc::new(NoSiblings), options);
    }
    let path = Path::new(location);
    let source = FileSource::open(path)?;
    let siblings = LocalSiblings::beside(path, &options.allow_backing)?;
    open_source(Arc::new(source), location, Arc::new(siblings), options)
}

/// The bytes of the file at `location` as they are, whatever format they are in; locations are those
/// of [`open`].
///
/// # Errors
///
/// As [`open`], as far as reaching the file goes.
pub fn source(location: &str) -> Result<Source> {
    if let Some((scheme, rest)) = location.split_once("://") {
        return open_remote(scheme, rest, location, &Counter::default())
            .map_err(|error| error.in_location(location));
    }
    Ok(Arc::new(FileSource::open(Path::new(location))?))
}

fn open_remote(scheme: &str, rest: &str, url: &str, fetched: &Counter) -> Result<Source> {
    match scheme.to_ascii_lowercase().as_str() {
        #[cfg(feature = "http")]
        "http" | "https" => Ok(Arc::new(crate::remote::http::open(url, fetched.clone())?)),
        #[cfg(feature = "object")]
        scheme @ ("s3" | "oss") => {
            Ok(Arc::new(crate::remote::object::open(scheme, rest, fetched.clone())?))
        }
        _ => {
            let _ = (rest, url, fetched); // unused where both features are off
            Err(Error::unsupported(format!("'{scheme}://' locations are not supported"))
                .hint("name a path, or an http://, https://, s3:// or oss:// URL"))
        }
    }
}

/// Detect what `source` holds and decode it. `siblings` opens the files that the image names.
///
/// # Errors
///
/// As [`open`].
pub fn open_source(
    source: Source,
    location: &str,
    siblings: Arc<dyn Siblings>,
    options: &OpenOptions,
) -> Result<Image> {
    let counter = Counter::default();
    open_counted(counter.watch(source), counter, location, siblings, options)
}

/// As [`open_source`], for a source whose reads `counter` counts already.
fn open_counted(
    source: Source,
    counter: Counter,
    location: &str,
    siblings: Arc<dyn Siblings>,
    options: &OpenOptions,
) -> Result<Image> {
    let identity = siblings.identity();
    let opening = Opening {
        file: source,
        location: location.to_owned(),
        siblings,
        counter: counter.clone(),
        above: identity.into_iter().collect(),
    };
    let mut decoded =
        formats::decode(&opening, options.format).map_err(|error| error.in_location(location))?;
    if let Some(promised) = Format::of_suffix(location)
        && promised != decoded.format
    {
        let note = format!("the name promises {promised}, the content is {}", decoded.format);
        decoded.notes.insert(0, note);
    }
    Ok(Image {
        location: location.to_owned(),
        format: decoded.format,
        variant: decoded.variant,
        source: decoded.source,
        notes: decoded.notes,
        chain: decoded.chain,
        sector_size_bytes: decoded.sector_size_bytes,
        counter,
    })
}
