//! The FAT boot sector (BIOS parameter block): where the tables, the root directory and the
//! clusters are.
//!
//! Layout: Microsoft, "FAT: General Overview of On-Disk Format", 1.03. Which of the three widths a
//! filesystem has follows Linux, fs/fat/inode.c: 32 bits where the 16-bit table size is zero, else
//! by the number of clusters.

use kiln_disk::{Error, Result};

use crate::field::Fields;
use crate::fs::FsKind;

/// More clusters make it FAT16 (Linux: `MAX_FAT12`).
const MAX_FAT12_CLUSTERS: u32 = 0xFF4;
const MAX_FAT16_CLUSTERS: u32 = 0xFFF4;
const MAX_FAT32_CLUSTERS: u32 = 0x0FFF_FFF6;
/// Bytes of a directory entry.
const ENTRY_BYTES: u32 = 32;

/// A boot sector that was judged sane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bpb {
    pub(crate) kind: FsKind,
    pub(crate) cluster_bytes: u32,
    /// First byte of the first table.
    pub(crate) fat_start: u64,
    /// Bytes of one table.
    pub(crate) fat_bytes: u64,
    /// First byte and size of the root directory of FAT12 and FAT16; empty on FAT32.
    pub(crate) root_start: u64,
    pub(crate) root_bytes: u64,
    /// First cluster of the root directory of FAT32, else 0.
    pub(crate) root_cluster: u32,
    /// First byte of cluster 2.
    pub(crate) data_start: u64,
    pub(crate) n_clusters: u32,
    pub(crate) size_bytes: u64,
    /// First byte of the FSInfo sector of FAT32.
    pub(crate) fs_info_start: Option<u64>,
    pub(crate) serial: Option<u32>,
    /// The label in the boot sector; the one in the root directory goes before it.
    pub(crate) label: Option<String>,
    /// The name in the boot sector starts with FAT, which every formatting tool writes.
    pub(crate) is_named: bool,
}

impl Bpb {
    /// Judge the boot sector that `bytes` starts with.
    ///
    /// # Errors
    ///
    /// `Corrupt`, with the field, where a value cannot be that of a FAT filesystem.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let fields = Fields(bytes);
        let geometry = Geometry::decode(fields)?;
        let is_32 = fields.u16(22) == 0;
        let root_sectors =
            (u32::from(fields.u16(17)).saturating_mul(ENTRY_BYTES)).div_ceil(geometry.sector_bytes);
        let before_root = u64::from(geometry.reserved_sectors)
            + u64::from(geometry.n_fats) * u64::from(geometry.fat_sectors);
        let before_data = before_root + u64::from(root_sectors);
        let data_sectors =
            u64::from(geometry.total_sectors).checked_sub(before_data).ok_or_else(|| {
                Error::corrupt(format!(
                    "a FAT of {} sectors, of which {before_data} come before the first cluster",
                    geometry.total_sectors
                ))
            })?;
        let n_clusters = data_sectors / u64::from(geometry.sectors_per_cluster);
        let n_clusters = u32::try_from(n_clusters).unwrap_or(u32::MAX);
        let (kind, limit) = if is_32 {
            (FsKind::Fat32, MAX_FAT32_CLUSTERS)
        } else if n_clusters > MAX_FAT12_CLUSTERS {
            (FsKind::Fat16, MAX_FAT16_CLUSTERS)
        } else {
            (FsKind::Fat12, MAX_FAT12_CLUSTERS)
        };
        if n_clusters > limit {
            return Err(Error::corrupt(format!("{n_clusters} clusters are too many for {kind:?}")));
        }
        let bytes_of = |sectors: u64| sectors * u64::from(geometry.sector_bytes);
        let fat_bytes = bytes_of(u64::from(geometry.fat_sectors));
        // As Linux does: clusters that the table has no entry for do not exist.
        let addressable = addressable_clusters(kind, fat_bytes);
        let extended = if is_32 { 0x42 } else { 0x26 };
        let fs_info = u64::from(fields.u16(48));
        Ok(Self {
            kind,
            cluster_bytes: geometry.sector_bytes * geometry.sectors_per_cluster,
            fat_start: bytes_of(u64::from(geometry.reserved_sectors)),
            fat_bytes,
            root_start: bytes_of(before_root),
            root_bytes: u64::from(fields.u16(17)) * u64::from(ENTRY_BYTES),
            root_cluster: if is_32 { fields.u32(44) } else { 0 },
            data_start: bytes_of(before_data),
            n_clusters: n_clusters.min(addressable),
            size_bytes: bytes_of(u64::from(geometry.total_sectors)),
            fs_info_start: (is_32 && fs_info != 0 && fs_info != 0xFFFF).then(|| bytes_of(fs_info)),
            serial: matches!(fields.u8(extended), 0x28 | 0x29).then(|| fields.u32(extended + 1)),
            label: (fields.u8(extended) == 0x29)
                .then(|| fields.text(extended + 5, 11))
                .flatten()
                .filter(|label| label != "NO NAME"),
            is_named: fields.has(extended + 16, b"FAT"),
        })
    }

    /// The UUID as `blkid` prints it.
    pub(crate) fn uuid(&self) -> Option<String> {
        self.serial.map(|serial| format!("{:04X}-{:04X}", serial >> 16, serial & 0xFFFF))
    }
}

/// How many clusters a table of `fat_bytes` has entries for, its two reserved ones not counted.
fn addressable_clusters(kind: FsKind, fat_bytes: u64) -> u32 {
    let n_entries = match kind {
        FsKind::Fat12 => fat_bytes * 2 / 3,
        FsKind::Fat16 => fat_bytes / 2,
        _ => fat_bytes / 4,
    };
    u32::try_from(n_entries.saturating_sub(2)).unwrap_or(u32::MAX)
}

/// The counts that the three widths have in common.
struct Geometry {
    sector_bytes: u32,
    sectors_per_cluster: u32,
    reserved_sectors: u16,
    n_fats: u8,
    fat_sectors: u32,
    total_sectors: u32,
}

impl Geometry {
    fn decode(fields: Fields<'_>) -> Result<Self> {
        let sector_bytes = u32::from(fields.u16(11));
        if !sector_bytes.is_power_of_two() || !(512..=4096).contains(&sector_bytes) {
            return Err(Error::corrupt(format!("FAT sectors of {sector_bytes} bytes")).at(11));
        }
        let sectors_per_cluster = u32::from(fields.u8(13));
        if !sectors_per_cluster.is_power_of_two() {
            let message = format!("FAT clusters of {sectors_per_cluster} sectors");
            return Err(Error::corrupt(message).at(13));
        }
        let reserved_sectors = fields.u16(14);
        if reserved_sectors == 0 {
            return Err(Error::corrupt("a FAT without reserved sectors").at(14));
        }
        let n_fats = fields.u8(16);
        if n_fats == 0 {
            return Err(Error::corrupt("a FAT filesystem without a table").at(16));
        }
        let media = fields.u8(21);
        if media != 0xF0 && media < 0xF8 {
            return Err(Error::corrupt(format!("the FAT media type {media:#04x}")).at(21));
        }
        let fat_sectors = match fields.u16(22) {
            0 => fields.u32(36),
            sectors => u32::from(sectors),
        };
        if fat_sectors == 0 {
            return Err(Error::corrupt("a FAT of no sectors").at(22));
        }
        let total_sectors = match fields.u16(19) {
            0 => fields.u32(32),
            sectors => u32::from(sectors),
        };
        Ok(Self {
            sector_bytes,
            sectors_per_cluster,
            reserved_sectors,
            n_fats,
            fat_sectors,
            total_sectors,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A FAT16 of 32 MiB as mkfs.vfat writes it.
    fn sound() -> [u8; 512] {
        let mut sector = [0; 512];
        sector[11..13].copy_from_slice(&512_u16.to_le_bytes());
        sector[13] = 4; // sectors a cluster
        sector[14] = 4; // reserved sectors
        sector[16] = 2; // tables
        sector[17..19].copy_from_slice(&512_u16.to_le_bytes()); // root entries
        sector[21] = 0xF8;
        sector[22] = 64; // sectors a table
        sector[32..36].copy_from_slice(&65_536_u32.to_le_bytes());
        sector[38] = 0x29;
        sector[39..43].copy_from_slice(&0xABCD_1234_u32.to_le_bytes());
        sector[43..54].copy_from_slice(b"NO NAME    ");
        sector[54..62].copy_from_slice(b"FAT16   ");
        sector
    }

    #[test]
    fn a_sound_boot_sector_is_decoded() {
        let bpb = Bpb::decode(&sound()).unwrap();
        assert_eq!((bpb.kind, bpb.cluster_bytes), (FsKind::Fat16, 2048));
        assert_eq!((bpb.fat_start, bpb.fat_bytes), (2048, 32_768));
        assert_eq!((bpb.root_start, bpb.root_bytes), (132 * 512, 16_384));
        assert_eq!((bpb.data_start, bpb.n_clusters), (164 * 512, 16_343));
        assert_eq!((bpb.uuid().as_deref(), bpb.label), (Some("ABCD-1234"), None));
        assert_eq!(bpb.size_bytes, 32 << 20);
    }

    #[test]
    fn each_spoiled_field_is_named() {
        type Spoil = fn(&mut [u8; 512]);
        let cases: [(Spoil, &str); 9] = [
            (|s| s[12] = 0, "FAT sectors of 0 bytes (at byte 11)"),
            (|s| s[11] = 1, "FAT sectors of 513 bytes (at byte 11)"),
            (|s| s[13] = 3, "FAT clusters of 3 sectors (at byte 13)"),
            (|s| s[14] = 0, "a FAT without reserved sectors (at byte 14)"),
            (|s| s[16] = 0, "a FAT filesystem without a table (at byte 16)"),
            (|s| s[21] = 0x33, "the FAT media type 0x33 (at byte 21)"),
            (
                |s| {
                    s[22] = 0;
                    s[36..40].fill(0);
                },
                "a FAT of no sectors (at byte 22)",
            ),
            (|s| s[19] = 100, "a FAT of 100 sectors, of which 164 come before the first cluster"),
            (|s| s[35] = 0xFF, "1069563863 clusters are too many for Fat16"),
        ];
        for (spoil, message) in cases {
            let mut sector = sound();
            spoil(&mut sector);
            assert_eq!(Bpb::decode(&sector).unwrap_err().to_string(), message);
        }
    }

    /// Linux takes what the table has entries for; so does kiln.
    #[test]
    fn clusters_without_an_entry_do_not_exist() {
        let mut sector = sound();
        sector[22] = 20;
        assert_eq!(Bpb::decode(&sector).unwrap().n_clusters, 20 * 256 - 2);
    }
}
