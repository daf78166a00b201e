//! Disk images in a temporary folder, made by the real tools, and a source that counts.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this")]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kiln_volume::{Layout, NoticeCode};

/// A file as a block source that counts what is read of it.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    size_bytes: u64,
    pub read_bytes: AtomicU64,
}

impl FileSource {
    pub fn open(path: &Path) -> Arc<Self> {
        let file = File::open(path).unwrap();
        let size_bytes = file.metadata().unwrap().len();
        Arc::new(Self { file, size_bytes, read_bytes: AtomicU64::new(0) })
    }
}

impl kiln_disk::BlockSource for FileSource {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> kiln_disk::Result<()> {
        self.read_bytes.fetch_add(buf.len() as u64, Ordering::Relaxed);
        Ok(self.file.read_exact_at(buf, offset)?)
    }
}

/// A folder with disk images.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A sparse image of zeroes.
    pub fn image(&self, name: &str, size_bytes: u64) -> PathBuf {
        let path = self.path(name);
        File::create(&path).unwrap().set_len(size_bytes).unwrap();
        path
    }
}

/// Run a tool to its end; its standard output.
pub fn run(program: &str, args: &[&str]) -> String {
    run_with(program, args, "")
}

/// As [`run`], with `input` on standard input.
pub fn run_with(program: &str, args: &[&str], input: &str) -> String {
    use std::io::Write;
    let mut child = Command::new(program)
        .args(args)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Write `bytes` at `offset` of the file.
pub fn write_at(path: &Path, offset: u64, bytes: &[u8]) {
    File::options().write(true).open(path).unwrap().write_all_at(bytes, offset).unwrap();
}

pub fn read_at(path: &Path, offset: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    File::open(path).unwrap().read_exact_at(&mut bytes, offset).unwrap();
    bytes
}

/// Scan one image.
pub fn scan(path: &Path) -> Layout {
    kiln_volume::scan(&[FileSource::open(path)])
}

/// The notices of the first disk and of the whole, as a test compares them.
pub fn notices(layout: &Layout) -> Vec<(NoticeCode, &str)> {
    let disk = layout.disks.iter().flat_map(|disk| &disk.notices);
    disk.chain(&layout.notices).map(|n| (n.code, n.message.as_str())).collect()
}

/// What `blkid -p` says of a file: the value of `key`.
pub fn blkid(path: &Path, key: &str) -> Option<String> {
    let path = path.to_str().unwrap();
    let text = run("blkid", &["-p", "-o", "export", path]);
    text.lines().find_map(|line| Some(line.strip_prefix(key)?.strip_prefix('=')?.replace('\\', "")))
}
