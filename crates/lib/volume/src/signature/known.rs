//! The magic numbers.

use kiln_disk::Kind;

use super::{DESCRIPTORS, FAR, HEAD, Sample, Signature, ZFS_LABEL};
use crate::fat::bpb::Bpb;
use crate::field::Fields;
use crate::layout::Content;
use crate::lvm;

/// The first content whose magic is there. The order is from the outer to the inner: encryption
/// and volume managers before filesystems, whose remains they may carry.
pub(super) fn find(sample: &Sample<'_>) -> Option<Signature> {
    let head = sample.part(HEAD);
    let head = Fields(&head);
    match lvm::read_label(sample.source) {
        Ok(Some(pv)) => {
            return Some(Signature {
                uuid: Some(pv.id_hyphenated()),
                ..Signature::bare(Content::LvmPhysicalVolume)
            });
        }
        // The volume group's assembly says what is wrong with it.
        Err(error) if error.kind() == Kind::Corrupt => {
            return Some(Signature::bare(Content::LvmPhysicalVolume));
        }
        Ok(None) | Err(_) => {}
    }
    if let Some(found) = encrypted(head)
        .or_else(|| xfs(head))
        .or_else(|| ext(head))
        .or_else(|| boot_sector(head))
        .or_else(|| swap(head, &[4096, 8192], 0))
        .or_else(|| in_head(head))
    {
        return Some(found);
    }
    let far = sample.part(FAR);
    // From here on, byte 0 of `far` is byte 0xFF00 of the volume.
    btrfs(Fields(&far))
        .or_else(|| swap_large_pages(sample, head))
        .or_else(|| in_far(Fields(&far)))
        .or_else(|| in_descriptors(sample))
        .or_else(|| zfs(sample))
}

fn encrypted(head: Fields<'_>) -> Option<Signature> {
    if head.has(3, b"-FVE-FS-") {
        return Some(Signature::bare(Content::BitLocker));
    }
    if !head.has(0, b"LUKS\xBA\xBE") {
        return None;
    }
    let (content, label) = match head.u16_be(6) {
        1 => (Content::Luks1, None),
        2 => (Content::Luks2, head.text(24, 48)),
        _ => return None,
    };
    Some(Signature { uuid: head.text(168, 40), label, ..Signature::bare(content) })
}

fn xfs(head: Fields<'_>) -> Option<Signature> {
    if !head.has(0, b"XFSB") {
        return None;
    }
    let block_bytes = u64::from(head.u32_be(4));
    Some(Signature {
        uuid: head.uuid(32),
        label: head.text(108, 12),
        claimed_bytes: block_bytes.checked_mul(head.u64_be(8)),
        ..Signature::bare(Content::Xfs)
    })
}

/// ext2, ext3 and ext4 differ in their features only (libblkid: superblocks/ext.c).
fn ext(head: Fields<'_>) -> Option<Signature> {
    const HAS_JOURNAL: u32 = 0x4;
    const INCOMPAT_64BIT: u32 = 0x80;
    /// All that an ext3 may have: filetype, recover, meta_bg.
    const EXT3_INCOMPAT: u32 = 0x2 | 0x4 | 0x10;
    /// sparse_super, large_file, btree_dir.
    const EXT3_RO_COMPAT: u32 = 0x1 | 0x2 | 0x4;
    const EXT_AT: usize = 0x400;
    let log_block = head.u32(EXT_AT + 0x18);
    if !head.has(EXT_AT + 0x38, &[0x53, 0xEF]) || log_block > 6 || head.u32(EXT_AT + 4) == 0 {
        return None;
    }
    let (compat, incompat) = (head.u32(EXT_AT + 0x5C), head.u32(EXT_AT + 0x60));
    let ro_compat = head.u32(EXT_AT + 0x64);
    let is_ext4 = incompat & !EXT3_INCOMPAT != 0 || ro_compat & !EXT3_RO_COMPAT != 0;
    let content = match (is_ext4, compat & HAS_JOURNAL != 0) {
        (true, _) => Content::Ext4,
        (false, true) => Content::Ext3,
        (false, false) => Content::Ext2,
    };
    let high = if incompat & INCOMPAT_64BIT != 0 { head.u32(EXT_AT + 0x150) } else { 0 };
    let n_blocks = u64::from(high) << 32 | u64::from(head.u32(EXT_AT + 4));
    Some(Signature {
        uuid: head.uuid(EXT_AT + 0x68),
        label: head.text(EXT_AT + 0x78, 16),
        claimed_bytes: n_blocks.checked_mul(1024 << log_block),
        ..Signature::bare(content)
    })
}

/// What begins with a jump instruction and a name at byte 3, and FAT.
fn boot_sector(head: Fields<'_>) -> Option<Signature> {
    if head.has(3, b"NTFS    ") {
        let claimed_bytes = head.u64(40).checked_mul(u64::from(head.u16(11)));
        return Some(Signature {
            uuid: Some(format!("{:016X}", head.u64(0x48))),
            claimed_bytes,
            ..Signature::bare(Content::Ntfs)
        });
    }
    if head.has(3, b"EXFAT   ") {
        let serial = head.u32(100);
        return Some(Signature {
            uuid: Some(format!("{:04X}-{:04X}", serial >> 16, serial & 0xFFFF)),
            ..Signature::bare(Content::ExFat)
        });
    }
    if head.has(3, b"ReFS\0") {
        return Some(Signature::bare(Content::Refs));
    }
    let bpb = Bpb::decode(head.0).ok().filter(|bpb| bpb.is_named)?;
    Some(Signature {
        uuid: bpb.uuid(),
        label: bpb.label.clone(),
        claimed_bytes: Some(bpb.size_bytes),
        ..Signature::bare(Content::Fat)
    })
}

/// Swap has its magic in the last ten bytes of its first page, whose size is the machine's.
/// `base` is the byte of the volume that `bytes` begins with.
fn swap(bytes: Fields<'_>, page_sizes: &[usize], base: usize) -> Option<Signature> {
    page_sizes.iter().find_map(|&page| {
        let at = page.checked_sub(10)?.checked_sub(base)?;
        if bytes.has(at, b"SWAPSPACE2") || bytes.has(at, b"SWAP-SPACE") {
            Some(Signature::bare(Content::Swap))
        } else if [&b"S1SUSPEND\0"[..], b"S2SUSPEND\0", b"ULSUSPEND\0", b"LINHIB0001"]
            .iter()
            .any(|magic| bytes.has(at, magic))
        {
            Some(Signature::bare(Content::SwapSuspended))
        } else {
            None
        }
        .map(|found| if base == 0 { with_swap_names(found, bytes) } else { found })
    })
}

/// UUID and label stand at 0x40C and 0x41C whatever the page size.
fn with_swap_names(found: Signature, head: Fields<'_>) -> Signature {
    Signature { uuid: head.uuid(0x40C), label: head.text(0x41C, 16), ..found }
}

fn swap_large_pages(sample: &Sample<'_>, head: Fields<'_>) -> Option<Signature> {
    let far = sample.part(FAR);
    let found = swap(Fields(&far), &[64 << 10], 0xFF00).or_else(|| {
        [16_u64 << 10, 32 << 10].iter().find_map(|page| {
            let start = page.saturating_sub(16);
            let bytes = sample.part((start, 16));
            swap(Fields(&bytes), &[16], 0)
        })
    })?;
    Some(with_swap_names(found, head))
}

/// What else has its magic in the first 8 KiB.
fn in_head(head: Fields<'_>) -> Option<Signature> {
    const BCACHE: &[u8] = b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81";
    const STRATIS: &[u8] = b"!Stra0tis\x86\xff\x02^\x41rh";
    let bare = Signature::bare;
    if head.has(0, b"hsqs") || head.has(0, b"sqsh") {
        Some(bare(Content::Squashfs))
    } else if head.has(1024, &[0xE2, 0xE1, 0xF5, 0xE0]) {
        Some(Signature {
            uuid: head.uuid(1024 + 48),
            label: head.text(1024 + 64, 16),
            ..bare(Content::Erofs)
        })
    } else if head.has(1024, &[0x10, 0x20, 0xF5, 0xF2]) {
        Some(Signature {
            uuid: head.uuid(1024 + 0x6C),
            label: utf16_text(head.slice(1024 + 0x7C, 1024)),
            ..bare(Content::F2fs)
        })
    } else if head.has(32, b"NXSB") {
        Some(Signature { uuid: head.uuid(72), ..bare(Content::Apfs) })
    } else if head.has(0, b"verity\0\0") {
        Some(Signature { uuid: head.uuid(16), ..bare(Content::Verity) })
    } else if head.has(0, b"dmvdo001") {
        Some(Signature { uuid: head.uuid(40), ..bare(Content::Vdo) })
    } else if head.has(4096 + 24, BCACHE) {
        Some(Signature { uuid: head.uuid(4096 + 40), ..bare(Content::Bcache) })
    } else if head.has(512 + 4, STRATIS) {
        Some(Signature { uuid: head.text(512 + 64, 32), ..bare(Content::Stratis) })
    } else {
        None
    }
}

fn btrfs(far: Fields<'_>) -> Option<Signature> {
    const AT: usize = 0x100; // 0x10000 of the volume
    if !far.has(AT + 0x40, b"_BHRfS_M") {
        return None;
    }
    // total_bytes of the embedded dev_item: this device's part of a filesystem of several.
    let this_device_bytes = far.u64(AT + 0xC9 + 8);
    Some(Signature {
        uuid: far.uuid(AT + 0x20),
        label: far.text(AT + 0x12B, 256),
        claimed_bytes: Some(this_device_bytes),
        ..Signature::bare(Content::Btrfs)
    })
}

fn in_far(far: Fields<'_>) -> Option<Signature> {
    let reiser = [&b"ReIsErFs"[..], b"ReIsEr2Fs", b"ReIsEr3Fs"];
    if reiser.iter().any(|magic| far.has(0x134, magic)) {
        return Some(Signature {
            uuid: far.uuid(0x100 + 84),
            label: far.text(0x100 + 100, 16),
            ..Signature::bare(Content::Reiserfs)
        });
    }
    if far.has(0x65C, &[0x19, 0x01, 0x54, 0x19]) {
        let (high, low) = (far.u32(0x100 + 0x90), far.u32(0x100 + 0x94));
        return Some(Signature {
            uuid: (high != 0 || low != 0).then(|| format!("{high:08x}{low:08x}")),
            label: far.text(0x100 + 0x2A8, 32),
            ..Signature::bare(Content::Ufs)
        });
    }
    None
}

/// ISO 9660, UDF and JFS, whose first structures are at 32 KiB.
fn in_descriptors(sample: &Sample<'_>) -> Option<Signature> {
    let part = sample.part(DESCRIPTORS);
    let fields = Fields(&part);
    if fields.has(0, b"JFS1") {
        return Some(Signature {
            uuid: fields.uuid(136),
            label: fields.text(152, 16),
            ..Signature::bare(Content::Jfs)
        });
    }
    // A disc that has both is an ISO here, as it is for the partition tables.
    if let Some(iso) = iso9660(fields) {
        return Some(iso);
    }
    let is_udf =
        [1, 2049, 4097].iter().any(|&at| fields.has(at, b"NSR02") || fields.has(at, b"NSR03"));
    is_udf.then(|| Signature::bare(Content::Udf))
}

/// A primary volume descriptor (ECMA-119, 8.4): type 1, version 1.
pub(super) fn iso9660(descriptor: Fields<'_>) -> Option<Signature> {
    if !descriptor.has(0, b"\x01CD001\x01") {
        return None;
    }
    Some(Signature {
        uuid: iso_date(descriptor.slice(830, 16)).or_else(|| iso_date(descriptor.slice(813, 16))),
        label: descriptor.text(40, 32),
        ..Signature::bare(Content::Iso9660)
    })
}

/// Sixteen digits of a date as blkid makes a UUID of them. `None`: not set.
fn iso_date(digits: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(digits).ok()?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) || text.bytes().all(|byte| byte == b'0') {
        return None;
    }
    let groups: Option<Vec<&str>> = [0..4, 4..6, 6..8, 8..10, 10..12, 12..14, 14..16]
        .into_iter()
        .map(|range| text.get(range))
        .collect();
    groups.map(|groups| groups.join("-"))
}

/// The label of a pool is an XDR name-value list that starts with the pair `version`.
fn zfs(sample: &Sample<'_>) -> Option<Signature> {
    let label = sample.part(ZFS_LABEL);
    let fields = Fields(&label);
    (fields.has(0, &[1, 1, 0, 0, 0, 0, 0, 0]) && fields.has(24, b"version"))
        .then(|| Signature::bare(Content::Zfs))
}

fn utf16_text(bytes: &[u8]) -> Option<String> {
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|pair| Fields(pair).u16(0))
        .take_while(|&unit| unit != 0)
        .collect();
    (!units.is_empty()).then(|| String::from_utf16_lossy(&units))
}
