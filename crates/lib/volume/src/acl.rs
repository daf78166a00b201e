//! POSIX access lists, from the forms on the disk to the one `getxattr` gives.
//!
//! ext leaves out the ids that have no meaning, and XFS writes numbers in its own byte order under
//! a name of its own; btrfs, and the kernel towards programs, write eight bytes an entry (Linux
//! include/uapi/linux/posix_acl_xattr.h). One form for callers means one parser for all
//! filesystems.

use kiln_disk::{Error, Result};

const EXT_VERSION: u32 = 1;
const XATTR_VERSION: u32 = 2;
const TAG_USER: u16 = 0x02;
const TAG_GROUP: u16 = 0x08;
/// Owner, named user, owning group, named group, mask, others.
const TAGS: [u16; 6] = [0x01, TAG_USER, 0x04, TAG_GROUP, 0x10, 0x20];
/// The id of an entry that has none.
const NO_ID: u32 = u32::MAX;

/// The list that ext keeps as `raw`, in the form of `getxattr`.
///
/// # Errors
///
/// `Corrupt` for another version or an entry that is cut short.
pub(crate) fn from_ext(raw: &[u8]) -> Result<Vec<u8>> {
    let mut rest = raw;
    let version = u32::from_le_bytes(take(&mut rest)?);
    if version != EXT_VERSION {
        return Err(Error::corrupt(format!("access list of version {version}, not {EXT_VERSION}")));
    }
    let mut list = XATTR_VERSION.to_le_bytes().to_vec();
    while !rest.is_empty() {
        let tag = u16::from_le_bytes(take(&mut rest)?);
        let permissions = u16::from_le_bytes(take(&mut rest)?);
        let has_id = tag == TAG_USER || tag == TAG_GROUP;
        let id = if has_id { u32::from_le_bytes(take(&mut rest)?) } else { NO_ID };
        push(&mut list, tag, permissions, id);
    }
    Ok(list)
}

/// The list that XFS keeps as `raw` (`SGI_ACL_FILE`, `SGI_ACL_DEFAULT`), in the form of `getxattr`.
///
/// # Errors
///
/// `Corrupt` for a length that is not that of its entries, or a tag that no list has.
///
/// # Source
///
/// `struct xfs_acl` in Linux `fs/xfs/libxfs/xfs_format.h`: a count, then 12 bytes an entry.
pub(crate) fn from_xfs(raw: &[u8]) -> Result<Vec<u8>> {
    let mut rest = raw;
    let count = u32::from_be_bytes(take(&mut rest)?);
    let bytes = rest.len();
    if usize::try_from(count).ok().and_then(|count| count.checked_mul(12)) != Some(bytes) {
        return Err(Error::corrupt(format!("access list of {count} entries in {bytes} bytes")));
    }
    let mut list = XATTR_VERSION.to_le_bytes().to_vec();
    while !rest.is_empty() {
        let wide = u32::from_be_bytes(take(&mut rest)?);
        let id = u32::from_be_bytes(take(&mut rest)?);
        let permissions = u16::from_be_bytes(take(&mut rest)?);
        let _padding: [u8; 2] = take(&mut rest)?;
        let Some(tag) = TAGS.into_iter().find(|&tag| u32::from(tag) == wide) else {
            return Err(Error::corrupt(format!("access list entry of unknown tag {wide:#x}")));
        };
        let has_id = tag == TAG_USER || tag == TAG_GROUP;
        push(&mut list, tag, permissions, if has_id { id } else { NO_ID });
    }
    Ok(list)
}

fn push(list: &mut Vec<u8>, tag: u16, permissions: u16, id: u32) {
    list.extend(tag.to_le_bytes());
    list.extend(permissions.to_le_bytes());
    list.extend(id.to_le_bytes());
}

/// The next `N` bytes.
fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let Some((field, after)) = rest.split_first_chunk() else {
        return Err(Error::corrupt("access list is cut short"));
    };
    *rest = after;
    Ok(*field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_and_a_named_user() {
        let disk = [1, 0, 0, 0, 1, 0, 6, 0, 2, 0, 4, 0, 0xe8, 3, 0, 0];
        let xattr = [2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 0xe8, 3, 0, 0];
        assert_eq!(from_ext(&disk).unwrap(), xattr);
        assert_eq!(
            from_ext(&[2, 0, 0, 0]).unwrap_err().to_string(),
            "access list of version 2, not 1"
        );
        assert_eq!(from_ext(&disk[..14]).unwrap_err().to_string(), "access list is cut short");
    }

    #[test]
    fn the_same_list_of_xfs() {
        let mut disk = vec![0, 0, 0, 2];
        disk.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 2, 0, 0, 3, 0xe8, 0, 4, 0, 0]);
        let xattr = [2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 0xe8, 3, 0, 0];
        assert_eq!(from_xfs(&disk).unwrap(), xattr);
        for (at, value, message) in [
            (3, 3, "access list of 3 entries in 24 bytes"),
            (0, 0x80, "access list of 2147483650 entries in 24 bytes"),
            (19, 3, "access list entry of unknown tag 0x3"),
        ] {
            let mut spoiled = disk.clone();
            spoiled[at] = value;
            assert_eq!(from_xfs(&spoiled).unwrap_err().to_string(), message);
        }
        assert_eq!(from_xfs(&[0, 0]).unwrap_err().to_string(), "access list is cut short");
    }
}
