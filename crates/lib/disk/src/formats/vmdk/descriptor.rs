//! The VMDK descriptor: a few lines of text that name the kind of disk and its extents.
//!
//! Parses text and never opens a file; whether a named file may be opened is decided elsewhere.
//! Layout: VMware, "Virtual Disk Format 5.0", "The Descriptor File".

use crate::Kind;

/// The largest descriptor. VMware's have about 1 KiB; one of 1024 extents has 60 KiB.
pub(crate) const DESCRIPTOR_MAX_BYTES: u64 = 256 << 10;
/// The most extents: 2 TiB in pieces of 2 GiB. Each is an open file.
const EXTENTS_MAX: usize = 1024;
const NO_PARENT: &str = "ffffffff";

/// Why a descriptor was refused: the line, counted from 1, and what it says.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum DescriptorError {
    #[error("the descriptor is not text")]
    NotText,
    #[error("the descriptor has no createType")]
    NoType,
    #[error("the descriptor names no extent")]
    NoExtent,
    #[error("the descriptor names more than 1024 extents")]
    TooManyExtents,
    #[error("descriptor line {line}: '{text}' is no extent")]
    Extent { line: usize, text: String },
    #[error("descriptor line {line}: extents of type {name} are not read")]
    ExtentType { line: usize, name: String },
    #[error("descriptor line {line}: the extent is not accessible (NOACCESS)")]
    NoAccess { line: usize },
    #[error("the image is a differencing VMDK (parentCID {parent}), which kiln does not read")]
    Differencing { parent: String },
}

impl DescriptorError {
    /// What a caller can do about it.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::ExtentType { .. }
            | Self::NoAccess { .. }
            | Self::TooManyExtents
            | Self::Differencing { .. } => Kind::Unsupported,
            _ => Kind::Corrupt,
        }
    }
}

/// What an extent is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    /// Zeroes, and no file.
    Zero,
    /// The bytes of the disk, from this byte of the file on.
    Flat { name: String, start_bytes: u64 },
    /// A sparse extent with its own header.
    Sparse { name: String },
}

/// One extent line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) size_bytes: u64,
    pub(crate) storage: Storage,
}

/// A parsed descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    pub(crate) create_type: String,
    pub(crate) extents: Vec<Extent>,
}

/// Whether a file that begins with `head` is a descriptor.
pub(crate) fn looks_like(head: &[u8]) -> bool {
    let magic = b"# disk descriptorfile";
    head.get(..magic.len()).is_some_and(|start| start.eq_ignore_ascii_case(magic))
}

impl Descriptor {
    /// Parse a descriptor. Zeroes after the text, which fill an embedded one, are ignored.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, DescriptorError> {
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        let text = std::str::from_utf8(text).map_err(|_| DescriptorError::NotText)?;
        let (mut create_type, mut extents) = (None, Vec::new());
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            let number = number.saturating_add(1);
            // Other readers take any blank, a line break too, for the space behind it: what they would
            // read as an extent is one here, or an error.
            let first = line.split_whitespace().next().unwrap_or_default();
            if ["RW", "RDONLY", "NOACCESS"].contains(&first) {
                if extents.len() == EXTENTS_MAX {
                    return Err(DescriptorError::TooManyExtents);
                }
                extents.push(Extent::parse(number, line)?);
            } else if let Some((key, value)) = line.split_once('=') {
                let value = value.trim().trim_matches('"');
                match key.trim().to_ascii_lowercase().as_str() {
                    "createtype" => create_type = Some(value.to_owned()),
                    "parentcid" if !value.eq_ignore_ascii_case(NO_PARENT) => {
                        let parent = value.escape_debug().to_string();
                        return Err(DescriptorError::Differencing { parent });
                    }
                    _ => {}
                }
            }
        }
        let create_type = create_type.ok_or(DescriptorError::NoType)?;
        if extents.is_empty() {
            return Err(DescriptorError::NoExtent);
        }
        Ok(Self { create_type, extents })
    }
}

impl Extent {
    /// `ACCESS SECTORS TYPE ["NAME" [OFFSET]]`; the name may hold spaces.
    fn parse(line: usize, text: &str) -> Result<Self, DescriptorError> {
        let wrong = || DescriptorError::Extent { line, text: text.escape_debug().to_string() };
        let mut words = text.splitn(4, ' ');
        let access = words.next().ok_or_else(wrong)?;
        let sectors: u64 = words.next().and_then(|n| n.parse().ok()).ok_or_else(wrong)?;
        let kind = words.next().ok_or_else(wrong)?;
        let rest = words.next().unwrap_or_default().trim();
        let size_bytes = sectors.checked_mul(512).ok_or_else(wrong)?;
        if access == "NOACCESS" {
            return Err(DescriptorError::NoAccess { line });
        }
        let storage = match kind {
            "ZERO" => Storage::Zero,
            "FLAT" | "VMFS" => {
                let (name, offset) = quoted(rest).ok_or_else(wrong)?;
                let sector: u64 = match offset {
                    "" => 0,
                    offset => offset.parse().map_err(|_| wrong())?,
                };
                let start_bytes = sector.checked_mul(512).ok_or_else(wrong)?;
                Storage::Flat { name: name.to_owned(), start_bytes }
            }
            "SPARSE" => {
                let (name, _) = quoted(rest).ok_or_else(wrong)?;
                Storage::Sparse { name: name.to_owned() }
            }
            other => {
                let name = other.escape_debug().to_string();
                return Err(DescriptorError::ExtentType { line, name });
            }
        };
        Ok(Self { size_bytes, storage })
    }
}

/// The name between quotes and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.strip_prefix('"')?.split_once('"')?;
    (!name.is_empty()).then_some((name, rest.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n\
        createType=\"twoGbMaxExtentFlat\"\n\n# Extent description\n\
        RW 100 FLAT \"a disk-f001.vmdk\" 7\nRDONLY 20 SPARSE \"b.vmdk\"\nRW 3 ZERO\n\n\
        ddb.adapterType = \"ide\"\n";

    #[test]
    fn a_sound_descriptor_names_type_and_extents() {
        let descriptor = Descriptor::parse(SOUND.as_bytes()).unwrap();
        assert_eq!(descriptor.create_type, "twoGbMaxExtentFlat");
        let storages: Vec<_> =
            descriptor.extents.into_iter().map(|e| (e.size_bytes, e.storage)).collect();
        let flat = Storage::Flat { name: "a disk-f001.vmdk".to_owned(), start_bytes: 7 * 512 };
        let sparse = Storage::Sparse { name: "b.vmdk".to_owned() };
        assert_eq!(storages, [(51_200, flat), (10_240, sparse), (1536, Storage::Zero)]);
    }

    #[test]
    fn each_fault_is_named_with_its_line() {
        for (from, to, kind, message) in [
            (
                "parentCID=ffffffff",
                "parentCID=1234abcd",
                Kind::Unsupported,
                "the image is a differencing VMDK (parentCID 1234abcd), which kiln does not read",
            ),
            ("createType=", "x=", Kind::Corrupt, "the descriptor has no createType"),
            (
                "FLAT",
                "VMFSSPARSE",
                Kind::Unsupported,
                "descriptor line 8: extents of type VMFSSPARSE are not read",
            ),
            (
                "RW 100",
                "RW -1",
                Kind::Corrupt,
                "descriptor line 8: 'RW -1 FLAT \\\"a disk-f001.vmdk\\\" 7' is no extent",
            ),
            (
                "RW 3 ZERO",
                "RW 36028797018963968 ZERO",
                Kind::Corrupt,
                "descriptor line 10: 'RW 36028797018963968 ZERO' is no extent",
            ),
            // What other readers take for an extent is not passed over.
            (
                "RW 3 ZERO",
                "RW\t8 FLAT \"/etc/hostname\" 0",
                Kind::Corrupt,
                "descriptor line 10: 'RW\\t8 FLAT \\\"/etc/hostname\\\" 0' is no extent",
            ),
            (
                "RDONLY",
                "NOACCESS",
                Kind::Unsupported,
                "descriptor line 9: the extent is not accessible (NOACCESS)",
            ),
        ] {
            let error = Descriptor::parse(SOUND.replace(from, to).as_bytes()).unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (kind, message));
        }
        let many = format!("createType=\"x\"\n{}", "RW 1 ZERO\n".repeat(1025));
        let error = Descriptor::parse(many.as_bytes()).unwrap_err();
        assert_eq!(error, DescriptorError::TooManyExtents);
    }
}
