//! The superblock: geometry and features. Layout: "XFS Algorithms & Data Structures", chapter
//! "Superblocks"; the numbers of newer features are those of Linux `xfs_format.h`.

use kiln_disk::{Error, Kind, Result, Source};

use super::bytes::{array, crc_holds, u8_at, u16_at, u32_at, u64_at};
use crate::fs::{FsInfo, FsKind};

const NEEDS_REPAIR: u32 = 0x10;
/// Incompatible features by bit, and whether this reader knows them.
const INCOMPAT: [(u32, &str, bool); 11] = [
    (0x1, "ftype", true),
    (0x2, "sparse", true),
    (0x4, "meta_uuid", true),
    (0x8, "bigtime", true),
    (NEEDS_REPAIR, "needsrepair", true),
    (0x20, "nrext64", true),
    (0x40, "exchange", true),
    (0x80, "parent", true),
    (0x100, "metadir", false),
    (0x200, "zoned", false),
    (0x400, "zone_gaps", false),
];
const RO_COMPAT: [(u32, &str); 4] =
    [(0x1, "finobt"), (0x2, "rmapbt"), (0x4, "reflink"), (0x8, "inobtcount")];

/// What later reading needs of the superblock.
#[derive(Debug)]
pub(super) struct Superblock {
    pub(super) block_bytes: u32,
    pub(super) n_blocks: u64,
    /// Blocks that are in the source: fewer than `n_blocks` where an image is cut short.
    pub(super) n_present_blocks: u64,
    pub(super) root_ino: u64,
    pub(super) ag_blocks: u32,
    pub(super) n_ags: u32,
    pub(super) ag_block_log: u32,
    pub(super) inode_bytes: u32,
    pub(super) inodes_per_block_log: u32,
    pub(super) dir_block_bytes: u32,
    pub(super) has_crc: bool,
    pub(super) has_ftype: bool,
    pub(super) log_start: u64,
    pub(super) log_blocks: u32,
    pub(super) info: FsInfo,
}

impl Superblock {
    /// Read and judge the superblock at byte 0.
    pub(super) fn read(source: &Source) -> Result<Self> {
        let not_xfs = || Error::new(Kind::OtherFormat, "no xfs superblock at byte 0");
        if source.size_bytes() < 512 {
            return Err(not_xfs());
        }
        let mut sector = vec![0; 512];
        source.read_at(0, &mut sector)?;
        if !sector.starts_with(b"XFSB") {
            return Err(not_xfs());
        }
        let sector_bytes = u16_at(&sector, 102);
        if !sector_bytes.is_power_of_two() || !(512..=32768).contains(&sector_bytes) {
            let message = format!("xfs superblock: sector size {sector_bytes} is not 512..=32768");
            return Err(Error::corrupt(message).at(102));
        }
        sector.resize(usize::from(sector_bytes), 0);
        source.read_at(0, &mut sector)?;
        let mut sb = Self::decode(&sector)?;
        let block_bytes = u64::from(sb.block_bytes);
        sb.n_present_blocks = sb.n_blocks.min(source.size_bytes() / block_bytes);
        Ok(sb)
    }

    fn decode(sector: &[u8]) -> Result<Self> {
        let version = u16_at(sector, 100);
        let has_crc = match version & 0xf {
            4 => false,
            5 => true,
            other => {
                return Err(
                    Error::unsupported(format!("xfs version {other} is neither 4 nor 5")).at(100)
                );
            }
        };
        if has_crc && !crc_holds(sector, 224) {
            return Err(Error::corrupt("xfs superblock: wrong checksum").at(224));
        }
        if version & 0x2000 == 0 {
            return Err(Error::unsupported("xfs directories of version 1").at(100));
        }
        let incompat = if has_crc { u32_at(sector, 216) } else { 0 };
        let features = feature_names(sector, has_crc, incompat)?;
        let block_bytes = u32_at(sector, 4);
        let dir_block_log = u8_at(sector, 192);
        let sb = Self {
            block_bytes,
            n_blocks: u64_at(sector, 8),
            n_present_blocks: 0,
            root_ino: u64_at(sector, 56),
            ag_blocks: u32_at(sector, 84),
            n_ags: u32_at(sector, 88),
            ag_block_log: u32::from(u8_at(sector, 124)),
            inode_bytes: u32::from(u16_at(sector, 104)),
            inodes_per_block_log: u32::from(u8_at(sector, 123)),
            dir_block_bytes: block_bytes.checked_shl(u32::from(dir_block_log)).unwrap_or(0),
            has_crc,
            has_ftype: incompat & 1 != 0 || (!has_crc && u32_at(sector, 200) & 0x200 != 0),
            log_start: u64_at(sector, 48),
            log_blocks: u32_at(sector, 96),
            info: info(sector, features, incompat),
        };
        sb.check_geometry()?;
        Ok(sb)
    }

    fn check_geometry(&self) -> Result<()> {
        let bad = |what: &str, found: u64, at| {
            Err(Error::corrupt(format!("xfs superblock: {what} {found} is impossible")).at(at))
        };
        let block = self.block_bytes;
        if !block.is_power_of_two() || !(512..=65536).contains(&block) {
            return bad("block size", block.into(), 4);
        }
        let inode = self.inode_bytes;
        if !inode.is_power_of_two() || !(256..=2048).contains(&inode) || inode > block {
            return bad("inode size", inode.into(), 104);
        }
        if block / inode != 1u32.checked_shl(self.inodes_per_block_log).unwrap_or(0) {
            return bad("inodes per block (log2)", self.inodes_per_block_log.into(), 123);
        }
        if !(block..=65536).contains(&self.dir_block_bytes) {
            return bad("directory block size", self.dir_block_bytes.into(), 192);
        }
        let whole = 1u64.checked_shl(self.ag_block_log).unwrap_or(0);
        if self.ag_blocks == 0 || self.ag_block_log > 31 || u64::from(self.ag_blocks) > whole {
            return bad("allocation group size", self.ag_blocks.into(), 84);
        }
        let most = u64::from(self.ag_blocks) * u64::from(self.n_ags);
        if self.n_ags == 0
            || self.n_blocks > most
            || self.n_blocks.checked_mul(u64::from(block)).is_none()
        {
            return bad("number of blocks", self.n_blocks, 8);
        }
        Ok(())
    }

    /// Where the filesystem block `fsb` (group and block within it) begins, in bytes.
    pub(super) fn block_offset(&self, fsb: u64) -> Result<u64> {
        let group = fsb >> self.ag_block_log;
        let within = fsb & ((1u64 << self.ag_block_log) - 1);
        let block = group.checked_mul(u64::from(self.ag_blocks)).map(|start| start + within);
        match block {
            Some(block) if within < u64::from(self.ag_blocks) && block < self.n_blocks => {
                Ok(block * u64::from(self.block_bytes))
            }
            _ => Err(Error::corrupt(format!("xfs: block {fsb:#x} is outside the filesystem"))),
        }
    }

    /// Where a run of blocks begins, in bytes. It must lie in one allocation group, as the
    /// filesystem keeps it, and in what the source has of it.
    pub(super) fn run_offset(&self, fsb: u64, n_blocks: u64) -> Result<u64> {
        let outside = |what: &str| {
            Error::corrupt(format!("xfs: a run of {n_blocks} blocks from {fsb:#x} on {what}"))
        };
        let start = self.block_offset(fsb)?;
        let last = n_blocks.saturating_sub(1);
        let within = (fsb & ((1u64 << self.ag_block_log) - 1)).saturating_add(last);
        let block = (start / u64::from(self.block_bytes)).saturating_add(last);
        if within >= u64::from(self.ag_blocks) || block >= self.n_blocks {
            return Err(outside("leaves its allocation group"));
        }
        if block >= self.n_present_blocks {
            return Err(outside("lies beyond the end of the volume"));
        }
        Ok(start)
    }
}

fn feature_names(sector: &[u8], has_crc: bool, incompat: u32) -> Result<Vec<String>> {
    let mut names = Vec::new();
    if has_crc {
        names.push("crc".to_owned());
        let known = INCOMPAT.iter().fold(0, |bits, (bit, ..)| bits | bit);
        if incompat & !known != 0 {
            let message = format!("xfs: unknown incompatible features {:#x}", incompat & !known);
            return Err(Error::unsupported(message).at(216));
        }
        for (bit, name, supported) in INCOMPAT {
            if incompat & bit != 0 && !supported {
                return Err(Error::unsupported(format!("xfs feature {name}")).at(216));
            }
            if incompat & bit != 0 {
                names.push(name.to_owned());
            }
        }
        let ro_compat = u32_at(sector, 212);
        let set = RO_COMPAT.iter().filter(|(bit, _)| ro_compat & bit != 0);
        names.extend(set.map(|(_, name)| (*name).to_owned()));
    } else if u32_at(sector, 200) & 0x200 != 0 {
        names.push("ftype".to_owned());
    }
    if u16_at(sector, 100) & 0x40 != 0 {
        names.push("quota".to_owned());
    }
    Ok(names)
}

fn info(sector: &[u8], features: Vec<String>, incompat: u32) -> FsInfo {
    let block_bytes = u64::from(u32_at(sector, 4));
    let label = sector.get(108..120).unwrap_or_default();
    let label = label.split(|&byte| byte == 0).next().unwrap_or_default();
    let mut notes = Vec::new();
    if incompat & NEEDS_REPAIR != 0 {
        notes.push("the filesystem is marked as needing xfs_repair".to_owned());
    }
    FsInfo {
        kind: FsKind::Xfs,
        uuid: array::<16>(sector, 32).map(|uuid| hyphenated(&uuid)),
        label: (!label.is_empty()).then(|| String::from_utf8_lossy(label).into_owned()),
        size_bytes: u64_at(sector, 8).saturating_mul(block_bytes),
        free_bytes: Some(u64_at(sector, 144).saturating_mul(block_bytes)),
        free_inodes: None,
        features,
        notes,
        is_stale: false,
    }
}

fn hyphenated(uuid: &[u8; 16]) -> String {
    let mut text = String::new();
    for (at, byte) in uuid.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}
