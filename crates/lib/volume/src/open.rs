//! Which reader opens which content.

use std::sync::Arc;

use kiln_disk::{Result, Source};

use crate::fs::Filesystem;
use crate::layout::Content;

/// Open the filesystem that `content` names. `None`: kiln has no reader for it.
pub(crate) fn open_filesystem(
    content: Content,
    source: &Source,
) -> Option<Result<Arc<dyn Filesystem>>> {
    match content {
        Content::Ext2 | Content::Ext3 | Content::Ext4 => Some(crate::ext::open(Arc::clone(source))),
        Content::Xfs => Some(crate::xfs::open(Arc::clone(source))),
        Content::Btrfs => Some(crate::btrfs::open(Arc::clone(source))),
        Content::Fat => Some(crate::fat::open(Arc::clone(source))),
        _ => None,
    }
}
