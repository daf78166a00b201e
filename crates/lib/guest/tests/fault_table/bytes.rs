//! Rows about the disk itself, planted in the bytes of an image that the real tools made.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use kiln_disk::MemSource;
use kiln_fixtures::phony::image::{ROOT_BYTES, ROOT_START_BYTES, debian_image, ext4, partitioned};
use kiln_fixtures::phony::{Phony, SWAP_UUID, disk::LINUX, disk::Part};
use kiln_fixtures::{lvm, md};
use kiln_guest::{Declared, Status};
use kiln_volume::{Content, MemFs, TableKind, scan};

use crate::table::Grade::{High, Medium, Unknown};
use crate::table::{Also, Base, Fault, Grade, Looked, Row, look_at};

/// A row whose fault is in bytes.
pub(crate) struct BytesRow {
    /// Its number and what it must trip.
    pub(crate) row: Row,
    /// The spoilt disk, from the sound one.
    pub(crate) image: fn(&[u8]) -> Vec<u8>,
    /// Nothing that tells a system can be read: the other items do not apply, or cannot be decided.
    pub(crate) hides_system: bool,
}

const fn row(
    number: u32,
    what: &'static str,
    image: fn(&[u8]) -> Vec<u8>,
    code: &'static str,
    grade: Grade,
    also: &'static [Also],
) -> BytesRow {
    let (base, fault): (Base, Fault) = (Phony::debian, |_| {});
    let row = Row { number, what, base, fault, item: "SystemImage", code, grade, also };
    BytesRow { row, image, hides_system: false }
}

const fn hidden(
    number: u32,
    what: &'static str,
    image: fn(&[u8]) -> Vec<u8>,
    code: &'static str,
    grade: Grade,
) -> BytesRow {
    BytesRow { hides_system: true, ..row(number, what, image, code, grade, &[]) }
}

pub(crate) fn sound() -> &'static [u8] {
    static SOUND: OnceLock<Vec<u8>> = OnceLock::new();
    SOUND.get_or_init(|| debian_image(""))
}

pub(crate) fn look_at_bytes(bytes: Vec<u8>) -> Looked {
    look_at(scan(&[MemSource::shared(bytes)]), Declared::default())
}

impl BytesRow {
    /// What is wrong with kiln's answer; empty: nothing.
    pub(crate) fn judge(&self, before: &Looked) -> Vec<String> {
        let after = look_at_bytes((self.image)(sound()));
        if !self.hides_system {
            return self.row.compare(before, &after);
        }
        let mut wrong = self.row.compare_item(&after);
        for item in &after.items {
            let name = item.name.trim_start_matches("GUESTOS.");
            let is_silent = matches!(item.status, Status::NotApplicable | Status::Unknown);
            // Firmware finds its chain, or none, whatever is behind it; and of row 10 only /etc is
            // lost: programs, kernel, modules and initramfs can still be read and judged.
            let is_outside_etc = self.row.number == 10 && OUTSIDE_ETC.contains(&name);
            if !is_silent && !is_outside_etc && !["SystemImage", "BootMode"].contains(&name) {
                let number = self.row.number;
                wrong.push(format!("row {number} ({}): {name} is {item:?}", self.row.what));
            }
        }
        wrong
    }
}

/// The sound disk with another root partition.
fn with_root(sound: &[u8], root: &[u8]) -> Vec<u8> {
    let mut disk = sound.to_vec();
    disk[ROOT_START_BYTES..ROOT_START_BYTES + ROOT_BYTES].fill(0);
    disk[ROOT_START_BYTES..ROOT_START_BYTES + root.len()].copy_from_slice(root);
    disk
}

fn only_files(path: &str, data: &[u8]) -> Vec<u8> {
    let mut fs = MemFs::new();
    fs.file(path, data);
    let mut disk = partitioned(20 << 20, "label: dos\nstart=2048, size=32768, type=83\n");
    let partition = ext4(&fs, 16 << 20, "");
    disk[1 << 20..17 << 20].copy_from_slice(&partition);
    disk
}

fn run(program: &str, arguments: &[&str], input: &Path) -> std::process::Output {
    let output = Command::new(program).args(arguments).arg(input).output();
    let output = output.unwrap_or_else(|error| panic!("{program} does not start: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn iso() -> Vec<u8> {
    let top = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(top.path().join("install.amd")).expect("writable");
    std::fs::write(top.path().join("install.amd/vmlinuz"), "x").expect("writable");
    run("genisoimage", &["-quiet", "-R", "-V", "Debian 12"], top.path()).stdout
}

/// The head of a LUKS volume as cryptsetup writes it.
fn luks(kind: &str) -> Vec<u8> {
    let top = tempfile::tempdir().expect("a directory");
    let (path, key) = (top.path().join("luks"), top.path().join("key"));
    std::fs::write(&path, vec![0; 32 << 20]).expect("writable");
    std::fs::write(&key, "secret").expect("writable");
    let key = format!("--key-file={}", key.display());
    let arguments = [
        "luksFormat",
        "--batch-mode",
        "--type",
        kind,
        "--pbkdf",
        "pbkdf2",
        "--pbkdf-force-iterations",
        "1000",
        &key,
    ];
    run("/usr/sbin/cryptsetup", &arguments, &path);
    std::fs::read(&path).expect("readable")
}

/// Where the inode of `/etc` is in the filesystem of the sound root.
fn block_of_etc(sound: &[u8]) -> usize {
    let top = tempfile::tempdir().expect("a directory");
    let path = top.path().join("root");
    let root = &sound[ROOT_START_BYTES..ROOT_START_BYTES + ROOT_BYTES];
    std::fs::write(&path, root).expect("writable");
    let text = run("/usr/sbin/debugfs", &["-R", "imap /etc"], &path).stdout;
    let text = String::from_utf8_lossy(&text).into_owned();
    let (_, rest) = text.split_once("located at block ").expect("what debugfs prints");
    let block: usize =
        rest.split(',').next().and_then(|n| n.trim().parse().ok()).expect("a number");
    let log = u32::from_le_bytes(root[1024 + 24..1024 + 28].try_into().expect("four bytes"));
    ROOT_START_BYTES + block * (1024 << log)
}

/// The sound guest with its root on a logical volume whose group has the newest of its two
/// texts at byte `at` of the metadata area.
fn on_lvm(at: usize) -> Vec<u8> {
    let mut guest = Phony::debian();
    let (path, initrd) = (guest.initrd_path(), guest.initrd().build());
    guest.put(&path, initrd);
    let files = guest.disk.part("/").fs.clone().expect("a root has files");
    let root = ext4(&files, 60 << 20, "");
    let mut pv = lvm::physical_volume(ROOT_BYTES, PV_0);
    let text = |seqno, name: &str, first| {
        let segments = [lvm::striped(0, 60, &[("pv0", first)])];
        lvm::group_text("vg", seqno, &[PV_0], &[(name, &segments)])
    };
    // An older text, which says that the root begins elsewhere, stays behind.
    lvm::write_text(&mut pv, &text(2, "old", 3), 8192);
    lvm::write_text(&mut pv, &text(3, "root", 1), at);
    let start = lvm::EXTENTS_START + (1 << 20);
    pv[start..start + root.len()].copy_from_slice(&root);
    with_root(sound(), &pv)
}

const PV_0: &str = "AAAAAAaaaaaaaaaaaaaaaaaaaaaaaaaa";
const PV_1: &str = "BBBBBBbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// Items that read nothing of `/etc` on a Debian guest.
const OUTSIDE_ETC: &[&str] =
    &["Architecture", "KernelVersion", "Virtio", "Nvme", "SupportMocInstanceTypes"];

pub(crate) const ROWS: &[BytesRow] = &[
    hidden(1, "empty disk", |_| vec![0; 64 << 20], "SystemImage.Empty", High),
    hidden(2, "installer ISO", |_| iso(), "SystemImage.IsoImage", High),
    hidden(
        3,
        "isohybrid with an MBR table",
        |_| {
            let mut disk = iso();
            let sectors = u32::try_from(disk.len() / 512).expect("small");
            disk[..16].copy_from_slice(&[
                0x33, 0xED, 0xFA, 0x8E, 0xD5, 0xBC, 0, 0x7C, 0xFB, 0xFC, 0x66, 0x31, 0xDB, 0x66,
                0x31, 0xC9,
            ]);
            disk[446] = 0x80;
            disk[446 + 4] = 0x17;
            disk[446 + 8..446 + 12].copy_from_slice(&64_u32.to_le_bytes());
            disk[446 + 12..446 + 16].copy_from_slice(&(sectors - 64).to_le_bytes());
            disk[510..512].copy_from_slice(&[0x55, 0xAA]);
            disk
        },
        "SystemImage.IsoImage",
        High,
    ),
    hidden(
        4,
        "only live/filesystem.squashfs on ext4",
        |_| only_files("/live/filesystem.squashfs", b"hsqs"),
        "SystemImage.InstallerMedia",
        High,
    ),
    hidden(
        5,
        "ext4 with only /data",
        |_| only_files("/data/file", b"x"),
        "SystemImage.DataDisk",
        High,
    ),
    hidden(
        8,
        "LUKS1 root",
        |sound| with_root(sound, &luks("luks1")),
        "SystemImage.Encrypted",
        High,
    ),
    hidden(
        8,
        "LUKS2 root",
        |sound| with_root(sound, &luks("luks2")),
        "SystemImage.Encrypted",
        High,
    ),
    hidden(
        9,
        "file cut by 10 %",
        |sound| sound[..sound.len() / 10 * 9].to_vec(),
        "SystemImage.Truncated",
        High,
    ),
    hidden(
        10,
        "inode table of /etc overwritten",
        |sound| {
            let mut disk = sound.to_vec();
            let at = block_of_etc(sound);
            disk[at..at + 4096].fill(0xE5);
            disk
        },
        "SystemImage.FilesystemCorrupt",
        High,
    ),
    hidden(
        12,
        "second physical volume of the root's group missing",
        |sound| {
            let mut pv = lvm::physical_volume(ROOT_BYTES, PV_0);
            let segments =
                [lvm::striped(0, 40, &[("pv0", 0)]), lvm::striped(40, 24, &[("pv1", 0)])];
            let text = lvm::group_text("vg", 3, &[PV_0, PV_1], &[("root", &segments)]);
            lvm::write_text(&mut pv, &text, 512);
            let extents = 40 << 20;
            pv[lvm::EXTENTS_START..lvm::EXTENTS_START + extents]
                .copy_from_slice(&sound[ROOT_START_BYTES..ROOT_START_BYTES + extents]);
            with_root(sound, &pv)
        },
        "Disk.LvmMissingPv",
        High,
    ),
    row(
        13,
        "GPT primary header CRC wrong",
        |sound| {
            let mut disk = sound.to_vec();
            disk[512 + 16] ^= 0xFF;
            disk
        },
        "Partition.GptPrimaryCorrupt",
        Medium,
        &[],
    ),
    row(
        14,
        "disk enlarged, backup GPT in the middle",
        |sound| {
            let mut disk = sound.to_vec();
            disk.resize(disk.len() + (8 << 20), 0);
            disk
        },
        "Partition.GptBackupMisplaced",
        Medium,
        &[],
    ),
    row(
        139,
        "MBR entry 0xEE removed from a GPT disk",
        |sound| {
            let mut disk = sound.to_vec();
            disk[446..510].fill(0);
            disk
        },
        "Partition.NoProtectiveMbr",
        Medium,
        &[],
    ),
    hidden(
        140,
        "one raid0 member only",
        |sound| {
            let mut root = vec![0; ROOT_BYTES];
            let member = md::Member {
                version: md::Version::V1_2,
                uuid: [7; 16],
                name: "kiln:root",
                level: 0,
                n_disks: 2,
                number: 0,
                n_events: 5,
                data_start_sectors: 2048,
            };
            member.write(&mut root, 120_000);
            with_root(sound, &root)
        },
        "Disk.RaidIncomplete",
        High,
    ),
    hidden(
        140,
        "ZFS root",
        |sound| {
            let mut root = vec![0; 1 << 20];
            // The first label's list of names and values: XDR, little endian, "version" first.
            let list = [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 36, 0, 0, 0, 32, 0, 0, 0, 7];
            root[0x4000..0x4000 + list.len()].copy_from_slice(&list);
            root[0x4018..0x401F].copy_from_slice(b"version");
            with_root(sound, &root)
        },
        "SystemImage.UnsupportedStack",
        Unknown,
    ),
    row(
        143,
        "ext4 features quota and project",
        |_| debian_image("quota,project"),
        "FileSystem.Ext4Feature",
        Medium,
        &[],
    ),
];

/// Rows of volumes beside the root, which need no bytes.
pub(crate) const VOLUME_ROWS: &[Row] = &[
    Row {
        number: 141,
        what: "LUKS data volume beside a clean root",
        base: Phony::debian,
        fault: |guest| guest.disk.parts.insert(1, Part::raw(LINUX, Content::Luks2, 1 << 30)),
        item: "SystemImage",
        code: "Disk.EncryptedDataVolume",
        grade: Medium,
        also: &[],
    },
    Row {
        number: 142,
        what: "swap page with S1SUSPEND",
        base: Phony::debian,
        fault: |guest| {
            let swap = Part { content: Content::SwapSuspended, ..Part::swap(SWAP_UUID) };
            guest.disk.parts.insert(1, swap);
        },
        item: "SystemImage",
        code: "Disk.HibernationImage",
        grade: Medium,
        also: &[],
    },
];

#[test]
fn the_sound_image_passes_every_item() {
    let items = look_at_bytes(sound().to_vec()).items;
    let wrong: Vec<_> = items.iter().filter(|item| item.status != Status::Pass).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_fault_planted_in_bytes_trips_its_code() {
    let before = look_at_bytes(sound().to_vec());
    let wrong: Vec<String> = ROWS.iter().flat_map(|row| row.judge(&before)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn trap_26_a_superfloppy_is_not_partitioned() {
    let top = tempfile::tempdir().expect("a directory");
    let path = top.path().join("fat");
    std::fs::write(&path, vec![0; 32 << 20]).expect("writable");
    run("/usr/sbin/mkfs.vfat", &["-F", "16"], &path);
    let disk = std::fs::read(&path).expect("readable");
    assert_eq!(disk[510..512], [0x55, 0xAA]);
    let layout = scan(&[MemSource::shared(disk.clone())]);
    assert_eq!(layout.disks[0].table, TableKind::None);
    assert_eq!(layout.volumes[0].content, Content::Fat);
    let item = look_at_bytes(disk).item("SystemImage").clone();
    assert_eq!(item.risk_code.as_deref(), Some("SystemImage.DataDisk"));
}

#[test]
fn trap_29_a_journal_to_be_replayed_is_no_corruption() {
    let top = tempfile::tempdir().expect("a directory");
    let (path, script) = (top.path().join("root"), top.path().join("script"));
    let root = &sound()[ROOT_START_BYTES..ROOT_START_BYTES + ROOT_BYTES];
    // The newest content of the block with /etc's inode is in the journal alone.
    let at = block_of_etc(sound()) - ROOT_START_BYTES;
    let block_bytes = 1024_usize << root[1024 + 24];
    let block = top.path().join("block");
    std::fs::write(&block, &root[at..at + block_bytes]).expect("writable");
    let mut spoilt = root.to_vec();
    spoilt[at..at + block_bytes].fill(0xE5);
    std::fs::write(&path, spoilt).expect("writable");
    let number = at / block_bytes;
    let commands = format!("jo\njw -b {number} {}\njc\n", block.display());
    std::fs::write(&script, commands).expect("writable");
    run("/usr/sbin/debugfs", &["-w", "-f", &script.display().to_string()], &path);
    let replayed = std::fs::read(&path).expect("readable");
    let incompat = u32::from_le_bytes(replayed[1024 + 96..1024 + 100].try_into().expect("four"));
    assert_eq!(incompat & 4, 4, "the journal needs recovery");
    assert!(replayed[at..at + block_bytes].iter().all(|&byte| byte == 0xE5), "in its place yet");
    let items = look_at_bytes(with_root(sound(), &replayed)).items;
    let wrong: Vec<_> = items.iter().filter(|item| item.status != Status::Pass).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn trap_30_a_wrapped_metadata_ring_gives_the_newest_text() {
    for at in [512, lvm::AREA_BYTES - 700] {
        for item in look_at_bytes(on_lvm(at)).items {
            let wanted = match item.name.as_str() {
                "GUESTOS.OnlineResizeFS" => Some("OnlineResizeFS.Lvm"),
                _ => None,
            };
            assert_eq!(item.risk_code.as_deref(), wanted, "text at {at}: {item:?}");
        }
    }
}
