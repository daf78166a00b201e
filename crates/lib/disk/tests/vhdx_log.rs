//! A VHDX whose writer died: the log must be replayed in memory, as an opener that may write would
//! replay it into the file.

mod disks;

use std::sync::Arc;

use disks::Disks;
use kiln_disk::{Image, Kind, MemSource, NoSiblings, OpenOptions, Result, open_source};

const HEADERS_AT: [usize; 2] = [64 << 10, 128 << 10];
const BAT_REGION: [u8; 16] =
    [0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0, 0x42, 0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 8];

fn open_bytes(bytes: &[u8]) -> Result<Image> {
    let source = MemSource::shared(bytes.to_vec());
    open_source(source, "dirty", Arc::new(NoSiblings), &OpenOptions::default())
}

fn number(bytes: &[u8], at: usize) -> usize {
    usize::try_from(u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap()
}

fn seal(bytes: &mut [u8]) {
    bytes[4..8].fill(0);
    let sum = crc32c::crc32c(bytes).to_le_bytes();
    bytes[4..8].copy_from_slice(&sum);
}

/// A log entry that writes `page` to `offset` of a file of `file_bytes`.
fn entry(page: &[u8], offset: usize, file_bytes: usize) -> Vec<u8> {
    let mut entry = vec![0; 8192];
    entry[..4].copy_from_slice(b"loge");
    entry[8..12].copy_from_slice(&8192_u32.to_le_bytes());
    entry[16] = 1;
    entry[24] = 1;
    entry[32..48].fill(7);
    entry[48..56].copy_from_slice(&file_bytes.to_le_bytes());
    entry[56..64].copy_from_slice(&file_bytes.to_le_bytes());
    entry[64..68].copy_from_slice(b"desc");
    entry[68..72].copy_from_slice(&page[4092..]);
    entry[72..80].copy_from_slice(&page[..8]);
    entry[80..88].copy_from_slice(&offset.to_le_bytes());
    entry[88] = 1;
    entry[4096..4100].copy_from_slice(b"data");
    entry[4104..8188].copy_from_slice(&page[8..4092]);
    entry[8188] = 1;
    seal(&mut entry);
    entry
}

/// A sound file whose first page of the block table is only in the log, and where that page is.
fn dirty(disks: &Disks) -> (Vec<u8>, usize) {
    let path = disks.convert("dirty.vhdx", &["-O", "vhdx", "-o", "block_size=1M"]);
    let mut file = std::fs::read(path).unwrap();
    let regions = (192 << 10) + 16;
    let region = [regions, regions + 32].into_iter().find(|at| file[*at..*at + 16] == BAT_REGION);
    let bat = number(&file, region.unwrap() + 16);
    let page = file[bat..bat + 4096].to_vec();
    file[bat..bat + 4096].fill(0);
    let log_at = number(&file, HEADERS_AT[0] + 72);
    let entry = entry(&page, bat, file.len());
    file[log_at..log_at + 8192].copy_from_slice(&entry);
    for at in HEADERS_AT {
        file[at + 48..at + 64].fill(7);
        seal(&mut file[at..at + 4096]);
    }
    (file, log_at)
}

#[test]
fn the_log_is_replayed_and_noted_and_qemu_agrees() {
    let disks = Disks::small();
    let (file, _) = dirty(&disks);
    let image = open_bytes(&file).unwrap();
    let note = "the image was not closed cleanly: 1 changes of its log were replayed in memory";
    assert_eq!(image.notes, [note]);
    disks.compare("dirty", &*image.source);
    // The oracle replays into the file, so it gets one of its own.
    std::fs::write(disks.path("theirs.vhdx"), &file).unwrap();
    disks.qemu_img(&["check", "-q", "-r", "all", &disks.path("theirs.vhdx")]);
    assert_eq!(disks.flattened("theirs.vhdx"), disks.bytes());
}

#[test]
fn a_log_with_a_wrong_sum_changes_nothing() {
    let disks = Disks::small();
    let (mut file, log_at) = dirty(&disks);
    file[log_at + 5000] ^= 1;
    let image = open_bytes(&file).unwrap();
    let mut bytes = vec![1; 4096];
    image.source.read_at(0, &mut bytes).unwrap();
    assert_eq!(bytes, vec![0; 4096]);
    assert_eq!(image.notes, [""; 0]);
}

#[test]
fn one_damaged_header_or_region_table_is_survived_and_two_are_not() {
    let disks = Disks::small();
    let path = disks.convert("sound.vhdx", &["-O", "vhdx"]);
    let sound = std::fs::read(path).unwrap();
    for pair in [HEADERS_AT, [192 << 10, 256 << 10]] {
        let mut file = sound.clone();
        file[pair[0] + 100] ^= 1;
        let image = open_bytes(&file).unwrap();
        assert!(image.notes[0].ends_with("the other was used"), "{:?}", image.notes);
        disks.compare("damaged", &*image.source);
        file[pair[1] + 100] ^= 1;
        let error = open_bytes(&file).unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt);
        assert!(error.to_string().contains("checksum"), "{error}");
    }
    assert_eq!(open_bytes(&sound).unwrap().sector_size_bytes, Some(512));
}

/// qemu-img only makes 512-byte sectors; the field is the one place that tells of others.
#[test]
fn sectors_of_4096_bytes_are_told() {
    const LOGICAL: [u8; 16] = [
        0x1d, 0xbf, 0x41, 0x81, 0x6f, 0xa9, 9, 0x47, 0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f,
    ];
    let disks = Disks::small();
    let path = disks.convert("sound.vhdx", &["-O", "vhdx"]);
    let mut file = std::fs::read(path).unwrap();
    let entry = file.windows(16).position(|bytes| bytes == LOGICAL).unwrap();
    // The metadata region begins on a whole MiB; the entry counts from there.
    let item = (entry & !0xf_ffff) + (number(&file, entry + 16) & 0xffff_ffff);
    assert_eq!(file[item..item + 4], 512_u32.to_le_bytes());
    file[item..item + 4].copy_from_slice(&4096_u32.to_le_bytes());
    let image = open_bytes(&file).unwrap();
    assert_eq!(image.sector_size_bytes, Some(4096));
    disks.compare("4096", &*image.source);
}
