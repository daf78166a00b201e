//! Linux software RAID.

use kiln_disk::Source;

use crate::layout::Layout;

/// A member's superblock.
#[derive(Clone, Debug)]
pub(crate) struct Superblock {
    pub(crate) set_uuid: [u8; 16],
    pub(crate) name: Option<String>,
}

impl Superblock {
    pub(crate) fn set_uuid_blkid(&self) -> String {
        crate::field::hyphenated(self.set_uuid, &[4, 2, 2, 2, 6], "-")
    }
}

/// The superblock of a RAID member.
pub(crate) fn superblock(_source: &Source) -> Option<Superblock> {
    None
}

pub(crate) fn assemble(_layout: &mut Layout) {}
