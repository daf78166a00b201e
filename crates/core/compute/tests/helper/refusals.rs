//! What the agent must not do, and what it says then.

use std::io::{self, Read};

use kiln_compute::helper::{
    Attributes, AttributesChange, Exec, HelperError, MountOptions, Session, Volume,
};

use crate::disks::Disks;
use crate::errno;

const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EIO: i32 = 5;
const ENODEV: i32 = 19;
const EBUSY: i32 = 16;
const EEXIST: i32 = 17;
const ENOTDIR: i32 = 20;
const EISDIR: i32 = 21;
const EFBIG: i32 = 27;
const ENOSPC: i32 = 28;
const ENOTEMPTY: i32 = 39;
const ELOOP: i32 = 40;
const ESTALE: i32 = 116;
const EUCLEAN: i32 = 117;

fn new_file() -> Attributes {
    Attributes::New { mode: 0o644, uid: 0, gid: 0, xattrs: Vec::new() }
}

fn put(session: &mut Session, path: &str) -> Result<(), HelperError> {
    session.put(path, &b"x"[..], 1, new_file()).map(|_| ())
}

/// Before the root is mounted.
pub(crate) fn volumes(session: &mut Session, disks: &Disks) {
    assert_eq!(errno(session.stat("/etc")), ENOENT);
    let mut mount = |part, fstype: &str| {
        session.mount(Volume::Part(part), "/", fstype, &MountOptions::default()).unwrap_err()
    };
    let mut elsewhere = Disks::system_part(1);
    elsewhere.start_bytes += 512;
    let error = mount(elsewhere, "ext4");
    assert_eq!((error.errno(), error.hint()), (Some(ESTALE), None));
    assert!(error.to_string().contains("the kernel sees vda1 at byte 1048576"), "{error}");
    let mut absent = Disks::system_part(1);
    absent.partition = Some(9);
    assert_eq!(mount(absent, "ext4").errno(), Some(ENODEV));

    let error = mount(disks.whole("broken-ext"), "ext4");
    let said = error.to_string();
    assert!(said.contains("the kernel says: EXT4-fs") || said.contains("VFS:"), "{said}");
    assert!(error.hint().unwrap().ends_with("e2fsck -f"), "{error:?}");
    let error = mount(disks.whole("broken-xfs"), "xfs");
    // Kernels before 6.2 say EIO of a header that cannot be verified.
    assert!([Some(EUCLEAN), Some(EIO)].contains(&error.errno()), "{error:?}");
    assert!(error.to_string().contains("XFS ("), "{error}");
    assert!(error.hint().unwrap().ends_with("xfs_repair"), "{error:?}");
}

/// The kernel has two words for a link where a directory should be.
fn met_link<T: std::fmt::Debug>(result: Result<T, HelperError>) {
    let met = errno(result);
    assert!(met == ELOOP || met == ENOTDIR, "{met}");
}

/// No link of the guest is followed, on the way or at the end; nothing is taken for something else.
pub(crate) fn paths(session: &mut Session) {
    met_link(put(session, "/escape/etc/passwd"));
    met_link(session.read("/escape/etc/passwd", 0, 10));
    met_link(session.stat("/etc-link/fstab"));
    met_link(put(session, "/etc/out"));
    met_link(session.append("/etc/out", 0, &b"x"[..], 1));
    met_link(session.list("/escape", None));
    met_link(session.rename("/etc/fstab", "/escape/fstab"));
    met_link(session.copy("/etc/out", "/etc/copied"));
    let keep = AttributesChange::default;
    met_link(session.make_dir("/escape/dir", keep()));
    met_link(session.symlink("/escape/link", "x", keep()));
    for path in ["etc/fstab", "/etc/../fstab", "/etc//fstab", "/etc/"] {
        assert!(matches!(put(session, path), Err(HelperError::Path(_))), "{path}");
    }
    assert_eq!(errno(put(session, "/etc")), EISDIR);
    assert_eq!(errno(put(session, "/no/such/dir")), ENOENT);
    assert_eq!(errno(session.put("/etc/none", &b"x"[..], 1, Attributes::Keep)), ENOENT);
    assert_eq!(errno(session.copy("/etc/fstab", "/etc/owned")), EEXIST);
    assert_eq!(errno(session.rename("/etc/fstab", "/etc/owned")), EEXIST);
    assert_eq!(errno(session.make_dir("/etc", keep())), EEXIST);
    assert_eq!(errno(session.symlink("/etc/fstab", "x", keep())), EEXIST);
    assert_eq!(errno(session.remove("/etc", false)), ENOTEMPTY);
    assert_eq!(errno(session.remove("/xfs", true)), EBUSY);
    assert_eq!(errno(session.remove("/", true)), EBUSY);
    assert_eq!(errno(session.append("/etc/fstab", 1, &b"x"[..], 1)), ESTALE);
    assert_eq!(errno(session.read_all("/big", 1000)), EFBIG);
    // A call that fails says of which path.
    let error = put(session, "/escape/x").unwrap_err();
    assert!(error.to_string().starts_with("/escape: open the directory: "), "{error}");
}

/// A full filesystem keeps what it had.
pub(crate) fn space(session: &mut Session) {
    session.put("/small/kept", &b"kept\n"[..], 5, new_file()).unwrap();
    let much = vec![b'm'; 8 << 20];
    let size_bytes = much.len() as u64;
    let replaced = session.put("/small/kept", &much[..], size_bytes, Attributes::Keep);
    let error = replaced.unwrap_err();
    assert_eq!(error.errno(), Some(ENOSPC));
    assert!(error.to_string().starts_with("/small/kept: write: "), "{error}");
    assert_eq!(errno(session.append("/small/kept", 5, &much[..], size_bytes)), ENOSPC);
    assert_eq!(session.read_all("/small/kept", 100).unwrap(), b"kept\n");
    let (entries, _) = session.list("/small", None).unwrap();
    let names: Vec<_> = entries.iter().map(|entry| String::from_utf8_lossy(&entry.name)).collect();
    assert_eq!(names, ["kept", "lost+found"]);
}

/// A source that fails half-way leaves the file as it was and the session in use.
pub(crate) fn content(session: &mut Session) {
    struct Fails(usize);
    impl Read for Fails {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::Error::other("the disk is gone"));
            }
            let n = buf.len().min(self.0);
            buf[..n].fill(b'f');
            self.0 -= n;
            Ok(n)
        }
    }
    let error = session.put("/etc/owned", Fails(1 << 20), 2 << 20, Attributes::Keep).unwrap_err();
    assert!(matches!(error, HelperError::Content { .. }), "{error:?}");
    let error = session.put("/etc/owned", &b"short"[..], 50, Attributes::Keep).unwrap_err();
    assert!(matches!(error, HelperError::Content { .. }), "{error:?}");
    assert_eq!(session.read_all("/etc/owned", 100).unwrap(), b"new private content\n");
}

pub(crate) fn programs(session: &mut Session) {
    let exec = Exec { argv: vec!["/bin/true".to_owned()], env: Vec::new(), timeout_ms: 1000 };
    assert_eq!(errno(session.exec(exec)), EPERM);
}
