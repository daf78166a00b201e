//! Whether what is planned fits.

use std::collections::BTreeMap;

use kiln_volume::{FsInfo, FsKind, Tree};

use super::edit::{Change, Edit};
use super::refusal::{Refusal, codes};

/// Free bytes that must be left on a volume that is written to: of the root, what the specification
/// asks for; elsewhere, for the filesystem's own needs.
const ROOT_RESERVE_BYTES: u64 = 50 << 20;
const RESERVE_BYTES: u64 = 1 << 20;

/// What the plan so far adds to each filesystem, by its index in the tree.
pub(super) type Added = BTreeMap<usize, u64>;

/// Count what `edits` add, and refuse what does not fit.
pub(super) fn check(tree: &Tree, edits: &[Edit], added: &mut Added) -> Result<(), Refusal> {
    for edit in edits {
        let path = match &edit.change {
            Change::Copy { to, .. } => to,
            _ => &edit.path,
        };
        let Some(at) = tree.locate_link(path)? else { continue };
        let bytes = added.entry(at.filesystem).or_default();
        *bytes = bytes.saturating_add(edit.change.added_bytes());
        let reserve = if at.filesystem == 0 { ROOT_RESERVE_BYTES } else { RESERVE_BYTES };
        let needed = bytes.saturating_add(reserve);
        let Some(free) = usable_bytes(tree.filesystem(&at).info()) else { continue };
        if free < needed {
            let reason = format!(
                "the volume of {path} has {free} bytes free, and {needed} are needed ({reserve} of \
                 them must stay free)"
            );
            return Err(Refusal::new(codes::NO_SPACE, reason)
                .hint("free some space in the guest, or enlarge the volume"));
        }
    }
    Ok(())
}

/// What of the free space the kernel gives to a file. Each filesystem holds some back from everybody,
/// root included, so that it never fails in the middle: Linux' `ext4_calculate_resv_clusters` and
/// `xfs_default_resblks`, for blocks of 4 KiB.
fn usable_bytes(info: &FsInfo) -> Option<u64> {
    let held_back = match info.kind {
        FsKind::Ext4 => (info.size_bytes / 50).min(16 << 20),
        FsKind::Xfs => (info.size_bytes / 20).min(32 << 20),
        _ => 0,
    };
    info.free_bytes.map(|free| free.saturating_sub(held_back))
}

#[cfg(test)]
mod tests {
    use kiln_fixtures::phony::Phony;

    use super::super::standardized_time_zone::STANDARDIZED_TIME_ZONE;
    use super::super::{Options, testing};
    use super::*;

    fn told(free_bytes: u64) -> String {
        let mut guest = Phony::debian();
        guest.put("/etc/adjtime", "0.0 0 0.0\n0\nLOCAL\n");
        let root = guest.disk.part("/");
        root.fs = root.fs.take().map(|fs| fs.with_info(|info| info.free_bytes = Some(free_bytes)));
        testing::told(&guest, &STANDARDIZED_TIME_ZONE, &Options::default())
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_numbers() {
        insta::assert_snapshot!(told(20 << 20), @"refused: Repair.NoSpace: the volume of /etc/adjtime.kiln-orig has 4194304 bytes free, and 52428818 are needed (52428800 of them must stay free)");
        assert!(told(80 << 20).contains("+UTC"), "{}", told(80 << 20));
    }

    #[test]
    fn what_a_filesystem_holds_back_is_not_free() {
        let info = |kind, size_bytes| {
            let mut fs = kiln_volume::MemFs::new().with_info(|info| info.kind = kind);
            fs = fs.with_info(|info| {
                (info.size_bytes, info.free_bytes) = (size_bytes, Some(40 << 20))
            });
            usable_bytes(kiln_volume::Filesystem::info(&fs))
        };
        assert_eq!(info(FsKind::Ext4, 100 << 20), Some(38 << 20));
        assert_eq!(info(FsKind::Ext4, 1 << 40), Some(24 << 20));
        assert_eq!(info(FsKind::Xfs, 1 << 40), Some(8 << 20));
        assert_eq!(info(FsKind::Fat32, 1 << 40), Some(40 << 20));
    }
}
