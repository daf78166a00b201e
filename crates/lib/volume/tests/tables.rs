//! Partition tables written by sfdisk and sgdisk, then one field spoiled at a time.

mod support;

use std::path::Path;

use kiln_volume::{Content, NoticeCode, Origin, TableKind};
use support::{Folder, notices, read_at, run, run_with, scan, write_at};

const MIB: u64 = 1 << 20;

/// What `sfdisk --json` says of every partition: number, start, size in sectors, UUID.
fn sfdisk_view(path: &Path) -> Vec<(u32, u64, u64, String)> {
    let text = run("sfdisk", &["--json", path.to_str().unwrap()]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let node_length = path.to_str().unwrap().len();
    let mut view: Vec<_> = json["partitiontable"]["partitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| {
            let number = p["node"].as_str().unwrap()[node_length..].trim_start_matches('p');
            let uuid = p["uuid"].as_str().map(str::to_lowercase).unwrap_or_default();
            (
                number.parse().unwrap(),
                p["start"].as_u64().unwrap(),
                p["size"].as_u64().unwrap(),
                uuid,
            )
        })
        .collect();
    view.sort_by_key(|p| (p.1, p.0));
    view
}

fn kiln_view(path: &Path) -> Vec<(u32, u64, u64, String)> {
    let layout = scan(path);
    let partitions = layout.disks[0].partitions.iter();
    partitions
        .map(|p| {
            let uuid = match layout.disks[0].table {
                TableKind::Mbr => String::new(), // sfdisk prints none for an MBR
                _ => p.part_uuid.clone().unwrap(),
            };
            (p.number, p.start_bytes / 512, p.size_bytes / 512, uuid)
        })
        .collect()
}

fn gpt(folder: &Folder) -> std::path::PathBuf {
    let path = folder.image("gpt.img", 64 * MIB);
    let script = "label: gpt\nlabel-id: 11111111-2222-3333-4444-555555555555\n\
        start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649, name=bios\n\
        size=16384, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=\"EFI Süd\"\n\
        type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, attrs=\"LegacyBIOSBootable\"\n";
    run_with("sfdisk", &[path.to_str().unwrap()], script);
    path
}

fn mbr(folder: &Folder) -> std::path::PathBuf {
    let path = folder.image("mbr.img", 64 * MIB);
    let script = "label: dos\nlabel-id: 0x01ab23cd\n\
        start=2048, size=8192, type=83, bootable\n\
        start=10240, size=81920, type=5\n\
        start=92160, type=82\n\
        start=12288, size=4096, type=83\n\
        start=18432, size=4096, type=8e\n\
        start=24576, size=4096, type=7\n";
    run_with("sfdisk", &[path.to_str().unwrap()], script);
    path
}

#[test]
fn gpt_is_read_as_sfdisk_reads_it() {
    let folder = Folder::new();
    let path = gpt(&folder);
    let layout = scan(&path);
    let disk = &layout.disks[0];
    assert_eq!((disk.table, disk.sector_bytes), (TableKind::Gpt, 512));
    assert_eq!(disk.disk_id.as_deref(), Some("11111111-2222-3333-4444-555555555555"));
    assert_eq!(notices(&layout), []);
    assert_eq!(kiln_view(&path), sfdisk_view(&path));
    assert_eq!(disk.partitions.len(), 3);
    assert_eq!(disk.partitions[1].part_label.as_deref(), Some("EFI Süd"));
    assert!(disk.partitions[0].kind.is_bios_boot() && disk.partitions[1].kind.is_esp());
    let bootable: Vec<bool> = disk.partitions.iter().map(|p| p.bootable).collect();
    assert_eq!(bootable, [false, false, true]);
    let names: Vec<&str> = layout.volumes.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, ["disk0p1", "disk0p2", "disk0p3"]);
    assert!(layout.volumes.iter().all(|v| v.content == Content::Empty));
}

#[test]
fn mbr_with_logical_partitions_is_read_as_sfdisk_reads_it() {
    let folder = Folder::new();
    let path = mbr(&folder);
    let layout = scan(&path);
    let disk = &layout.disks[0];
    assert_eq!((disk.table, disk.disk_id.as_deref()), (TableKind::Mbr, Some("01ab23cd")));
    assert_eq!(notices(&layout), []);
    assert_eq!(kiln_view(&path), sfdisk_view(&path));
    let uuids: Vec<_> = disk.partitions.iter().filter_map(|p| p.part_uuid.as_deref()).collect();
    let expected = ["01", "02", "05", "06", "07", "03"].map(|n| format!("01ab23cd-{n}"));
    assert_eq!(uuids, expected);
    assert!(disk.partitions[0].bootable && !disk.partitions[1].bootable);
    // The extended partition is in the table and holds nothing of its own.
    let names: Vec<&str> = layout.volumes.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, ["disk0p1", "disk0p5", "disk0p6", "disk0p7", "disk0p3"]);
}

/// sfdisk writes for the sector size of the device only, so the table is moved by hand.
#[test]
fn gpt_of_large_sectors_is_found_at_byte_4096() {
    let folder = Folder::new();
    let small = gpt(&folder);
    let path = folder.image("4k.img", 64 * MIB);
    let last_lba = 64 * MIB / 4096 - 1;
    write_at(&path, 0, &read_at(&small, 0, 512));
    write_at(&path, 8192, &read_at(&small, 1024, 16 << 10));
    write_at(&path, (last_lba - 4) * 4096, &read_at(&small, 1024, 16 << 10));
    for (lba, alternate, entries) in [(1, last_lba, 2), (last_lba, 1, last_lba - 4)] {
        let at = lba * 4096;
        write_at(&path, at, &read_at(&small, 512, 92));
        write_at(&path, at + 24, &lba.to_le_bytes());
        write_at(&path, at + 32, &alternate.to_le_bytes());
        write_at(&path, at + 72, &entries.to_le_bytes());
        seal_header(&path, at);
    }
    let layout = scan(&path);
    let disk = &layout.disks[0];
    assert_eq!((disk.table, disk.sector_bytes), (TableKind::Gpt, 4096));
    assert_eq!(disk.partitions[0].start_bytes, 2048 * 4096);
    assert_eq!(disk.partitions[0].size_bytes, 2048 * 4096);
    let truncated: Vec<NoticeCode> = notices(&layout).iter().map(|n| n.0).collect();
    assert_eq!(truncated, [NoticeCode::Truncated; 2], "the same numbers of larger sectors");
}

/// One fault in a sound GPT at a time; the rest must be as before.
#[test]
fn each_fault_of_a_gpt_is_named() {
    type Spoil = fn(&Path);
    let cases: &[(Spoil, &[(NoticeCode, &str)])] = &[
        (
            |path| write_at(path, 512 + 16, &[0; 4]),
            &[(
                NoticeCode::GptPrimaryCorrupt,
                "the primary GPT is broken and the backup in sector 131071 was used: the GPT \
                 header has the checksum XXXXXXXX and says 00000000 (at byte 512)",
            )],
        ),
        (
            |path| write_at(path, 512, b"x"),
            &[(
                NoticeCode::GptPrimaryCorrupt,
                "the primary GPT is broken and the backup in sector 131071 was used: sector 1 \
                 does not start with EFI PART",
            )],
        ),
        (
            |path| write_at(path, 64 * MIB - 512, &[0; 512]),
            &[(
                NoticeCode::GptBackupMisplaced,
                "the last sector holds no sound backup GPT: the sector does not start with EFI \
                 PART (at byte 67108352)",
            )],
        ),
        (
            |path| {
                std::fs::File::options().write(true).open(path).unwrap().set_len(80 * MIB).unwrap()
            },
            &[(
                NoticeCode::GptBackupMisplaced,
                "the backup GPT is in sector 131071 and the disk ends with sector 163839",
            )],
        ),
        (
            |path| {
                std::fs::File::options().write(true).open(path).unwrap().set_len(60 * MIB).unwrap()
            },
            &[
                (
                    NoticeCode::Truncated,
                    "the GPT has its backup in sector 131071 and the disk ends with sector 122879",
                ),
                (
                    NoticeCode::Truncated,
                    "partition 3 ends at byte 66060288 and the disk at byte 62914560",
                ),
            ],
        ),
        (
            |path| write_at(path, 446, &[0; 64]),
            &[(
                NoticeCode::NoProtectiveMbr,
                "a GPT without an entry of type 0xee in the MBR: Linux does not look for it",
            )],
        ),
        (
            |path| write_at(path, 450, &[0x83]),
            &[(
                NoticeCode::NoProtectiveMbr,
                "a GPT without an entry of type 0xee in the MBR: Linux does not look for it",
            )],
        ),
    ];
    let folder = Folder::new();
    for (number, (spoil, expected)) in cases.iter().enumerate() {
        let path = gpt(&folder);
        spoil(&path);
        let layout = scan(&path);
        let seen: Vec<(NoticeCode, String)> = notices(&layout)
            .into_iter()
            .map(|(code, message)| (code, hide_checksum(message)))
            .collect();
        let expected: Vec<_> = expected.iter().map(|(c, m)| (*c, (*m).to_owned())).collect();
        assert_eq!(seen, expected, "case {number}");
        assert_eq!(layout.disks[0].partitions.len(), 3, "case {number}");
        assert_eq!(layout.volumes.len(), 3, "case {number}");
    }
}

/// The disk's own GUIDs are random, and so are the checksums over them.
fn hide_checksum(message: &str) -> String {
    let Some((before, after)) = message.split_once("has the checksum ") else {
        return message.to_owned();
    };
    format!("{before}has the checksum XXXXXXXX{}", &after[8..])
}

/// Recompute the checksum of the GPT header at `at` after a change.
fn seal_header(path: &Path, at: u64) {
    let mut header = read_at(path, at, 92);
    header[16..20].fill(0);
    write_at(path, at + 16, &crc32fast::hash(&header).to_le_bytes());
}

#[test]
fn a_gpt_of_four_billion_entries_is_refused_in_both_copies() {
    let folder = Folder::new();
    let path = gpt(&folder);
    for at in [512, 64 * MIB - 512] {
        write_at(&path, at + 80, &u32::MAX.to_le_bytes());
        seal_header(&path, at);
    }
    let layout = scan(&path);
    assert_eq!(
        notices(&layout),
        [(
            NoticeCode::Corrupt,
            "both copies of the GPT are broken: a GPT of 4294967295 entries of 128 bytes is \
             larger than the 262144 bytes that kiln reads"
        )]
    );
    assert_eq!(layout.disks[0].table, TableKind::Gpt);
    assert!(layout.volumes.is_empty());
}

#[test]
fn a_spoiled_entry_is_found_by_the_checksum_of_the_array() {
    let folder = Folder::new();
    let path = gpt(&folder);
    write_at(&path, 1024 + 56, b"X");
    let layout = scan(&path);
    let [(NoticeCode::GptPrimaryCorrupt, message)] = notices(&layout)[..] else {
        panic!("{:?}", notices(&layout));
    };
    assert!(message.contains("the GPT entries have the checksum"), "{message}");
    assert_eq!(layout.disks[0].partitions[0].part_label.as_deref(), Some("bios"));
}

#[test]
fn a_hybrid_mbr_is_recorded_and_the_gpt_wins() {
    let folder = Folder::new();
    let path = gpt(&folder);
    run("sgdisk", &["--hybrid=2", path.to_str().unwrap()]);
    // An active entry is what a BIOS looks for; sgdisk leaves the flag to the user.
    let active = (0..4_u64)
        .map(|slot| 446 + slot * 16)
        .find(|at| !matches!(read_at(&path, at + 4, 1)[0], 0 | 0xEE))
        .unwrap();
    write_at(&path, active, &[0x80]);
    let layout = scan(&path);
    let disk = &layout.disks[0];
    assert_eq!((disk.table, disk.partitions.len()), (TableKind::HybridGpt, 3));
    assert_eq!(disk.hybrid_entries.len(), 1);
    assert_eq!(disk.hybrid_entries[0].start_bytes, disk.partitions[1].start_bytes);
    assert!(disk.hybrid_entries[0].bootable);
    assert_eq!(notices(&layout), []);
}

/// The remains of a GPT under a later MBR: Linux reads the MBR.
#[test]
fn an_mbr_over_the_remains_of_a_gpt_wins() {
    let folder = Folder::new();
    let path = gpt(&folder);
    let other = mbr(&folder);
    write_at(&path, 0, &read_at(&other, 0, 512));
    let layout = scan(&path);
    assert_eq!(layout.disks[0].table, TableKind::Mbr);
    let message = "a GPT is there too, but the MBR has partitions and no entry of type 0xee: \
                   Linux reads the MBR";
    assert!(notices(&layout).contains(&(NoticeCode::Info, message)), "{:?}", notices(&layout));
}

/// fdisk keeps the boot code of what was in the first sector, a FAT's geometry included.
#[test]
fn a_table_over_the_remains_of_a_filesystem_wins() {
    let folder = Folder::new();
    let path = folder.image("remains.img", 64 * MIB);
    run("mkfs.vfat", &[path.to_str().unwrap()]);
    let script = "label: dos\nstart=2048, size=8192, type=83\n";
    run_with("sfdisk", &["--wipe", "never", path.to_str().unwrap()], script);
    let layout = scan(&path);
    assert_eq!(layout.disks[0].table, TableKind::Mbr);
    assert_eq!(layout.volumes.len(), 1);
    assert_eq!(notices(&layout), []);
}

#[test]
fn a_chain_of_extended_records_that_loops_ends() {
    let folder = Folder::new();
    let path = mbr(&folder);
    // The second record's link: back to the first one, at the start of the extended partition.
    let second = 18432 - 2048;
    let link = read_at(&path, second * 512 + 462, 16);
    assert_eq!(link[4], 5, "the fixture's second record has a link");
    write_at(&path, second * 512 + 462 + 8, &[0; 4]);
    let layout = scan(&path);
    assert_eq!(
        notices(&layout),
        [(
            NoticeCode::Corrupt,
            "the chain of extended boot records returns to sector 10240; the logical partitions \
             up to there are kept"
        )]
    );
    let numbers: Vec<u32> = layout.disks[0].partitions.iter().map(|p| p.number).collect();
    assert_eq!(numbers, [1, 2, 5, 6, 3]);
}

#[test]
fn overlapping_and_dynamic_partitions_are_noted() {
    let folder = Folder::new();
    let path = mbr(&folder);
    write_at(&path, 446 + 12, &100_000_u32.to_le_bytes());
    write_at(&path, 446 + 4, &[0x42]);
    let layout = scan(&path);
    let codes: Vec<NoticeCode> = notices(&layout).iter().map(|n| n.0).collect();
    use NoticeCode::{Corrupt, DynamicDisk};
    assert_eq!(codes, [DynamicDisk, Corrupt, Corrupt, Corrupt, Corrupt]);
    assert_eq!(
        notices(&layout)[1].1,
        "partition 5 starts at byte 6291456, inside partition 1, which ends at byte 52248576"
    );
}

#[test]
fn a_filesystem_in_the_first_sector_is_no_partition_table() {
    let folder = Folder::new();
    for (name, mkfs, content) in [
        ("fat", &["mkfs.vfat", "-F", "32"][..], Content::Fat),
        ("ext4", &["mkfs.ext4", "-q"], Content::Ext4),
        ("btrfs", &["mkfs.btrfs", "-q"], Content::Btrfs),
    ] {
        let path = folder.image(name, 256 * MIB);
        let mut args = mkfs[1..].to_vec();
        args.push(path.to_str().unwrap());
        run(mkfs[0], &args);
        // What a boot loader leaves: the mark of a boot sector.
        write_at(&path, 510, &[0x55, 0xAA]);
        let layout = scan(&path);
        assert_eq!(layout.disks[0].table, TableKind::None, "{name}");
        assert_eq!(notices(&layout), [], "{name}");
        assert_eq!(layout.volumes.len(), 1, "{name}");
        assert_eq!(layout.volumes[0].origin, Origin::Disk(0), "{name}");
        assert_eq!(layout.volumes[0].content, content, "{name}");
    }
}

#[test]
fn a_bad_status_makes_no_table() {
    let folder = Folder::new();
    let path = mbr(&folder);
    write_at(&path, 446, &[0x12]);
    let layout = scan(&path);
    assert_eq!(
        notices(&layout),
        [(
            NoticeCode::Corrupt,
            "the first sector ends in 55 aa and is no partition table: entry 1 has the status \
             0x12, neither 0x00 nor 0x80"
        )]
    );
    assert_eq!(layout.disks[0].table, TableKind::None);
}

#[test]
fn an_empty_disk_is_one_empty_volume() {
    let folder = Folder::new();
    let layout = scan(&folder.image("empty.img", 8 * MIB));
    assert_eq!(notices(&layout), []);
    assert_eq!(layout.volumes[0].content, Content::Empty);
    assert_eq!(layout.volumes[0].name, "disk0");
}

/// A disk whose second half fails: the error is told, and the rest is there.
#[derive(Debug)]
struct HalfBroken(Vec<u8>);

impl kiln_disk::BlockSource for HalfBroken {
    fn size_bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> kiln_disk::Result<()> {
        let start = offset as usize;
        if start + buf.len() > self.0.len() / 2 {
            return Err(kiln_disk::Error::new(kiln_volume::Kind::Io, "bad sector").at(offset));
        }
        buf.copy_from_slice(&self.0[start..start + buf.len()]);
        Ok(())
    }
}

#[test]
fn a_partition_that_cannot_be_read_is_told() {
    let folder = Folder::new();
    let bytes = std::fs::read(mbr(&folder)).unwrap();
    let layout = kiln_volume::scan(&[std::sync::Arc::new(HalfBroken(bytes))]);
    assert_eq!(
        notices(&layout),
        [(NoticeCode::Corrupt, "disk0p3: cannot be read: bad sector (at byte 47185920)")]
    );
    assert_eq!(layout.volumes.len(), 5);
}
