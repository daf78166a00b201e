//! LVM groups and md arrays, built byte by byte (this kernel has neither driver) and held against
//! what `pvck` and `mdadm --examine` say of them.

mod support;

use std::path::Path;

use kiln_disk::{MemSource, Source};
use kiln_fixtures::lvm::{self, group_text, physical_volume, segment, striped, write_text};
use kiln_fixtures::md::{Member, Version};
use kiln_volume::{Content, Layout, LvmRun, NoticeCode, Origin, scan};
use support::{Folder, blkid, notices, run, run_with, write_at};

const MIB: usize = 1 << 20;
const PV0: &str = "aaaaaabbbbccccddddeeeeffffgggggg";
const PV1: &str = "111111222233334444555566667777zz";

/// A physical volume whose extents each begin with their number and `mark`.
fn marked(id: &str, mark: u8) -> Vec<u8> {
    let mut image = physical_volume(64 * MIB, id);
    for extent in 0..63_usize {
        let at = lvm::EXTENTS_START + extent * MIB;
        for piece in 0..16_usize {
            let at = at + piece * (64 << 10);
            image[at..at + 3].copy_from_slice(&[mark, extent as u8, piece as u8]);
        }
    }
    image
}

fn source(image: &[u8]) -> Source {
    MemSource::shared(image)
}

fn three_bytes(layout: &Layout, volume: &str, offset: usize) -> [u8; 3] {
    let volume = layout.volumes.iter().find(|v| v.name == volume).unwrap_or_else(|| {
        panic!("no {volume} in {:?}, {:?}", layout.volumes, notices(layout));
    });
    let mut bytes = [0; 3];
    volume.source.read_at(offset as u64, &mut bytes).unwrap();
    bytes
}

fn root_and_data() -> String {
    let root = [striped(0, 2, &[("pv0", 5)]), striped(2, 3, &[("pv1", 1)])];
    let data = [striped(0, 4, &[("pv0", 10), ("pv1", 20)])];
    group_text("vg-0", 7, &[PV0, PV1], &[("my-root", &root), ("data", &data)])
}

#[test]
fn pvck_reads_what_the_builder_writes() {
    let folder = Folder::new();
    let path = folder.path("pv.img");
    let mut image = marked(PV0, b'a');
    for offset in [512, lvm::AREA_BYTES - 512] {
        write_text(&mut image, &root_and_data(), offset);
        std::fs::write(&path, &image).unwrap();
        let text = run("pvck", &["--dump", "metadata", path.to_str().unwrap()]);
        assert!(text.contains("vgname vg-0 seqno 7"), "{text}");
        assert!(!text.to_lowercase().contains("error"), "{text}");
    }
    assert_eq!(
        blkid(&path, "UUID"),
        scan(&[source(&image)]).volumes[0].uuid.clone(),
        "as blkid prints it"
    );
}

#[test]
fn linear_and_striped_volumes_over_two_disks_are_read() {
    let (mut first, mut second) = (marked(PV0, b'a'), marked(PV1, b'b'));
    write_text(&mut first, &root_and_data(), 512);
    write_text(&mut second, &root_and_data(), 4096);
    let layout = scan(&[source(&first), source(&second)]);
    assert_eq!(notices(&layout), []);
    let names: Vec<&str> = layout.volumes.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, ["disk0", "disk1", "/dev/vg-0/data", "/dev/vg-0/my-root"]);
    assert_eq!(layout.volumes[0].content, Content::LvmPhysicalVolume);
    assert_eq!(layout.volumes[0].uuid.as_deref(), Some("aaaaaa-bbbb-cccc-dddd-eeee-ffff-gggggg"));
    let root = &layout.volumes[3];
    assert_eq!(root.source.size_bytes(), 5 << 20);
    let Origin::Lvm { vg, lv, on, runs } = &root.origin else { panic!("{root:?}") };
    assert_eq!((vg.as_str(), lv.as_str(), &on[..]), ("vg-0", "my-root", &[0, 1][..]));
    let first_extent = lvm::EXTENTS_START as u64;
    let run = |pv, extent: u64, n: u64| LvmRun {
        length_bytes: n << 20,
        stripe_bytes: 1,
        places: vec![(pv, first_extent + (extent << 20))],
    };
    let plain = |runs: &[LvmRun]| -> Vec<LvmRun> {
        runs.iter().map(|run| LvmRun { stripe_bytes: 1, ..run.clone() }).collect()
    };
    assert_eq!(plain(runs), [run(0, 5, 2), run(1, 1, 3)]);
    let at = |offset| three_bytes(&layout, "/dev/vg-0/my-root", offset);
    assert_eq!(
        [at(0), at(MIB), at(2 * MIB), at(4 * MIB)],
        [[b'a', 5, 0], [b'a', 6, 0], [b'b', 1, 0], [b'b', 3, 0]]
    );
    // A read over the border of two segments.
    let mut bytes = vec![0; 2 * MIB];
    root.source.read_at(MIB as u64, &mut bytes).unwrap();
    assert_eq!((&bytes[..2], &bytes[MIB..MIB + 2]), (&[b'a', 6][..], &[b'b', 1][..]));
    let at = |piece: usize| three_bytes(&layout, "/dev/vg-0/data", piece * (64 << 10));
    assert_eq!(
        [at(0), at(1), at(2), at(33), at(63)],
        [[b'a', 10, 0], [b'b', 20, 0], [b'a', 10, 1], [b'b', 21, 0], [b'b', 21, 15]]
    );
    let mut byte = [0];
    assert!(root.source.read_at(5 << 20, &mut byte).is_err());
}

/// The usual server: GPT, a physical volume in a partition, ext4 in pieces on it.
#[test]
fn a_filesystem_on_a_volume_in_a_partition_is_found() {
    let folder = Folder::new();
    let root = folder.image("root.img", 5 << 20);
    run("mkfs.ext4", &["-q", "-L", "root", root.to_str().unwrap()]);
    let filesystem = std::fs::read(&root).unwrap();
    let mut pv = physical_volume(64 * MIB, PV0);
    let segments = [striped(0, 2, &[("pv0", 30)]), striped(2, 3, &[("pv0", 5)])];
    write_text(&mut pv, &group_text("vg", 1, &[PV0], &[("root", &segments)]), 512);
    for (at, part) in [(30, &filesystem[..2 * MIB]), (5, &filesystem[2 * MIB..])] {
        let at = lvm::EXTENTS_START + at * MIB;
        pv[at..at + part.len()].copy_from_slice(part);
    }
    let disk = folder.image("disk.img", 68 << 20);
    let script = "label: gpt\nstart=2048, size=2048\nsize=131072, type=lvm\n";
    run_with("sfdisk", &[disk.to_str().unwrap()], script);
    write_at(&disk, 2 << 20, &pv);
    let layout = support::scan(&disk);
    assert_eq!(notices(&layout), []);
    let volume = &layout.volumes[2];
    assert_eq!((volume.name.as_str(), volume.content), ("/dev/vg/root", Content::Ext4));
    assert_eq!(
        (volume.uuid.clone(), volume.label.as_deref()),
        (blkid(&root, "UUID"), Some("root"))
    );
    let Origin::Lvm { on, .. } = &volume.origin else { panic!("{volume:?}") };
    assert_eq!(layout.volumes[on[0]].origin, Origin::Partition { disk: 0, number: 2 });
    let mut read = vec![0; filesystem.len()];
    volume.source.read_at(0, &mut read).unwrap();
    assert!(read == filesystem);
}

/// The text runs over the end of its area, and an older one is still in it.
#[test]
fn the_newest_text_of_a_wrapped_ring_is_used() {
    let mut image = marked(PV0, b'a');
    let old = group_text("vg", 1, &[PV0], &[("old", &[striped(0, 1, &[("pv0", 0)])])]);
    let new = group_text("vg", 2, &[PV0], &[("new", &[striped(0, 1, &[("pv0", 9)])])]);
    write_text(&mut image, &old, 4096);
    write_text(&mut image, &new, lvm::AREA_BYTES - 100);
    let layout = scan(&[source(&image)]);
    assert_eq!(notices(&layout), []);
    assert_eq!(layout.volumes.len(), 2);
    assert_eq!(three_bytes(&layout, "/dev/vg/new", 0), [b'a', 9, 0]);
}

#[test]
fn the_highest_seqno_of_all_physical_volumes_counts() {
    let (mut first, mut second) = (marked(PV0, b'a'), marked(PV1, b'b'));
    let text = |seqno, extent| {
        let segments = [striped(0, 1, &[("pv1", extent)])];
        group_text("vg", seqno, &[PV0, PV1], &[("lv", &segments)])
    };
    write_text(&mut first, &text(10, 3), 512);
    write_text(&mut second, &text(9, 4), 512);
    for disks in [[source(&first), source(&second)], [source(&second), source(&first)]] {
        let layout = scan(&disks);
        assert_eq!(three_bytes(&layout, "/dev/vg/lv", 0), [b'b', 3, 0]);
    }
}

#[test]
fn what_is_missing_or_not_read_is_named() {
    let mut image = marked(PV0, b'a');
    let thin = [segment(0, 2, "thin", "thin_pool = \"pool\"\ntransaction_id = 1\ndevice_id = 1\n")];
    let legs = "raids = [\n\"m_rmeta_0\", \"m_rimage_0\",\n\"m_rmeta_1\", \"m_rimage_1\"\n]\n";
    let text = group_text(
        "vg",
        3,
        &[PV0, PV1],
        &[
            ("here", &[striped(0, 1, &[("pv0", 0)])]),
            ("half", &[striped(0, 1, &[("pv0", 1)]), striped(1, 1, &[("pv1", 1)])]),
            ("thin", &thin),
            ("mirror", &[segment(0, 1, "raid1", &format!("device_count = 2\n{legs}"))]),
            (".m_rimage_0", &[striped(0, 1, &[("pv1", 7)])]),
            (".m_rimage_1", &[striped(0, 1, &[("pv0", 8)])]),
            ("origin", &[striped(0, 1, &[("pv0", 12)])]),
            ("snap", &[striped(0, 1, &[("pv0", 13)])]),
            (
                ".snapshot0",
                &[segment(0, 1, "snapshot", "origin = \"origin\"\ncow_store = \"snap\"\n")],
            ),
        ],
    );
    write_text(&mut image, &text, 512);
    let layout = scan(&[source(&image)]);
    assert_eq!(
        notices(&layout),
        [
            (
                NoticeCode::LvmUnsupported,
                "/dev/vg/snap is of the type snapshot, which kiln does not read"
            ),
            (
                NoticeCode::LvmUnsupported,
                "/dev/vg/thin is of the type thin, which kiln does not read"
            ),
            (
                NoticeCode::LvmMissingPv,
                "volume group vg lacks the physical volume \
                 111111-2222-3333-4444-5555-6666-7777zz (last seen as /dev/sdb); on it: half"
            ),
        ]
    );
    let names: Vec<&str> = layout.volumes[1..].iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, ["/dev/vg/here", "/dev/vg/mirror", "/dev/vg/origin"]);
    assert_eq!(three_bytes(&layout, "/dev/vg/mirror", 0), [b'a', 8, 0]);
}

/// One fault in a sound physical volume at a time.
#[test]
fn each_fault_of_a_physical_volume_is_named() {
    type Spoil = fn(&mut Vec<u8>);
    let cases: &[(Spoil, NoticeCode, &str)] = &[
        (
            |image| image[512 + 40] ^= 1,
            NoticeCode::Corrupt,
            "disk0: the LVM label has the checksum",
        ),
        (
            |image| image[4096 + 100] ^= 1,
            NoticeCode::Corrupt,
            "disk0: the LVM metadata area has the checksum",
        ),
        (
            |image| image[4096 + 600] ^= 1,
            NoticeCode::Corrupt,
            "disk0: the LVM metadata text has the checksum",
        ),
        (
            |image| write_text(image, "vg { extent_size = 8", 512),
            NoticeCode::Corrupt,
            "disk0: LVM metadata text, byte 20: a name was expected",
        ),
        (
            |image| {
                let gap = [striped(1, 1, &[("pv0", 0)])];
                write_text(image, &group_text("vg", 1, &[PV0], &[("lv", &gap)]), 512);
            },
            NoticeCode::Corrupt,
            "disk0: an LVM segment starts at extent 1, the one before it ends at 0",
        ),
        (
            |image| {
                let far = [striped(0, 1, &[("pv0", 63)])];
                write_text(image, &group_text("vg", 1, &[PV0], &[("lv", &far)]), 512);
            },
            NoticeCode::Truncated,
            "/dev/vg/lv: the 1048576 bytes from byte 0 on reach beyond the end of their physical \
             volume",
        ),
        (
            |image| image.truncate(32 * MIB),
            NoticeCode::Truncated,
            "disk0: the physical volume says it has 67108864 bytes and its volume has 33554432",
        ),
    ];
    let mut sound = marked(PV0, b'a');
    let text = group_text("vg", 1, &[PV0], &[("lv", &[striped(0, 1, &[("pv0", 0)])])]);
    write_text(&mut sound, &text, 512);
    assert_eq!(notices(&scan(&[source(&sound)])), []);
    for (spoil, code, message) in cases {
        let mut image = sound.clone();
        spoil(&mut image);
        let layout = scan(&[source(&image)]);
        let found = notices(&layout);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, *code, "{found:?}");
        assert!(found[0].1.starts_with(message), "{found:?}");
    }
}

/// A text of half a mebibyte in which every segment of a mirror is the same long leg.
#[test]
fn mirrors_that_multiply_their_legs_are_bounded() {
    let mut image = marked(PV0, b'a');
    let leg: Vec<String> = (0..2000).map(|n| striped(n, 1, &[("pv0", 0)])).collect();
    let mirror: Vec<String> =
        (0..2000).map(|n| segment(n, 1, "mirror", "mirrors = [\n\"leg\", 0\n]\n")).collect();
    let text = group_text("vg", 1, &[PV0], &[(".leg", &leg), ("mirror", &mirror)]);
    write_text(&mut image, &text, 512);
    let layout = scan(&[source(&image)]);
    assert_eq!(
        notices(&layout),
        [(NoticeCode::Corrupt, "/dev/vg/mirror: more segments than kiln follows in one scan")]
    );
}

const ARRAY: [u8; 16] = [0xde, 0xad, 0xbe, 0xef, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

fn member(version: Version) -> Member<'static> {
    Member {
        version,
        uuid: ARRAY,
        name: "kiln:root",
        level: 1,
        n_disks: 2,
        number: 0,
        n_events: 40,
        data_start_sectors: if version == Version::V1_0 { 0 } else { 2048 },
    }
}

/// An 8 MiB member whose data says which one it is.
fn image_of(member: &Member<'_>, mark: u8) -> Vec<u8> {
    let mut image = vec![0; 8 * MIB];
    let start = match member.version {
        Version::V0_90 => 0,
        _ => member.data_start_sectors as usize * 512,
    };
    image[start..start + 3].fill(mark);
    member.write(&mut image, 4096);
    image
}

fn examine(path: &Path, key: &str) -> String {
    let text = run("mdadm", &["--examine", path.to_str().unwrap()]);
    let line = text.lines().find(|line| line.trim_start().starts_with(key));
    line.unwrap_or_else(|| panic!("no {key} in {text}")).split_once(" : ").unwrap().1.to_owned()
}

#[test]
fn a_mirror_is_read_through_one_member_in_every_version() {
    let folder = Folder::new();
    for version in [Version::V0_90, Version::V1_0, Version::V1_1, Version::V1_2] {
        let image = image_of(&member(version), b'm');
        let path = folder.path("md.img");
        std::fs::write(&path, &image).unwrap();
        let layout = scan(&[source(&image)]);
        assert_eq!(layout.volumes[0].content, Content::RaidMember, "{version:?}");
        assert_eq!(layout.volumes[0].uuid, blkid(&path, "UUID"), "{version:?}");
        let array = &layout.volumes[1];
        let Origin::Md { uuid, on } = &array.origin else { panic!("{array:?}") };
        let examined =
            examine(&path, if version == Version::V0_90 { "UUID" } else { "Array UUID" });
        assert_eq!(*uuid, examined.split(' ').next().unwrap(), "{version:?}");
        assert_eq!(on, &[0]);
        let device = if version == Version::V0_90 { "/dev/md3" } else { "/dev/md/root" };
        assert_eq!(array.name, device);
        assert_eq!(array.source.size_bytes(), 4096 * 512);
        assert_eq!(three_bytes(&layout, device, 0), [b'm'; 3]);
        let message =
            format!("{device} (raid1): 1 of 2 members are here; read through one of them");
        assert_eq!(notices(&layout), [(NoticeCode::Info, message.as_str())]);
    }
}

#[test]
fn the_member_with_the_most_events_is_read() {
    let old = image_of(&member(Version::V1_2), b'o');
    let new = image_of(&Member { number: 1, n_events: 41, ..member(Version::V1_2) }, b'n');
    let layout = scan(&[source(&old), source(&new)]);
    assert_eq!(notices(&layout), []);
    assert_eq!(three_bytes(&layout, "/dev/md/root", 0), [b'n'; 3]);
}

#[test]
fn arrays_of_other_levels_are_named() {
    let image = image_of(&Member { level: 5, n_disks: 3, ..member(Version::V1_2) }, b'm');
    let layout = scan(&[source(&image)]);
    assert_eq!(
        notices(&layout),
        [(
            NoticeCode::RaidIncomplete,
            "/dev/md/root (raid5): 1 of 3 members are here; kiln reads arrays of level 1 only"
        )]
    );
    assert_eq!(layout.volumes.len(), 1);
}

#[test]
fn a_group_on_a_mirror_is_found() {
    let mut inner = marked(PV0, b'a');
    let text = group_text("vg", 1, &[PV0], &[("lv", &[striped(0, 1, &[("pv0", 2)])])]);
    write_text(&mut inner, &text, 512);
    let mut image = vec![0; MIB];
    image.extend(inner);
    member(Version::V1_2).write(&mut image, 64 * 2048);
    let layout = scan(&[source(&image)]);
    let names: Vec<&str> = layout.volumes.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, ["disk0", "/dev/md/root", "/dev/vg/lv"]);
    assert_eq!(three_bytes(&layout, "/dev/vg/lv", 0), [b'a', 2, 0]);
}
