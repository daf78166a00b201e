//! POSIX access lists, from ext's form on the disk to the one `getxattr` gives.
//!
//! ext leaves out the ids that have no meaning; everybody else, and the kernel towards programs,
//! writes eight bytes an entry (Linux include/uapi/linux/posix_acl_xattr.h). One form for callers
//! means one parser for all filesystems.

use kiln_disk::{Error, Result};

use super::le::{u16_at, u32_at};

const DISK_VERSION: u32 = 1;
const XATTR_VERSION: u32 = 2;
const TAG_USER: u16 = 0x02;
const TAG_GROUP: u16 = 0x08;

/// The list `raw` in the form of `getxattr`.
///
/// # Errors
///
/// `Corrupt` for another version or an entry that is cut short.
pub(super) fn from_disk(raw: &[u8]) -> Result<Vec<u8>> {
    let version = u32_at(raw, 0)?;
    if version != DISK_VERSION {
        return Err(Error::corrupt(format!(
            "access list of version {version}, not {DISK_VERSION}"
        )));
    }
    let mut list = XATTR_VERSION.to_le_bytes().to_vec();
    let mut at = 4;
    while at < raw.len() {
        let (tag, permissions) = (u16_at(raw, at)?, u16_at(raw, at + 2)?);
        at += 4;
        let mut id = u32::MAX;
        if tag == TAG_USER || tag == TAG_GROUP {
            id = u32_at(raw, at)?;
            at += 4;
        }
        list.extend(tag.to_le_bytes());
        list.extend(permissions.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_and_a_named_user() {
        let disk = [1, 0, 0, 0, 1, 0, 6, 0, 2, 0, 4, 0, 0xe8, 3, 0, 0];
        let xattr = [2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 0xe8, 3, 0, 0];
        assert_eq!(from_disk(&disk).unwrap(), xattr);
        assert_eq!(
            from_disk(&[2, 0, 0, 0]).unwrap_err().to_string(),
            "access list of version 2, not 1"
        );
        assert!(from_disk(&disk[..14]).is_err());
    }
}
