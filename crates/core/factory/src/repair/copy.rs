//! The image as a file that a disk's changes are then written into: a copy in the wanted format,
//! made while the changes are being made elsewhere.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kiln_compute::qemu::{Qemu, WorkDir, run};
use kiln_disk::{Format, Image};
use rustix::fs::{SeekFrom, ioctl_ficlone, seek};
use rustix::io::Errno;

use crate::{Error, Result};

/// A slow disk converts some ten megabytes a second, and images of a terabyte exist.
const CONVERT_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
const CHUNK_BYTES: usize = 1 << 20;

/// How the file gets its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Byte by byte, and the changes are written into it: the file has the wanted format already,
    /// and one that takes changes.
    Clone,
    /// By `qemu-img`, from the changed disk.
    Convert,
}

impl Way {
    /// How to make a file of `format` from `image`.
    pub(super) fn of(image: &Image, format: Format) -> Self {
        // A file that names others stands for itself only when it is flattened.
        let stands_alone = image.chain.is_empty();
        let takes_changes = matches!(format, Format::Raw | Format::Qcow2);
        match stands_alone && takes_changes && image.format == format {
            true => Self::Clone,
            false => Self::Convert,
        }
    }
}

/// Convert the disk that `node`, a value of QEMU's `-blockdev` for a machine in `work`, describes.
pub(super) fn convert(
    qemu: &Qemu,
    work: &WorkDir,
    node: &str,
    format: Format,
    to: &Path,
) -> Result<()> {
    let mut command = Command::new(&qemu.img);
    command.current_dir(work.path());
    // Out of order: the writer need not wait for a slow read before it.
    command.args(["convert", "-W", "-m", "4", "-t", "writeback"]);
    command.args(match format {
        Format::Vhd => &["-O", "vpc", "-o", "force_size=on"][..],
        Format::Vhdx => &["-O", "vhdx"],
        Format::Vmdk => &["-O", "vmdk"],
        Format::Raw => &["-O", "raw"],
        _ => &["-O", "qcow2"],
    });
    command.arg(format!("json:{node}")).arg(to);
    run(command, CONVERT_TIMEOUT)?;
    Ok(())
}

/// Write what `overlay` (in `work`) holds into `base`, of `format`, which it lay over.
pub(super) fn commit(
    qemu: &Qemu,
    work: &WorkDir,
    overlay: &str,
    base: &str,
    format: Format,
) -> Result<()> {
    let mut rebase = Command::new(&qemu.img);
    rebase.current_dir(work.path()).args(["rebase", "-q", "-u", "-f", "qcow2", "-b", base, "-F"]);
    rebase.args([format.name(), overlay]);
    run(rebase, CONVERT_TIMEOUT)?;
    let mut commit = Command::new(&qemu.img);
    // -d: the overlay is not emptied afterwards, because it is thrown away.
    commit.current_dir(work.path()).args(["commit", "-q", "-d", "-f", "qcow2", overlay]);
    run(commit, CONVERT_TIMEOUT)?;
    Ok(())
}

/// A copy of the image's file that has holes where the file has, and shares blocks where the
/// filesystem can. Ends early, with an error, when `cancelled` is set.
pub(super) fn clone(image: &Image, to: &Path, cancelled: &AtomicBool) -> Result<()> {
    clone_file(Path::new(&image.location), to, cancelled)
}

fn clone_file(from: &Path, to: &Path, cancelled: &AtomicBool) -> Result<()> {
    let cannot = |path: &Path| Error::io(format!("cannot copy the image: {}", path.display()));
    let source = File::open(from).map_err(cannot(from))?;
    let target = File::create_new(to).map_err(cannot(to))?;
    if ioctl_ficlone(&target, &source).is_ok() {
        return Ok(());
    }
    let size_bytes = source.metadata().map_err(cannot(from))?.len();
    target.set_len(size_bytes).map_err(cannot(to))?;
    copy_data(&source, &target, size_bytes, cancelled).map_err(cannot(to))
}

fn copy_data(
    source: &File,
    target: &File,
    size_bytes: u64,
    cancelled: &AtomicBool,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut at = 0;
    while at < size_bytes {
        let start = match seek(source, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => break, // nothing but a hole is left
            Err(Errno::INVAL) => at,   // a filesystem that cannot tell: all is data
            Err(error) => return Err(error.into()),
        };
        let end = seek(source, SeekFrom::Hole(start)).unwrap_or(size_bytes).min(size_bytes);
        at = copy_range(source, target, start..end, &mut buffer, cancelled)?;
    }
    Ok(())
}

fn copy_range(
    source: &File,
    target: &File,
    range: Range<u64>,
    buffer: &mut [u8],
    cancelled: &AtomicBool,
) -> io::Result<u64> {
    let Range { start, end } = range;
    let mut at = start;
    while at < end {
        if cancelled.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
        let n = source.read_at(&mut buffer[..wanted], at)?;
        if n == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the image became shorter"));
        }
        target.write_all_at(&buffer[..n], at)?;
        at += n as u64;
    }
    Ok(end.max(start + 1))
}

/// Give the finished file its name, so that it is there whole or not at all.
pub(super) fn publish(from: &Path, to: &Path, overwrite: bool) -> Result<()> {
    let cannot = || format!("cannot write {}", to.display());
    let file = File::open(from).map_err(Error::io(cannot()))?;
    file.sync_all().map_err(Error::io(cannot()))?;
    let folder = match to.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let folder = File::open(folder).map_err(Error::io(cannot()))?;
    if overwrite {
        fs::rename(from, to).map_err(Error::io(cannot()))?;
    } else {
        let cwd = rustix::fs::CWD;
        let flags = rustix::fs::RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(cwd, from, cwd, to, flags) {
            // Filesystems that know no flags (NFS) link, which replaces nothing either.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                fs::hard_link(from, to).map_err(Error::io(cannot()))?;
            }
            other => other.map_err(|error| Error::io(cannot())(error.into()))?,
        }
    }
    // The name must survive a crash as the content does, where the filesystem can promise that.
    match folder.sync_all() {
        Err(error) if error.raw_os_error() != Some(Errno::INVAL.raw_os_error()) => {
            Err(Error::io(cannot())(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_clone_keeps_content_and_holes() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a.raw"), folder.path().join("b.raw"));
        let file = File::create(&from).unwrap();
        file.set_len((64 << 20) + 123).unwrap();
        file.write_all_at(b"first", 4096).unwrap();
        file.write_all_at(&vec![7; 3 << 20], (33 << 20) + 5).unwrap();
        let go_on = AtomicBool::new(false);
        clone_file(&from, &to, &go_on).unwrap();
        assert!(fs::read(&from).unwrap() == fs::read(&to).unwrap());
        let allocated = fs::metadata(&to).unwrap().blocks() * 512;
        assert!(allocated < 8 << 20, "{allocated} bytes for 3 MiB of data");
        let again = clone_file(&from, &to, &go_on).unwrap_err();
        assert!(again.to_string().contains("b.raw"), "{again}");
    }

    #[test]
    fn a_published_file_replaces_nothing_unless_told() {
        let folder = tempfile::tempdir().unwrap();
        let (part, out) = (folder.path().join("part"), folder.path().join("out"));
        fs::write(&part, "new").unwrap();
        fs::write(&out, "old").unwrap();
        let error = publish(&part, &out, false).unwrap_err();
        assert!(error.to_string().contains("cannot write"), "{error}");
        assert_eq!(fs::read(&out).unwrap(), b"old");
        publish(&part, &out, true).unwrap();
        assert_eq!(fs::read(&out).unwrap(), b"new");
        assert!(!part.exists());
    }
}
