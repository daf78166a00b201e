//! The superblock: 4 KiB at 64 KiB, with copies at 64 MiB and 256 GiB.
//!
//! Source: `struct btrfs_super_block` in the kernel's `fs/btrfs/ctree.h` and the btrfs
//! documentation, "On-disk format".

use kiln_disk::{Error, Kind, Result, Source};

use super::block::{MAX_LEVEL, Pointer};
use super::checksum::Checksum;
use super::field::{u8_at, u16_at, u32_at, u64_at, uuid_at};

const PRIMARY_OFFSET: u64 = 64 << 10;
/// Where copies are, if the device is that large. The kernel keeps them and never reads them.
const COPY_OFFSETS: [u64; 2] = [64 << 20, 256 << 30];
const SUPERBLOCK_BYTES: usize = 4096;
const MAGIC: &[u8; 8] = b"_BHRfS_M";
/// The room for the first chunks in a superblock.
const SYS_CHUNK_ARRAY_BYTES: usize = 2048;
const SYS_CHUNK_ARRAY_OFFSET: usize = 0x32b;
const LABEL_OFFSET: usize = 0x12b;
const LABEL_BYTES: usize = 256;
/// The kernel's `BTRFS_MAX_METADATA_BLOCKSIZE`.
const MAX_NODE_BYTES: u32 = 64 << 10;

const FLAG_SEEDING: u64 = 1 << 32;
/// Metadata dumps (`btrfs-image`) hold no file data.
const FLAG_METADUMP: u64 = 1 << 33 | 1 << 34;

const INCOMPAT_METADATA_UUID: u64 = 1 << 10;

/// The incompatible features by bit: the name the kernel shows in sysfs, and whether kiln reads it.
const INCOMPAT: [(u32, &str, bool); 17] = [
    (0, "mixed_backref", true),
    (1, "default_subvol", true),
    (2, "mixed_groups", true),
    (3, "compress_lzo", true),
    (4, "compress_zstd", true),
    (5, "big_metadata", true),
    (6, "extended_iref", true),
    (7, "raid56", true),
    (8, "skinny_metadata", true),
    (9, "no_holes", true),
    (10, "metadata_uuid", true),
    (11, "raid1c34", true),
    (12, "zoned", false),
    (13, "extent_tree_v2", false),
    (14, "raid_stripe_tree", false),
    (16, "simple_quota", true),
    (17, "remap_tree", false),
];

/// Features that a reader may ignore.
const COMPAT_RO: [(u32, &str); 4] =
    [(0, "free_space_tree"), (1, "free_space_tree_valid"), (2, "verity"), (3, "block_group_tree")];

/// What a superblock says, checked.
#[derive(Clone, Debug)]
pub(super) struct Superblock {
    /// Shown to the user, and what `UUID=` in fstab means.
    pub(super) fsid: [u8; 16],
    /// What tree blocks carry: differs from `fsid` after `btrfstune -m`.
    pub(super) metadata_uuid: [u8; 16],
    pub(super) checksum: Checksum,
    pub(super) root: Pointer,
    pub(super) chunk_root: Pointer,
    pub(super) log_root: u64,
    pub(super) total_bytes: u64,
    pub(super) bytes_used: u64,
    pub(super) root_dir_objectid: u64,
    pub(super) sector_bytes: u32,
    pub(super) node_bytes: u32,
    /// The number of the device this superblock is on.
    pub(super) devid: u64,
    pub(super) label: Vec<u8>,
    pub(super) features: Vec<String>,
    /// Keys and chunk items, enough to read the chunk tree.
    pub(super) sys_chunks: Vec<u8>,
}

/// Read the superblock, from a copy where the primary's checksum is wrong. The second value is a
/// remark about that.
///
/// # Errors
///
/// `OtherFormat` without the magic in the primary: a wiped primary is how a disk is reused, so
/// copies are not looked for then.
pub(super) fn read(source: &Source) -> Result<(Superblock, Option<String>)> {
    let other = || Error::new(Kind::OtherFormat, "not btrfs: no `_BHRfS_M` in byte 65600");
    let image = read_block(source, PRIMARY_OFFSET).ok_or_else(other)?;
    if image.get(0x40..0x48) != Some(MAGIC) {
        return Err(other());
    }
    let damage = match verify(&image, PRIMARY_OFFSET) {
        Ok(()) => return Ok((decode(&image).map_err(|error| error.at(PRIMARY_OFFSET))?, None)),
        Err(error) if error.kind() == Kind::Unsupported => return Err(error),
        Err(error) => error,
    };
    for offset in COPY_OFFSETS {
        let Some(image) = read_block(source, offset) else { continue };
        if image.get(0x40..0x48) == Some(MAGIC) && verify(&image, offset).is_ok() {
            let note = format!(
                "the superblock is damaged and the copy at byte {offset} was used, which no kernel \
                 does by itself ({damage})"
            );
            return Ok((decode(&image).map_err(|error| error.at(offset))?, Some(note)));
        }
    }
    Err(damage.hint("no copy of the superblock is sound either: restore the image from a backup"))
}

fn read_block(source: &Source, offset: u64) -> Option<Vec<u8>> {
    let mut block = vec![0; SUPERBLOCK_BYTES];
    source.read_at(offset, &mut block).ok().map(|()| block)
}

fn verify(image: &[u8], offset: u64) -> Result<()> {
    let number = u16_at(image, 0xc4).ok_or_else(truncated)?;
    let checksum = Checksum::from_number(number).ok_or_else(|| {
        Error::unsupported(format!("superblock: checksum type {number} is none that kiln knows"))
            .at(offset)
    })?;
    checksum
        .verify(image)
        .map_err(|why| Error::corrupt(format!("superblock: {why}")).at(offset))?;
    let bytenr = u64_at(image, 0x30).ok_or_else(truncated)?;
    if bytenr != offset {
        return Err(
            Error::corrupt(format!("superblock: bytenr {bytenr} is not its own place")).at(offset)
        );
    }
    Ok(())
}

/// Never met: the slice that is decoded always has its 4096 bytes.
fn truncated() -> Error {
    Error::corrupt("superblock: it ends inside a field")
}

fn decode(image: &[u8]) -> Result<Superblock> {
    let u64_of = |at| u64_at(image, at).ok_or_else(truncated);
    let u32_of = |at| u32_at(image, at).ok_or_else(truncated);
    refuse_what_kiln_cannot(image)?;
    let incompat = u64_of(0xbc)?;
    let fsid = uuid_at(image, 0x20).ok_or_else(truncated)?;
    let metadata_uuid = match incompat & INCOMPAT_METADATA_UUID {
        0 => fsid,
        _ => uuid_at(image, 0x23b).ok_or_else(truncated)?,
    };
    let number = u16_at(image, 0xc4).ok_or_else(truncated)?;
    let (sector_bytes, node_bytes) = sizes(u32_of(0x90)?, u32_of(0x94)?)?;
    let label = image.get(LABEL_OFFSET..).ok_or_else(truncated)?;
    Ok(Superblock {
        fsid,
        metadata_uuid,
        checksum: Checksum::from_number(number).ok_or_else(truncated)?,
        root: pointer(image, "root", 0x50, 0xc6, 0x48)?,
        chunk_root: pointer(image, "chunk_root", 0x58, 0xc7, 0xa4)?,
        log_root: u64_of(0x60)?,
        total_bytes: u64_of(0x70)?,
        bytes_used: u64_of(0x78)?,
        root_dir_objectid: u64_of(0x80)?,
        sector_bytes,
        node_bytes,
        devid: u64_of(0xc9)?,
        label: label.iter().take(LABEL_BYTES).copied().take_while(|&byte| byte != 0).collect(),
        features: features(incompat, u64_of(0xb4)?),
        sys_chunks: sys_chunks(image)?,
    })
}

/// What makes an image sound but beyond this reader, before any other field is judged: their
/// meaning may not be known.
fn refuse_what_kiln_cannot(image: &[u8]) -> Result<()> {
    let incompat = u64_at(image, 0xbc).ok_or_else(truncated)?;
    for bit in (0..u64::BITS).filter(|bit| incompat >> bit & 1 == 1) {
        match INCOMPAT.iter().find(|(known, ..)| *known == bit) {
            Some((_, _, true)) => {}
            Some((_, name, false)) => {
                return Err(Error::unsupported(format!("btrfs with the feature {name}")));
            }
            None => {
                return Err(Error::unsupported(format!(
                    "btrfs with the unknown incompatible feature bit {bit}"
                )));
            }
        }
    }
    let flags = u64_at(image, 0x38).ok_or_else(truncated)?;
    if flags & FLAG_SEEDING != 0 {
        return Err(Error::unsupported("a btrfs seed device"));
    }
    if flags & FLAG_METADUMP != 0 {
        return Err(Error::unsupported("a btrfs metadata dump, which holds no file data"));
    }
    let n_devices = u64_at(image, 0x88).ok_or_else(truncated)?;
    match n_devices {
        0 => Err(Error::corrupt("superblock: num_devices is 0")),
        1 => Ok(()),
        n => Err(Error::unsupported(format!("btrfs over {n} devices"))),
    }
}

fn sizes(sector_bytes: u32, node_bytes: u32) -> Result<(u32, u32)> {
    if !sector_bytes.is_power_of_two() || !(512..=MAX_NODE_BYTES).contains(&sector_bytes) {
        return Err(Error::corrupt(format!(
            "superblock: sectorsize {sector_bytes} is not a power of two in 512..=65536"
        )));
    }
    if !node_bytes.is_power_of_two() || !(sector_bytes..=MAX_NODE_BYTES).contains(&node_bytes) {
        return Err(Error::corrupt(format!(
            "superblock: nodesize {node_bytes} is not a power of two in {sector_bytes}..=65536"
        )));
    }
    Ok((sector_bytes, node_bytes))
}

fn pointer(
    image: &[u8],
    name: &str,
    logical: usize,
    level: usize,
    transid: usize,
) -> Result<Pointer> {
    let level = u8_at(image, level).ok_or_else(truncated)?;
    if level >= MAX_LEVEL {
        return Err(Error::corrupt(format!("superblock: {name} has level {level}, above 7")));
    }
    Ok(Pointer {
        logical: u64_at(image, logical).ok_or_else(truncated)?,
        level,
        generation: u64_at(image, transid).ok_or_else(truncated)?,
        first: None,
    })
}

fn sys_chunks(image: &[u8]) -> Result<Vec<u8>> {
    let size = u32_at(image, 0xa0).ok_or_else(truncated)?;
    let length = usize::try_from(size).ok().filter(|&size| size <= SYS_CHUNK_ARRAY_BYTES);
    let length = length.ok_or_else(|| {
        Error::corrupt(format!("superblock: sys_chunk_array_size {size} is more than 2048"))
    })?;
    let array = image.get(SYS_CHUNK_ARRAY_OFFSET..).and_then(|rest| rest.get(..length));
    Ok(array.ok_or_else(truncated)?.to_vec())
}

fn features(incompat: u64, compat_ro: u64) -> Vec<String> {
    let set = |flags: u64, bit: u32| flags >> bit & 1 == 1;
    let incompat = INCOMPAT.iter().filter(|(bit, ..)| set(incompat, *bit)).map(|(_, name, _)| name);
    let ro = COMPAT_RO.iter().filter(|(bit, _)| set(compat_ro, *bit)).map(|(_, name)| name);
    incompat.chain(ro).map(|name| (*name).to_owned()).collect()
}
