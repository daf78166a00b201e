//! Files that are no image, and images whose own format is the trap.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Case, case, sh, sparse};

pub(crate) const CASES: &[Case] = &[
    case(
        "empty file",
        |dir| put(dir, b""),
        1,
        &["the image holds no partition, filesystem or other content"],
    ),
    case(
        "one byte",
        |dir| put(dir, b"x"),
        1,
        &["the image holds no partition, filesystem or other content"],
    ),
    case(
        "511 bytes",
        |dir| put(dir, &[0x55; 511]),
        1,
        &["the image holds no partition, filesystem or other content"],
    ),
    case(
        "random",
        |dir| put(dir, &random(1 << 20)),
        1,
        &["the image holds no partition, filesystem or other content"],
    ),
    case("1 GiB of zeroes", zeroes, 1, &["the image holds no data"]),
    case(
        "text",
        |dir| put(dir, &b"not an image\n".repeat(9000)),
        1,
        &["the image holds no partition, filesystem or other content"],
    ),
    case("a directory", Path::to_path_buf, 2, &["not a regular file"]),
    case("a FIFO", fifo, 2, &["not a regular file"]),
    case("/dev/null", |_| "/dev/null".into(), 2, &["not a regular file"]),
    case("/dev/zero", |_| "/dev/zero".into(), 2, &["not a regular file"]),
    case("nothing", |dir| dir.join("absent"), 2, &["No such file"]),
    case("ISO", iso, 1, &["a CD image (iso9660), not a system disk"]),
    case("LUKS", luks, 1, &["disk0 is encrypted (crypto_LUKS (version 2))"]),
    case("squashfs", squashfs, 1, &["disk0 holds an installer or a live system only"]),
    case("qcow2 of clusters that unpack", qcow2_bomb, 1, &["the image holds no data"]),
    case(
        "qcow2 with a table of 4 billion entries",
        qcow2_l1,
        2,
        &["l1_size 4294967295 at byte 36 is more than the 4194304 entries allowed"],
    ),
    case(
        "qcow2 whose backing file is itself",
        |dir| qcow2_on(dir, "image"),
        2,
        &["'image' is its own backing file: the chain is a loop"],
    ),
    case("qcow2 on /etc/passwd", |dir| qcow2_on(dir, "/etc/passwd"), 2, &["/etc/passwd"]),
    case("qcow2 on a file above", |dir| qcow2_on(dir, "../x"), 2, &["../x"]),
    case("qcow2 on a URL", |dir| qcow2_on(dir, "nbd://127.0.0.1/x"), 2, &["nbd://"]),
    case("qcow2 on a JSON description", |dir| qcow2_on(dir, JSON), 2, &["json:"]),
    case("VMDK over a disk of the host", vmdk_device, 2, &["/dev/sda"]),
    case("VMDK over a file above", vmdk_above, 2, &["../secret"]),
    case("VMDK with grain tables without end", vmdk_huge, 2, &["is more than 64 TiB"]),
    case(
        "VHD with a table of 4 billion blocks",
        vhd_huge,
        2,
        &["the block table ends at byte 17179870716, past the end of the file"],
    ),
    case("VHDX of random bytes", vhdx_random, 2, &["the header starts with [bc, a0, ca, 97]"]),
];

const JSON: &str = r#"json:{"driver":"file","filename":"/etc/passwd"}"#;

pub(crate) fn put(dir: &Path, bytes: &[u8]) -> PathBuf {
    let path = dir.join("image");
    fs::write(&path, bytes).unwrap();
    path
}

/// The same bytes every time.
fn random(length: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn zeroes(dir: &Path) -> PathBuf {
    let path = dir.join("image");
    sparse(&path, 1 << 30);
    path
}

fn fifo(dir: &Path) -> PathBuf {
    sh(dir, "mkfifo image");
    dir.join("image")
}

fn iso(dir: &Path) -> PathBuf {
    sh(dir, "mkdir d; echo x > d/x; genisoimage -quiet -R -o image d");
    dir.join("image")
}

fn luks(dir: &Path) -> PathBuf {
    sh(
        dir,
        "truncate -s 32M image; echo secret | cryptsetup luksFormat -q --type luks2 \
         --pbkdf pbkdf2 --pbkdf-force-iterations 1000 image -",
    );
    dir.join("image")
}

fn squashfs(dir: &Path) -> PathBuf {
    sh(dir, "mkdir d; echo x > d/x; mksquashfs d image -quiet -no-progress");
    dir.join("image")
}

/// A header of version 2 in clusters of 2 MiB, and where its tables are.
fn qcow2_header(size_bytes: u64, l1_entries: u32) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend(b"QFI\xfb");
    header.extend(2_u32.to_be_bytes());
    header.extend([0; 12]); // no backing file
    header.extend(21_u32.to_be_bytes());
    header.extend(size_bytes.to_be_bytes());
    header.extend(0_u32.to_be_bytes()); // not encrypted
    header.extend(l1_entries.to_be_bytes());
    header.extend((2_u64 << 20).to_be_bytes()); // L1
    header.extend((4_u64 << 20).to_be_bytes()); // refcounts
    header.extend([0; 12]);
    header
}

/// 512 GiB, each cluster of 2 MiB being the same two KiB that unpack to it.
fn qcow2_bomb(dir: &Path) -> PathBuf {
    let packed = {
        use std::io::Write;
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&vec![0; 2 << 20]).unwrap();
        encoder.finish().unwrap()
    };
    let path = dir.join("image");
    let at = 8_u64 << 20;
    let n_sectors = packed.len().div_ceil(512) as u64;
    // Bits 0..=48 are the place, 49..=61 the further sectors, 62 says compressed.
    let entry = (1 << 62) | ((n_sectors) << 49) | at;
    let l2: Vec<u8> = std::iter::repeat_n(entry.to_be_bytes(), (2 << 20) / 8).flatten().collect();
    let mut image = qcow2_header(512 << 30, 1);
    image.resize(2 << 20, 0);
    image.extend((6_u64 << 20).to_be_bytes());
    image.resize(6 << 20, 0);
    image.extend(l2);
    image.extend(packed);
    image.resize(9 << 20, 0);
    fs::write(&path, image).unwrap();
    path
}

fn qcow2_l1(dir: &Path) -> PathBuf {
    let mut image = qcow2_header(64 << 40, u32::MAX);
    image.resize(8 << 20, 0);
    put(dir, &image)
}

fn qcow2_on(dir: &Path, backing: &str) -> PathBuf {
    let mut image = qcow2_header(1 << 30, 1);
    image[8..16].copy_from_slice(&512_u64.to_be_bytes());
    image[16..20].copy_from_slice(&(backing.len() as u32).to_be_bytes());
    image.resize(512, 0);
    image.extend(backing.as_bytes());
    image.resize(8 << 20, 0);
    put(dir, &image)
}

fn vmdk(dir: &Path, extent: &str) -> PathBuf {
    let text = format!(
        "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n\
         createType=\"monolithicFlat\"\n{extent}\nddb.adapterType = \"ide\"\n"
    );
    put(dir, text.as_bytes())
}

fn vmdk_device(dir: &Path) -> PathBuf {
    vmdk(dir, "RW 2048 FLAT \"/dev/sda\" 0")
}

fn vmdk_above(dir: &Path) -> PathBuf {
    vmdk(dir, "RW 2048 FLAT \"../secret\" 0")
}

/// A sound image whose header then claims the most of everything.
fn vmdk_huge(dir: &Path) -> PathBuf {
    sh(dir, "qemu-img create -q -f vmdk image 1M");
    let mut image = fs::read(dir.join("image")).unwrap();
    image[12..20].fill(0x7f); // capacity
    image[44..48].fill(0xff); // entries of a grain table
    put(dir, &image)
}

/// The number of table entries, the checksum made right again.
fn vhd_huge(dir: &Path) -> PathBuf {
    sh(dir, "qemu-img create -q -f vpc image 8M");
    let mut image = fs::read(dir.join("image")).unwrap();
    let header = &mut image[512..512 + 1024];
    header[28..32].fill(0xff);
    header[36..40].fill(0);
    let sum = !header.iter().map(|&byte| u32::from(byte)).sum::<u32>();
    header[36..40].copy_from_slice(&sum.to_be_bytes());
    put(dir, &image)
}

fn vhdx_random(dir: &Path) -> PathBuf {
    let mut image = random(4 << 20);
    image[..8].copy_from_slice(b"vhdxfile");
    put(dir, &image)
}
