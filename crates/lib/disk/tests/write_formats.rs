//! Raw, VHD, VMDK and VDI as kiln writes them: read back by kiln where it reads the format, and
//! judged by `qemu-img`.

mod disks;

use std::cell::Cell;
use std::fs::File;
use std::io::Cursor;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use disks::{Disks, Random};
use kiln_disk::write::{
    DISK_MAX_BYTES, Options, VHD_MAX_BYTES, VmdkOptions, Written, raw, vdi, vhd, vmdk,
};
use kiln_disk::{
    BlockSource, Error, Extent, ExtentKind, FileSource, Kind, MemSource, OpenOptions, Source, open,
};

const OPTIONS: Options = Options { zstd_level: None, threads: 2 };
const VMDK: VmdkOptions = VmdkOptions { deflate_level: 6, threads: 2 };

/// A name for kiln, one for QEMU, what the size is rounded up to, whether kiln reads it.
const FORMATS: [(&str, &str, u64, bool); 4] = [
    ("raw", "raw", 512, true),
    ("vhd", "vpc", 2 << 20, true),
    ("vmdk", "vmdk", 65_536, true),
    ("vdi", "vdi", 512, false),
];

fn go_on(_: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn write(
    format: &str,
    source: &Source,
    out: impl std::io::Write + std::io::Seek,
    progress: &dyn Fn(u64) -> ControlFlow<()>,
) -> kiln_disk::Result<Written> {
    match format {
        "raw" => raw(source, out, &OPTIONS, progress),
        "vhd" => vhd(source, out, &OPTIONS, progress),
        "vmdk" => vmdk(source, out, &VMDK, progress),
        _ => vdi(source, out, &OPTIONS, progress),
    }
}

/// Write `source` in each format and let both readers compare it with `expected`.
fn compare(disks: &Disks, source: &Source, expected: &[u8], data_bytes: u64) {
    for (format, qemu, unit, readable) in FORMATS {
        let path = disks.path(&format!("out.{format}"));
        let told = write(format, source, File::create(&path).unwrap(), &go_on).unwrap();
        // Formats with a unit have at least one.
        let least = if unit > 512 { 1 } else { 0 };
        let size = (expected.len() as u64).max(least).next_multiple_of(unit);
        assert_eq!(told.virtual_size_bytes, size, "{format}");
        assert_eq!(told.size_bytes, std::fs::metadata(&path).unwrap().len(), "{format}");
        assert!(told.allocated_bytes >= data_bytes, "{format}: {told:?}");
        let mut padded = expected.to_vec();
        padded.resize(size as usize, 0);
        let flat = disks.path("expected.raw");
        std::fs::write(&flat, &padded).unwrap();
        if matches!(format, "vmdk" | "vdi") {
            disks.qemu_img(&["check", "-q", "-f", qemu, &path]);
        }
        if !padded.is_empty() {
            disks.qemu_img(&["compare", "-q", "-f", "raw", "-F", qemu, &flat, &path]);
            assert_eq!(virtual_size(disks, qemu, &path), size, "{format}");
        }
        if readable && !padded.is_empty() {
            let image = open(&path, &OpenOptions::default()).unwrap();
            assert_eq!((image.format.name(), &image.notes[..]), (format, &[][..]));
            disks::compare_bytes(format, &padded, &*image.source);
        }
    }
}

fn virtual_size(disks: &Disks, format: &str, path: &str) -> u64 {
    let info = disks.qemu_img(&["info", "--output=json", "-f", format, path]);
    let info: serde_json::Value = serde_json::from_slice(&info).unwrap();
    info["virtual-size"].as_u64().unwrap()
}

#[test]
fn the_patterned_disk_comes_back_in_every_format() {
    let disks = Disks::new();
    let source: Source = Arc::new(FileSource::open(disks.raw()).unwrap());
    compare(&disks, &source, disks.bytes(), 6 << 20);
    let blocks = std::fs::metadata(disks.path("out.raw")).unwrap().blocks() * 512;
    assert!(blocks < 12 << 20, "{blocks} bytes of a raw file with holes");
}

#[test]
fn odd_sizes_come_back_in_every_format() {
    let disks = Disks::small();
    let mut random = Random(5);
    for size in [0, 1, 511, 512, 65_535, 65_537, (2 << 20) - 1, (2 << 20) + 512, 5 << 20] {
        let mut bytes: Vec<u8> = (0..size).map(|_| random.next().to_le_bytes()[1]).collect();
        // Noise that deflate cannot shrink, a hole in the middle, and zeroes at the end.
        let (from, to) = (size / 4, size / 2);
        bytes[from..to].fill(0);
        bytes[size - size / 8..].fill(0);
        compare(&disks, &MemSource::shared(bytes.clone()), &bytes, (size / 8) as u64);
    }
}

/// Only zeroes, or a byte at either end, with nothing in between.
#[test]
fn nearly_empty_disks_take_hardly_any_room() {
    let disks = Disks::small();
    let mut bytes = vec![0; 9 << 20];
    for at in [None, Some(0), Some(bytes.len() - 1)] {
        if let Some(at) = at {
            bytes[at] = 1;
        }
        compare(&disks, &MemSource::shared(bytes.clone()), &bytes, u64::from(at.is_some()));
        for (format, limit) in [("vhd", 6 << 20), ("vmdk", 100_000), ("vdi", 4 << 20)] {
            let length = std::fs::metadata(disks.path(&format!("out.{format}"))).unwrap().len();
            assert!(length < limit, "{format}: {length} bytes for {at:?}");
        }
    }
}

/// One megabyte of ones at the end of a disk of any size.
#[derive(Debug)]
struct Last(u64);

impl BlockSource for Last {
    fn size_bytes(&self) -> u64 {
        self.0
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> kiln_disk::Result<()> {
        if offset < self.0 - (1 << 20) {
            return Err(Error::new(Kind::Io, "nobody asked for this").at(offset));
        }
        buf.fill(1);
        Ok(())
    }
    fn extent_at(&self, offset: u64) -> kiln_disk::Result<Extent> {
        let begin = self.0 - (1 << 20);
        Ok(match offset < begin {
            true => Extent { length_bytes: begin - offset, kind: ExtentKind::Zero },
            false => Extent { length_bytes: self.0 - offset, kind: ExtentKind::Data },
        })
    }
}

#[test]
fn the_largest_disks_are_written_and_larger_ones_refused() {
    let disks = Disks::small();
    let (path, vdi_path) = (disks.path("large.vhd"), disks.path("large.vdi"));
    let source: Source = Arc::new(Last(VHD_MAX_BYTES));
    vhd(&source, File::create(&path).unwrap(), &OPTIONS, &go_on).unwrap();
    let image = open(&path, &OpenOptions::default()).unwrap();
    assert_eq!(image.source.size_bytes(), VHD_MAX_BYTES);
    let mut byte = [0];
    image.source.read_at(VHD_MAX_BYTES - 1, &mut byte).unwrap();
    assert_eq!(byte, [1]);
    vdi(&source, File::create(&vdi_path).unwrap(), &OPTIONS, &go_on).unwrap();
    for (path, format) in [(&path, "vpc"), (&vdi_path, "vdi")] {
        assert_eq!(virtual_size(&disks, format, path), VHD_MAX_BYTES, "{format}");
    }
    for (format, limit) in [
        ("vhd", VHD_MAX_BYTES),
        ("vmdk", DISK_MAX_BYTES),
        ("raw", DISK_MAX_BYTES),
        ("vdi", DISK_MAX_BYTES),
    ] {
        let source: Source = Arc::new(Last(limit + 1));
        let error = write(format, &source, Cursor::new(vec![]), &go_on).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported, "{format}");
        assert!(error.to_string().contains("is larger than the"), "{error}");
    }
}

#[test]
fn a_stream_is_the_same_with_any_number_of_threads() {
    let disks = Disks::new();
    let source: Source = Arc::new(FileSource::open(disks.raw()).unwrap());
    let stream = |threads, deflate_level| {
        let mut out = Cursor::new(vec![]);
        vmdk(&source, &mut out, &VmdkOptions { deflate_level, threads }, &go_on).unwrap();
        out.into_inner()
    };
    let one = stream(1, 6);
    assert!(stream(3, 6) == one && stream(1, 1) != one);
    for level in [0, 10] {
        let options = VmdkOptions { deflate_level: level, threads: 1 };
        let error = vmdk(&source, Cursor::new(vec![]), &options, &go_on).unwrap_err();
        assert_eq!(error.to_string(), format!("deflate level {level} is not from 1 to 9"));
    }
}

#[test]
fn what_is_left_of_a_stopped_writer_is_no_image() {
    let source = MemSource::shared(vec![7; 9 << 20]);
    for (format, ..) in FORMATS.iter().filter(|format| format.0 != "raw") {
        let calls = Cell::new(0);
        let stop = |_| match calls.replace(calls.get() + 1) {
            5 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        let mut out = Cursor::new(vec![]);
        let error = write(format, &source, &mut out, &stop).unwrap_err();
        assert_eq!(error.kind(), Kind::Cancelled);
        let left = out.into_inner();
        assert!(left.iter().take(512).all(|byte| *byte == 0), "{format}");
    }
}
