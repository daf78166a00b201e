//! A local file or block device as a block source.
//!
//! Reads are positioned (`pread`), so one open file serves all threads. Holes of a sparse file are
//! told by the kernel (`SEEK_DATA`, `SEEK_HOLE`); where it cannot say, everything is data.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::source::check_range;
use crate::{BlockSource, Error, Extent, ExtentKind, Kind, Result};

/// A regular file or a block device, read-only.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    path: PathBuf,
    size_bytes: u64,
    may_have_holes: bool,
}

impl FileSource {
    /// Open `path`, which must be a regular file or a block device.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`] or [`Kind::Io`] as the system says; [`Kind::Unsupported`] for a folder, a
    /// pipe, a socket or a character device, none of which can be read at an offset.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_kind(path, true)
    }

    /// A regular file or a block device that is open for reading already. Its cursor is moved.
    /// `location` is its name for messages.
    ///
    /// # Errors
    ///
    /// As [`FileSource::open`].
    pub fn of_file(file: File, location: &str) -> Result<Self> {
        Self::of_kind(file, Path::new(location), true)
    }

    /// As [`FileSource::open`], for a name found inside an image: never a device.
    pub(crate) fn open_regular(path: &Path) -> Result<Self> {
        Self::open_kind(path, false)
    }

    fn open_kind(path: &Path, devices: bool) -> Result<Self> {
        // Without O_NONBLOCK the open of a pipe waits for a writer that may never come.
        let mut how = OpenOptions::new();
        how.read(true).custom_flags(nonblocking());
        let file = how
            .open(path)
            .map_err(|error| Error::from(error).in_location(path.display().to_string()))?;
        Self::of_kind(file, path, devices)
    }

    fn of_kind(mut file: File, path: &Path, devices: bool) -> Result<Self> {
        let located = |error: Error| error.in_location(path.display().to_string());
        let system = |error: std::io::Error| located(Error::from(error));
        let meta = file.metadata().map_err(system)?;
        let kind = meta.file_type();
        let size_bytes = if kind.is_file() {
            meta.len()
        } else if kind.is_block_device() && devices {
            file.seek(SeekFrom::End(0)).map_err(system)?
        } else {
            let wanted =
                if devices { "a regular file or a block device" } else { "a regular file" };
            return Err(located(Error::unsupported(format!("this is not {wanted}"))));
        };
        Ok(Self { file, path: path.to_owned(), size_bytes, may_have_holes: kind.is_file() })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn nonblocking() -> i32 {
    i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0)
}

impl BlockSource for FileSource {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        check_range(self.size_bytes, offset, buf.len())?;
        self.file.read_exact_at(buf, offset).map_err(|error| {
            let told = match error.kind() {
                ErrorKind::UnexpectedEof => {
                    Error::new(Kind::Io, "the file became shorter while it was read")
                }
                _ => Error::from(error),
            };
            told.at(offset).in_location(self.path.display().to_string())
        })
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        check_range(self.size_bytes, offset, 1)?;
        let rest = self.size_bytes.saturating_sub(offset);
        let data = Extent { length_bytes: rest, kind: ExtentKind::Data };
        if !self.may_have_holes {
            return Ok(data);
        }
        Ok(hole_or_data(&self.file, offset, rest).unwrap_or(data))
    }
}

/// What the kernel knows about `offset`; nothing where the file system has no notion of holes.
fn hole_or_data(file: &File, offset: u64, rest: u64) -> Option<Extent> {
    use rustix::fs::SeekFrom::{Data, Hole};
    let (length, kind) = match rustix::fs::seek(file, Data(offset)) {
        Ok(data) if data > offset => (data.checked_sub(offset)?, ExtentKind::Zero),
        Ok(_) => {
            let hole = rustix::fs::seek(file, Hole(offset)).ok()?;
            (hole.checked_sub(offset)?, ExtentKind::Data)
        }
        Err(rustix::io::Errno::NXIO) => (rest, ExtentKind::Zero),
        Err(_) => return None,
    };
    // A file that grew since it was opened may have data past the size that was promised.
    let length_bytes = length.min(rest);
    (length_bytes > 0).then_some(Extent { length_bytes, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_zero_and_written_bytes_are_data() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(3 << 20).unwrap();
        file.as_file().write_all_at(&[7; 65536], 1 << 20).unwrap();
        let source = FileSource::open(file.path()).unwrap();
        let at = |offset| source.extent_at(offset).unwrap();
        assert_eq!(at(0), Extent { length_bytes: 1 << 20, kind: ExtentKind::Zero });
        assert_eq!(at(1 << 20), Extent { length_bytes: 65536, kind: ExtentKind::Data });
        assert_eq!(at((3 << 20) - 1), Extent { length_bytes: 1, kind: ExtentKind::Zero });
        assert_eq!(source.extent_at(3 << 20).unwrap_err().kind(), Kind::OutOfRange);
        let mut buf = [0; 2];
        source.read_at((1 << 20) - 1, &mut buf).unwrap();
        assert_eq!(buf, [0, 7]);
    }

    #[test]
    fn only_what_can_be_read_at_an_offset_is_opened() {
        let missing = FileSource::open(Path::new("/nonexistent/disk")).unwrap_err();
        assert_eq!(missing.kind(), Kind::NotFound);
        for path in ["/dev/null", "/tmp"] {
            let error = FileSource::open(Path::new(path)).unwrap_err();
            assert_eq!(error.kind(), Kind::Unsupported);
            let expected = format!("{path}: this is not a regular file or a block device");
            assert_eq!(error.to_string(), expected);
        }
    }
}
