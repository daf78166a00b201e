//! A private folder for the files of one machine, which is gone when kiln is.
//!
//! Dropping removes it. A killed kiln drops nothing, so a small shell waits beside it: its input is
//! a pipe that only kiln holds open, and when that ends, the shell removes the folder. The kernel has
//! no flag for this, and sweeping up at the next start would leave gigabytes until then.

use std::env;
use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::{Error, Result};

/// The name of the folder arrives as a line, so that the shell is there before the folder is. Signals
/// that end a whole group of processes must leave it to do its work.
const SWEEP: &str =
    r#"trap '' HUP INT TERM; IFS= read -r dir && { cat >/dev/null; rm -rf -- "$dir"; }"#;

/// A folder that only this user can enter, removed with all it holds when it is dropped or kiln is
/// killed.
#[derive(Debug)]
pub struct WorkDir {
    sweeper: Sweeper,
    dir: TempDir,
    handle: File,
}

impl WorkDir {
    /// In `TMPDIR`, else in `/var/tmp`: an overlay can grow to gigabytes, and `/tmp` is memory on
    /// many systems.
    ///
    /// # Errors
    ///
    /// Where no folder can be made there.
    pub fn new() -> Result<Self> {
        let set = env::var_os("TMPDIR").map(PathBuf::from).filter(|path| path.is_absolute());
        let lasting = Path::new("/var/tmp");
        let parent = set.unwrap_or_else(|| match lasting.is_dir() {
            true => lasting.to_path_buf(),
            false => env::temp_dir(),
        });
        Self::new_in(&parent)
    }

    /// In `parent`, for example because a file will be renamed out of it.
    ///
    /// # Errors
    ///
    /// Where no folder can be made there.
    pub fn new_in(parent: &Path) -> Result<Self> {
        let cannot = |source| Error::Io {
            what: format!("cannot make a work folder in {}", parent.display()),
            source,
        };
        let parent = parent.canonicalize().map_err(cannot)?;
        let mut sweeper = Sweeper::start().map_err(cannot)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix("kiln-").permissions(Permissions::from_mode(0o700));
        let dir = builder.tempdir_in(&parent).map_err(cannot)?;
        sweeper.watch(dir.path()).map_err(cannot)?;
        let handle = File::open(dir.path()).map_err(cannot)?;
        Ok(Self { sweeper, dir, handle })
    }

    /// Its absolute path.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The path of the file `name` in it.
    pub fn join(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.path().join(name.as_ref())
    }

    /// A path to `name` in it that is short enough for a socket, wherever the folder is. It leads
    /// there in this process only, and as long as this value lives.
    pub(super) fn short(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.handle.as_raw_fd()))
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        // The sweeper last: it takes over where this is killed half-way.
        let _ = std::fs::remove_dir_all(self.dir.path());
        self.sweeper.stop();
    }
}

#[derive(Debug)]
struct Sweeper {
    shell: Child,
}

impl Sweeper {
    fn start() -> std::io::Result<Self> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SWEEP]).env_clear().env("PATH", "/usr/bin:/bin");
        // It must not hold the caller's pipes open, nor end by the Ctrl-C that ends kiln.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.current_dir("/").process_group(0);
        Ok(Self { shell: command.spawn()? })
    }

    fn watch(&mut self, dir: &Path) -> std::io::Result<()> {
        let name = dir.as_os_str().as_bytes();
        if name.contains(&b'\n') {
            return Err(std::io::Error::other("its path has a line break"));
        }
        let Some(pipe) = &mut self.shell.stdin else { return Ok(()) };
        pipe.write_all(&[name, b"\n"].concat())
    }

    fn stop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn it_is_private_and_goes_with_its_value() {
        let parent = tempfile::tempdir().unwrap();
        let work = WorkDir::new_in(parent.path()).unwrap();
        fs::write(work.join("overlay.qcow2"), "x").unwrap();
        assert_eq!(fs::metadata(work.path()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read(work.short("overlay.qcow2")).unwrap(), b"x");
        drop(work);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    /// What a killed kiln leaves is its end of the pipe, closed by the kernel.
    #[test]
    fn the_sweeper_removes_it_when_the_pipe_ends() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("with space and 'quote'");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("overlay.qcow2"), "x").unwrap();
        let mut sweeper = Sweeper::start().unwrap();
        sweeper.watch(&dir).unwrap();
        drop(sweeper.shell.stdin.take());
        let deadline = Instant::now() + Duration::from_secs(20);
        while dir.exists() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(!dir.exists());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let error = WorkDir::new_in(Path::new("/nowhere")).unwrap_err();
        assert_eq!(error.to_string(), "cannot make a work folder in /nowhere");
    }
}
