//! Hostile and broken images: an error that says what is wrong, soon, and never a panic.

mod disks;

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use disks::{Disks, Random};
use kiln_disk::{Image, Kind, MemSource, NoSiblings, OpenOptions, Result, map, open, open_source};

/// Long enough for a debug build on a busy machine, far too short for a bomb.
const SOON: Duration = Duration::from_secs(20);

fn open_bytes(bytes: &[u8]) -> Result<Image> {
    let source = MemSource::shared(bytes.to_vec());
    open_source(source, "hostile", Arc::new(NoSiblings), &OpenOptions::default())
}

/// What the fuzz targets do: open, read in some places, walk the map for a while.
fn exercise(bytes: &[u8]) {
    let Ok(image) = open_bytes(bytes) else { return };
    let size = image.source.size_bytes();
    let mut buf = vec![0; 70_000];
    for at in [0, 1, 511, 65_535, size / 3, size / 2, size.saturating_sub(70_000)] {
        let length = usize::try_from(size.saturating_sub(at)).unwrap().min(buf.len());
        let _ = image.source.read_at(at, &mut buf[..length]);
    }
    let _ = map(&*image.source).take(1000).count();
}

/// A small image in each format that is decoded, as bytes.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let disks = Disks::small();
    let convert = |name, arguments: &[&str]| std::fs::read(disks.convert(name, arguments)).unwrap();
    vec![
        ("qcow2", convert("a.qcow2", &["-O", "qcow2", "-o", "cluster_size=4k"])),
        ("packed qcow2", convert("b.qcow2", &["-c", "-O", "qcow2", "-o", "cluster_size=4k"])),
        ("zstd qcow2", convert("c.qcow2", &["-c", "-O", "qcow2", "-o", "compression_type=zstd"])),
        ("extended qcow2", convert("d.qcow2", &["-O", "qcow2", "-o", "extended_l2=on"])),
        ("vhd", convert("a.vhd", &["-O", "vpc"])),
        ("vhdx", convert("a.vhdx", &["-O", "vhdx", "-o", "block_size=1M"])),
        ("vmdk", convert("a.vmdk", &["-O", "vmdk"])),
        ("stream vmdk", convert("b.vmdk", &["-O", "vmdk", "-o", "subformat=streamOptimized"])),
    ]
}

#[test]
fn spoiled_bytes_never_panic_and_end_soon() {
    let started = Instant::now();
    let mut random = Random(0x5eed);
    for (name, sound) in samples() {
        assert!(open_bytes(&sound).is_ok(), "{name}");
        for _ in 0..150 {
            let mut bytes = sound.clone();
            for _ in 0..1 + random.next() % 4 {
                // Most bytes are data; the structures are at the start and at the end.
                let reach = [512, 4096, 300_000, u64::MAX][(random.next() % 4) as usize];
                let length = bytes.len() as u64;
                let from_end = random.next().is_multiple_of(4);
                let at = random.next() % length.min(reach);
                let at = if from_end { length - 1 - at } else { at } as usize;
                bytes[at] =
                    [0, 1, 0xff, random.next().to_le_bytes()[0]][(random.next() % 4) as usize];
            }
            exercise(&bytes);
        }
    }
    assert!(started.elapsed() < 6 * SOON, "{:?}", started.elapsed());
}

fn read_all(image: &Image) -> Result<Vec<u8>> {
    let mut all = vec![0; usize::try_from(image.source.size_bytes()).unwrap()];
    image.source.read_at(0, &mut all)?;
    Ok(all)
}

#[test]
fn truncated_images_are_told_and_random_bytes_are_raw() {
    for (name, sound) in samples() {
        let whole = read_all(&open_bytes(&sound).unwrap()).unwrap();
        for percent in [1, 5, 20, 50, 80, 95] {
            let cut = &sound[..sound.len() * percent / 100];
            let opened = open_bytes(cut);
            match opened.and_then(|image| Ok((read_all(&image)?, image.notes))) {
                // A cut in unused space at the end may pass, but it may not change a byte.
                Ok((bytes, notes)) => {
                    assert!(percent >= 80 && bytes == whole, "{name} at {percent} %");
                    let footer = notes.iter().any(|n| n.contains("footer at the end is damaged"));
                    assert_eq!(footer, name == "vhd", "{name} at {percent} %");
                }
                Err(error) => assert_eq!(error.kind(), Kind::Corrupt, "{name}: {error}"),
            }
        }
    }
    let mut random = Random(3);
    for length in [0, 1, 511, 512, 4096, 100_000] {
        let bytes: Vec<u8> = (0..length).map(|_| random.next().to_le_bytes()[0]).collect();
        let image = open_bytes(&bytes).unwrap();
        assert_eq!(image.format, kiln_disk::Format::Raw);
        assert_eq!(image.source.size_bytes(), length);
    }
}

/// A qcow2 of 64 KiB clusters whose L1 table is in cluster 1 and first L2 table in cluster 2.
fn crafted(size_bytes: u64, l1_entries: u32, clusters: usize) -> Vec<u8> {
    let mut image = vec![0; clusters << 16];
    image[..4].copy_from_slice(b"QFI\xfb");
    image[7] = 3;
    image[23] = 16;
    image[24..32].copy_from_slice(&size_bytes.to_be_bytes());
    image[36..40].copy_from_slice(&l1_entries.to_be_bytes());
    image[40..48].copy_from_slice(&0x1_0000_u64.to_be_bytes());
    image[99] = 4;
    image[103] = 104;
    put(&mut image, 0x1_0000, 0x2_0000);
    image
}

fn put(image: &mut [u8], at: usize, value: u64) {
    image[at..at + 8].copy_from_slice(&value.to_be_bytes());
}

fn read_first(bytes: &[u8]) -> String {
    let image = open_bytes(bytes).unwrap();
    image.source.read_at(0, &mut [0; 512]).unwrap_err().to_string()
}

#[test]
fn qcow2_tables_that_point_where_they_may_not() {
    let mut image = crafted(1 << 20, 1, 4);
    put(&mut image, 0x1_0000, 0x1_0000); // the L1 table as its own L2 table
    assert!(open_bytes(&image).unwrap().source.read_at(0, &mut [0; 512]).is_ok());
    put(&mut image, 0x1_0000, 0x2_0200);
    let told = "hostile: L1 entry 0: the L2 table at 131584 is not aligned (at byte 65536)";
    assert_eq!(read_first(&image), told);
    put(&mut image, 0x1_0000, 1 << 40);
    let told = "hostile: a table entry lies past the end of the file (at byte 1099511627776)";
    assert_eq!(read_first(&image), told);

    let mut image = crafted(1 << 20, 1, 4);
    put(&mut image, 0x2_0000, 0x40_0000);
    let told = "hostile: data up to byte 4194816 is past the end of the file, which has 262144 bytes \
        (at byte 4194304)";
    assert_eq!(read_first(&image), told);

    let error = open_bytes(&crafted(1 << 20, 40_000, 4)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "hostile: the L1 table ends at byte 385536, past the end of the file (262144 bytes) \
         (at byte 65536)"
    );
    let error = open_bytes(&crafted(65 << 40, 0x40_0000, 4)).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    let told =
        "hostile: the disk has 71468255805440 bytes; kiln reads up to 70368744177664 (64 TiB)";
    assert_eq!(error.to_string(), told);
}

/// 2 MiB of zeroes in some bytes, and all clusters of the disk point there.
#[test]
fn a_bomb_of_compressed_clusters_is_read_in_bounded_memory() {
    let bomb = zeroes_deflated();
    let mut image = crafted(512 << 20, 1, 4);
    image[0x3_0000..][..bomb.len()].copy_from_slice(&bomb);
    for entry in 0..8192 {
        put(&mut image, 0x2_0000 + entry * 8, 1 << 62 | 0x3_0000);
    }
    let image = open_bytes(&image).unwrap();
    let mut part = vec![1; 1 << 20];
    image.source.read_at(300 << 20, &mut part).unwrap();
    assert_eq!(part, vec![0; 1 << 20]);
    assert_eq!(map(&*image.source).count(), 1);
}

/// A bare deflate stream of 64 KiB of zeroes: as qemu-img stores it.
fn zeroes_deflated() -> Vec<u8> {
    use flate2::{Compression, write::DeflateEncoder};
    let mut to = DeflateEncoder::new(Vec::new(), Compression::best());
    std::io::Write::write_all(&mut to, &[0; 4 << 20]).unwrap();
    let stream = to.finish().unwrap();
    stream[..512].to_vec()
}

/// The largest disk that has no tables at all must not make the map walk for ever.
#[test]
fn an_empty_disk_of_many_tebibytes_has_a_short_map() {
    let started = Instant::now();
    let mut image = crafted(60 << 40, 122_880, 18);
    put(&mut image, 0x1_0000, 0);
    let image = open_bytes(&image).unwrap();
    let extents: Vec<_> = map(&*image.source).map(|item| item.unwrap()).collect();
    assert_eq!(extents.len(), 1);
    assert_eq!(extents[0].1.length_bytes, 60 << 40);
    assert!(started.elapsed() < SOON);
}

/// A small overlay at `path` over `backing`, which need not exist.
fn overlay(disks: &Disks, path: &Path, backing: &str) {
    let path = path.to_str().unwrap();
    disks.qemu_img(&["create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", backing, path, "1M"]);
}

fn error_of(path: &Path, allow: Vec<PathBuf>) -> kiln_disk::Error {
    let options = OpenOptions { allow_backing: allow, ..OpenOptions::default() };
    open(path.to_str().unwrap(), &options).unwrap_err()
}

#[test]
fn names_that_lead_out_of_the_folder_are_refused() {
    let disks = Disks::small();
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret.raw");
    std::fs::write(&secret, vec![1; 1 << 20]).unwrap();
    let folder = PathBuf::from(disks.path("images"));
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(disks.raw(), disks.path("above.raw")).unwrap();
    std::os::unix::fs::symlink(&secret, folder.join("link.raw")).unwrap();
    let image = folder.join("a.qcow2");
    for (backing, why) in [
        ("/etc/passwd", "it leads out of the folder of the image"),
        ("../above.raw", "it leads out of the folder of the image"),
        ("../absent.raw", "it does not lead into the folder of the image"),
        ("/absent.raw", "it does not lead into the folder of the image"),
        ("link.raw", "it leads out of the folder of the image"),
        ("/dev/zero", "it leads out of the folder of the image"),
        ("nbd:localhost:10809", "'nbd:' names are not followed"),
        ("http://localhost/x.raw", "'http:' names are not followed"),
        ("json:{\"driver\":\"null-co\"}", "'json:' names are not followed"),
    ] {
        overlay(&disks, &image, backing);
        let error = error_of(&image, Vec::new());
        assert_eq!(error.kind(), Kind::ExternalReference, "{error}");
        let shown = backing.escape_debug();
        let told = format!("{}: the image refers to '{shown}': {why}", image.display());
        assert_eq!(error.to_string(), told);
        let hint = "where the file may be trusted, allow its folder: --allow-backing DIR";
        assert_eq!(error.hint_text(), Some(hint));
    }
    let options = OpenOptions { allow_backing: vec![outside.path().into()], ..Default::default() };
    for backing in [secret.to_str().unwrap(), "link.raw"] {
        overlay(&disks, &image, backing);
        let opened = open(image.to_str().unwrap(), &options).unwrap();
        let mut byte = [0];
        opened.source.read_at(7, &mut byte).unwrap();
        assert_eq!(byte, [1], "{backing}");
    }
    let pipe = folder.join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    overlay(&disks, &image, "pipe");
    let error = error_of(&image, Vec::new());
    assert!(error.to_string().ends_with("refers to 'pipe': it is not a regular file"), "{error}");
    overlay(&disks, &image, "absent.raw");
    assert_eq!(error_of(&image, Vec::new()).kind(), Kind::NotFound);
}

#[test]
fn chains_end() {
    let disks = Disks::small();
    let chained = |name: &str, backing: &str| {
        let path = disks.path(name);
        let how = ["create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", backing, &path, "1M"];
        disks.qemu_img(&how);
        PathBuf::from(path)
    };
    let itself = chained("self.qcow2", "self.qcow2");
    let told = "'self.qcow2' is its own backing file: the chain is a loop";
    let error = error_of(&itself, Vec::new());
    assert_eq!(
        (error.kind(), error.to_string()),
        (Kind::Corrupt, format!("{}: {told}", itself.display()))
    );
    chained("one.qcow2", "two.qcow2");
    let two = chained("two.qcow2", "one.qcow2");
    assert!(error_of(&two, Vec::new()).to_string().contains("is its own backing file"));

    disks.convert("0.qcow2", &["-O", "qcow2"]);
    for n in 1..=17 {
        chained(&format!("{n}.qcow2"), &format!("{}.qcow2", n - 1));
    }
    let image = open(&disks.path("16.qcow2"), &OpenOptions::default()).unwrap();
    assert_eq!(image.chain.len(), 16);
    let error = error_of(Path::new(&disks.path("17.qcow2")), Vec::new());
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.to_string().ends_with("more than 16 files lie below one another"), "{error}");
}

/// The guest wrote a qcow2 header into its raw disk: the recorded format must win.
#[test]
fn a_raw_backing_file_stays_raw_whatever_it_holds() {
    let disks = Disks::small();
    let forged = disks.path("forged.raw");
    let mut bytes = crafted(1 << 20, 1, 16);
    put(&mut bytes, 8, 0x200);
    bytes[19] = 11;
    bytes[0x200..0x20b].copy_from_slice(b"/etc/passwd");
    std::fs::write(&forged, &bytes).unwrap();
    let top = PathBuf::from(disks.path("top.qcow2"));
    overlay(&disks, &top, "forged.raw");
    let image = open(top.to_str().unwrap(), &OpenOptions::default()).unwrap();
    let mut start = [0; 4];
    image.source.read_at(0, &mut start).unwrap();
    assert_eq!(&start, b"QFI\xfb");
}

#[test]
fn a_vmdk_descriptor_opens_only_what_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.vmdk");
    let open_with = |extents: &str| {
        let text = format!("# Disk DescriptorFile\ncreateType=\"monolithicFlat\"\n{extents}\n");
        std::fs::write(&path, text).unwrap();
        open(path.to_str().unwrap(), &OpenOptions::default())
    };
    for name in ["/etc/passwd", "../x", "/dev/zero", "nbd:x"] {
        let error = open_with(&format!("RW 8 FLAT \"{name}\" 0")).unwrap_err();
        assert_eq!(error.kind(), Kind::ExternalReference, "{error}");
    }
    std::fs::write(folder.path().join("flat"), [1; 4096]).unwrap();
    let error = open_with("RW 9 FLAT \"flat\" 0").unwrap_err();
    assert!(
        error.to_string().ends_with("the extent has 4096 bytes where the descriptor needs 4608"),
        "{error}"
    );
    let image = open_with("RW 4 ZERO\nRW 7 FLAT \"flat\" 1").unwrap();
    let mut bytes = [9; 11 * 512];
    image.source.read_at(0, &mut bytes).unwrap();
    assert!(bytes[..2048].iter().all(|b| *b == 0) && bytes[2048..].iter().all(|b| *b == 1));
    let error = open_with("RW 9 SPARSE \"disk.vmdk\"").unwrap_err();
    assert!(error.to_string().contains("is its own backing file"), "{error}");
}

#[test]
fn other_formats_and_lying_names_are_told() {
    let disks = Disks::small();
    for (name, head, told) in [
        ("a.raw.gz", &b"\x1f\x8b\x08\0"[..], "this is gzip-compressed"),
        ("b.zip", b"PK\x03\x04", "this is a zip archive"),
        ("c.qed", b"QED\0", "this is a QED image, which kiln does not read"),
    ] {
        let path = disks.path(name);
        std::fs::write(&path, head).unwrap();
        let error = open(&path, &OpenOptions::default()).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string()),
            (Kind::Unsupported, format!("{path}: {told}"))
        );
        assert!(error.hint_text().is_some());
    }
    let lying = disks.convert("disk.vmdk", &["-O", "qcow2"]);
    let image = open(lying.to_str().unwrap(), &OpenOptions::default()).unwrap();
    assert_eq!(image.notes, ["the name promises vmdk, the content is qcow2"]);
    let honest = disks.convert("disk.img", &["-O", "qcow2"]);
    let image = open(honest.to_str().unwrap(), &OpenOptions::default()).unwrap();
    assert_eq!(image.notes, [""; 0]);
    let options = OpenOptions { format: Some(kiln_disk::Format::Raw), ..OpenOptions::default() };
    let image = open(honest.to_str().unwrap(), &options).unwrap();
    assert_eq!(image.source.size_bytes(), std::fs::metadata(&honest).unwrap().len());
}

#[test]
fn what_kiln_does_not_read_is_named() {
    let disks = Disks::small();
    let raw = disks.raw().to_str().unwrap().to_owned();
    let at = |name: &str| disks.path(name);
    // qemu-img measures the CPU to make a LUKS key, and fails on a busy machine; the header's field
    // is all that kiln looks at.
    disks.qemu_img(&["create", "-q", "-f", "qcow2", &at("e.qcow2"), "1M"]);
    let encrypted = std::fs::File::options().write(true).open(at("e.qcow2")).unwrap();
    encrypted.write_all_at(&2_u32.to_be_bytes(), 32).unwrap();
    let external = format!("data_file={}", at("data.raw"));
    disks.qemu_img(&["create", "-q", "-f", "qcow2", "-o", &external, &at("x.qcow2"), "1M"]);
    disks.qemu_img(&["convert", "-O", "vmdk", &raw, &at("base.vmdk")]);
    let child = ["create", "-q", "-f", "vmdk", "-F", "vmdk", "-b", &at("base.vmdk"), &at("c.vmdk")];
    disks.qemu_img(&child);
    for (name, kind, told) in [
        ("e.qcow2", Kind::Unsupported, "encrypted (crypt_method 2 at byte 32 is LUKS)"),
        ("x.qcow2", Kind::ExternalReference, "external data file (bit 2 at byte 72)"),
        ("c.vmdk", Kind::Unsupported, "the image is a differencing VMDK (parentCID "),
    ] {
        let error = error_of(Path::new(&at(name)), Vec::new());
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(told), "{error}");
    }
}
