//! What kiln writes, read back by kiln and judged by `qemu-img check` and `qemu-img compare`.

mod disks;

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Cursor, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use disks::{Disks, Random};
use kiln_disk::write::{DISK_MAX_BYTES, Options, Written, qcow2};
use kiln_disk::{
    BlockSource, Error, Extent, ExtentKind, FileSource, Format, Kind, MemSource, NoSiblings,
    OpenOptions, Source, open, open_source,
};

const CLUSTER: usize = 65_536;

fn options(zstd_level: Option<i32>, threads: usize) -> Options {
    Options { zstd_level, threads }
}

fn go_on(_: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn written(source: &Source, options: &Options) -> (Vec<u8>, Written) {
    let mut out = Cursor::new(Vec::new());
    let told = qcow2(source, &mut out, options, &go_on).unwrap();
    assert_eq!(told.size_bytes, out.get_ref().len() as u64);
    (out.into_inner(), told)
}

fn read_back(image: Vec<u8>) -> Source {
    let image = MemSource::shared(image);
    let opened =
        open_source(image, "new.qcow2", Arc::new(NoSiblings), &OpenOptions::default()).unwrap();
    assert_eq!((opened.format, opened.notes.len()), (Format::Qcow2, 0));
    opened.source
}

/// No error and no leak: either has an exit status of its own.
#[track_caller]
fn check_and_compare(disks: &Disks, raw: &str, image: &str) {
    disks.qemu_img(&["check", "-q", "-f", "qcow2", image]);
    disks.qemu_img(&["compare", "-q", "-f", "raw", "-F", "qcow2", raw, image]);
}

/// Clusters that are zero, shrink, or do not, as `kinds` says, and a tail of odd length.
fn mixed(kinds: &[u8], tail: usize) -> Vec<u8> {
    let mut random = Random(11);
    let mut bytes = Vec::new();
    for kind in kinds {
        bytes.extend((0..CLUSTER).map(|n| match kind {
            b'0' => 0,
            b'c' => (n / 300).to_le_bytes()[0],
            _ => random.next().to_le_bytes()[2],
        }));
    }
    bytes.extend((0..tail).map(|n| n.to_le_bytes()[0] | 1));
    bytes
}

#[test]
fn every_mix_and_odd_size_comes_back_and_qemu_agrees() {
    let disks = Disks::small();
    for (n, (kinds, tail)) in [
        (&b""[..], 0),
        (b"", 1),
        (b"", 511),
        (b"", 512),
        (b"", CLUSTER - 1),
        (b"0", 0),
        (b"c", 1),
        (b"r", 513),
        (b"ccrcr00rrc0ccccccccccccccccccrrrrc", 700),
        (b"0000000000000000000000000000000000000000c0", 0),
        (b"0r0c0r0c0r0c0r0c0r0c0r0c0r0c0r0c0r0c0r0c0r", 65_535),
    ]
    .into_iter()
    .enumerate()
    {
        let bytes = mixed(kinds, tail);
        for (level, threads) in [(None, 1), (None, 3), (Some(1), 1), (Some(19), 2)] {
            let name = format!("{n}-{level:?}-{threads}.qcow2");
            let (image, told) =
                written(&MemSource::shared(bytes.clone()), &options(level, threads));
            let mut expected = bytes.clone();
            expected.resize(bytes.len().next_multiple_of(512), 0);
            assert_eq!(told.virtual_size_bytes, expected.len() as u64, "{name}");
            let stored = kinds.iter().filter(|kind| **kind != b'0').count() + usize::from(tail > 0);
            assert_eq!(told.allocated_bytes, (stored * CLUSTER) as u64, "{name}");
            let (raw, path) = (disks.path("expected.raw"), disks.path(&name));
            std::fs::write(&raw, &expected).unwrap();
            std::fs::write(&path, &image).unwrap();
            check_and_compare(&disks, &raw, &path);
            if !expected.is_empty() {
                disks::compare_bytes(&name, &expected, &*read_back(image));
            }
        }
    }
}

/// The patterned disk of the readers' tests, through a file with holes.
#[test]
fn a_sparse_file_is_packed_as_tightly_as_qemu_img_packs_it() {
    let disks = Disks::new();
    let source: Source = Arc::new(FileSource::open(disks.raw()).unwrap());
    for level in [None, Some(3)] {
        let path = disks.path("new.qcow2");
        let told =
            qcow2(&source, File::create(&path).unwrap(), &options(level, 2), &go_on).unwrap();
        check_and_compare(&disks, disks.raw().to_str().unwrap(), &path);
        let image = open(&path, &OpenOptions::default()).unwrap();
        disks.compare("new.qcow2", &*image.source);
        disks.compare_map("new.qcow2", path.as_ref(), &*image.source, false);
        let packed: &[&str] = if level.is_some() { &["-c"] } else { &[] };
        let arguments = [packed, &["-O", "qcow2", "-o", "compression_type=zstd"]].concat();
        let theirs = disks.convert("theirs.qcow2", &arguments).metadata().unwrap().len();
        let limit = theirs + theirs / 20 + 4 * CLUSTER as u64;
        assert!(told.size_bytes <= limit, "{level:?}: {} bytes, qemu {theirs}", told.size_bytes);
    }
}

#[test]
fn the_number_of_threads_does_not_change_the_file() {
    let source = MemSource::shared(mixed(&b"cr0c".repeat(40), 9));
    let (one, _) = written(&source, &options(Some(3), 1));
    for threads in [2, 5] {
        assert!(written(&source, &options(Some(3), threads)).0 == one, "{threads} threads");
    }
}

/// Frames share clusters by the thousand; each use is counted.
#[test]
fn many_small_frames_share_a_cluster() {
    let disks = Disks::small();
    let bytes = vec![7; 4000 * CLUSTER];
    let (raw, path) = (disks.path("same.raw"), disks.path("same.qcow2"));
    std::fs::write(&raw, &bytes).unwrap();
    let (image, told) = written(&MemSource::shared(bytes), &options(Some(1), 2));
    assert!(told.size_bytes < 10 * CLUSTER as u64, "{}", told.size_bytes);
    std::fs::write(&path, image).unwrap();
    check_and_compare(&disks, &raw, &path);
}

/// A disk of any size with one byte at the start of each cluster in some ranges.
#[derive(Debug)]
struct Dotted {
    size_bytes: u64,
    ranges: Vec<(u64, u64)>,
    reads: bool,
}

impl BlockSource for Dotted {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> kiln_disk::Result<()> {
        if !self.reads {
            return Err(Error::new(Kind::Io, "the disk has a bad sector").at(offset));
        }
        buf.fill(0);
        for first in buf.iter_mut().step_by(CLUSTER) {
            *first = 5;
        }
        Ok(())
    }
    fn extent_at(&self, offset: u64) -> kiln_disk::Result<Extent> {
        let inside = self.ranges.iter().find(|range| (range.0..range.1).contains(&offset));
        let after = self.ranges.iter().map(|range| range.0).find(|begin| *begin > offset);
        let (end, kind) = match inside {
            Some(range) => (range.1, ExtentKind::Data),
            None => (after.unwrap_or(self.size_bytes), ExtentKind::Zero),
        };
        Ok(Extent { length_bytes: end - offset, kind })
    }
}

/// A file in which pages of zeroes stay holes, so that gigabytes can be written in a test.
struct Holey {
    file: File,
    at: u64,
    end: u64,
}

impl Write for Holey {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        for (n, page) in buf.chunks(4096).enumerate() {
            if page != &[0; 4096][..page.len()] {
                self.file.write_all_at(page, self.at + 4096 * n as u64)?;
            }
        }
        assert!(self.at == self.end || self.at == 0, "only the header is written out of order");
        self.at += buf.len() as u64;
        self.end = self.end.max(self.at);
        Ok(buf.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.set_len(self.end)
    }
}

impl Seek for Holey {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        assert_eq!(to, SeekFrom::Start(0));
        self.at = 0;
        Ok(0)
    }
}

/// Past the 2 GiB that one refcount block counts, on the largest disk there is.
#[test]
fn the_largest_disk_and_more_than_one_refcount_block() {
    let disks = Disks::small();
    let path = disks.path("large.qcow2");
    let ranges =
        vec![(0, 2200 << 20), (33 << 40, (33 << 40) + 9), (DISK_MAX_BYTES - 1, DISK_MAX_BYTES)];
    let source: Source = Arc::new(Dotted { size_bytes: DISK_MAX_BYTES, ranges, reads: true });
    let out = Holey { file: File::create(&path).unwrap(), at: 0, end: 0 };
    let told = qcow2(&source, out, &options(None, 2), &go_on).unwrap();
    assert_eq!(told.virtual_size_bytes, 64 << 40);
    assert_eq!(told.allocated_bytes, (2200 << 20) + 2 * CLUSTER as u64);
    disks.qemu_img(&["check", "-q", "-f", "qcow2", &path]);
    let image = open(&path, &OpenOptions::default()).unwrap();
    for (at, value) in [(0, 5), (1, 0), ((2200 << 20) - 65_536, 5), (2200 << 20, 0), (33 << 40, 5)]
    {
        let mut byte = [9];
        image.source.read_at(at, &mut byte).unwrap();
        assert_eq!(byte, [value], "at {at}");
    }
    let source: Source =
        Arc::new(Dotted { size_bytes: DISK_MAX_BYTES + 1, ranges: vec![], reads: true });
    let error = qcow2(&source, Cursor::new(vec![]), &options(None, 1), &go_on).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
}

#[test]
fn options_out_of_bounds_are_named() {
    let source = MemSource::shared([1; 512]);
    for (options, message) in [
        (options(None, 0), "threads is 0, which is not from 1 to 256"),
        (options(None, 257), "threads is 257, which is not from 1 to 256"),
        (options(Some(0), 1), "zstd level 0 is not from 1 to 22"),
        (options(Some(23), 1), "zstd level 23 is not from 1 to 22"),
    ] {
        let error = qcow2(&source, Cursor::new(vec![]), &options, &go_on).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Unsupported, message));
    }
}

#[test]
fn progress_rises_to_the_end_and_can_stop_the_work_anywhere() {
    let source = MemSource::shared(mixed(&[b'c'; 100], 9));
    let calls = Cell::new(0);
    let last = Cell::new(0);
    let count = |done| {
        assert!(done >= last.get());
        last.set(done);
        calls.set(calls.get() + 1);
        ControlFlow::Continue(())
    };
    qcow2(&source, Cursor::new(vec![]), &options(Some(1), 3), &count).unwrap();
    assert_eq!(last.get(), source.size_bytes());
    for stop in 0..calls.get() {
        let left = Cell::new(stop);
        let stopping = |_| match left.get() {
            0 => ControlFlow::Break(()),
            n => {
                left.set(n - 1);
                ControlFlow::Continue(())
            }
        };
        let mut out = Cursor::new(vec![]);
        let error = qcow2(&source, &mut out, &options(Some(1), 3), &stopping).unwrap_err();
        assert_eq!(error.kind(), Kind::Cancelled, "{stop}");
        assert!(!out.get_ref().starts_with(b"QFI"), "{stop}: what is left is an image");
    }
}

/// Takes so many bytes and then has no room.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self.0.checked_sub(buf.len()) {
            Some(left) => self.0 = left,
            None => return Err(io::Error::from_raw_os_error(28)), // ENOSPC
        }
        Ok(buf.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Full {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Ok(0)
    }
}

#[test]
fn a_full_disk_and_a_bad_sector_are_told() {
    let source = MemSource::shared(mixed(&[b'r'; 100], 0));
    for room in [0, 100, 3 << 20, 100 * CLUSTER] {
        let error = qcow2(&source, Full(room), &options(Some(1), 2), &go_on).unwrap_err();
        let told = error.to_string();
        assert!(told.starts_with("cannot write the image: No space left on device"), "{told}");
        assert_eq!(error.kind(), Kind::Io);
        assert_eq!(error.hint_text(), Some("make room where the image is written"));
    }
    let bad: Source =
        Arc::new(Dotted { size_bytes: 99 << 20, ranges: vec![(0, 99 << 20)], reads: false });
    let error = qcow2(&bad, Cursor::new(vec![]), &options(Some(1), 2), &go_on).unwrap_err();
    assert_eq!(error.to_string(), "the disk has a bad sector (at byte 0)");
}
