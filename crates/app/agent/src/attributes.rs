//! Owner, mode and extended attributes (ACLs and labels are such), of any node.

use kiln_rpc::{AttributesChange, FileKind, GuestPath, Xattr};
use rustix::fs::{AtFlags, Gid, Mode, Uid, XattrFlags, chmod, chownat};
use rustix::fs::{getxattr, listxattr, removexattr, setxattr};
use rustix::io::Errno;

use crate::failure::{Context, Result, failure};
use crate::node::Node;

/// XATTR_SIZE_MAX and XATTR_LIST_MAX of Linux.
const MAX_BYTES: usize = 65536;
/// All attributes of a file together; the message that carries them must fit a frame.
const MAX_TOTAL_BYTES: usize = 1 << 20;
/// A new file's content or place is not what these were made for: a stale one makes the file
/// unreadable where the guest's kernel enforces them.
const BOUND_TO_CONTENT: [&str; 2] = ["security.ima", "security.evm"];

/// All extended attributes of `node`. Filesystems without any have none.
pub(crate) fn xattrs(node: &Node, path: &GuestPath) -> Result<Vec<Xattr>> {
    let at = node.proc_path();
    let mut names = vec![0; MAX_BYTES];
    let n = match listxattr(&*at, &mut names[..]) {
        Err(Errno::OPNOTSUPP) => 0,
        other => other.at(path, "list extended attributes")?,
    };
    let mut found = Vec::new();
    let mut total_bytes = 0;
    let mut value = vec![0; MAX_BYTES];
    for name in names[..n].split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        // The kernel knows no name that is not UTF-8, save in `user.`.
        let Ok(name) = std::str::from_utf8(name) else { continue };
        let n = match getxattr(&*at, name, &mut value[..]) {
            // Names of what the filesystem makes up (`system.nfs4_acl`), not of what is there.
            Err(Errno::NODATA | Errno::OPNOTSUPP) => continue,
            other => other.at(path, &format!("read the attribute {name}"))?,
        };
        total_bytes += n + name.len();
        if total_bytes > MAX_TOTAL_BYTES {
            return Err(failure(Errno::TOOBIG, format!("{path}: too many extended attributes")));
        }
        found.push(Xattr { name: name.to_owned(), value: value[..n].to_vec() });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Give `to` owner, mode and extended attributes of `from`.
pub(crate) fn copy(from: &Node, to: &Node, path: &GuestPath) -> Result<()> {
    let stat = from.stat();
    let mut wanted = xattrs(from, path)?;
    wanted.retain(|xattr| !BOUND_TO_CONTENT.contains(&xattr.name.as_str()));
    replace_all(to, path, stat.st_mode & 0o7777, (stat.st_uid, stat.st_gid), &wanted)
}

/// Take away what was made for an older content, where `node` got another in place.
pub(crate) fn unbind(node: &Node, path: &GuestPath) -> Result<()> {
    for name in BOUND_TO_CONTENT {
        match removexattr(&*node.proc_path(), name) {
            Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
            other => other.at(path, &format!("remove the attribute {name}"))?,
        }
    }
    Ok(())
}

/// Give `to` these attributes and no others.
pub(crate) fn replace_all(
    to: &Node,
    path: &GuestPath,
    mode: u32,
    (uid, gid): (u32, u32),
    xattrs: &[Xattr],
) -> Result<()> {
    // A default ACL of the directory may have come with the creation of the file.
    for stray in self::xattrs(to, path)? {
        if !xattrs.iter().any(|wanted| wanted.name == stray.name) {
            match removexattr(&*to.proc_path(), &*stray.name) {
                // The label that the kernel computes and does not store.
                Err(Errno::ACCESS | Errno::NODATA | Errno::OPNOTSUPP | Errno::PERM) => {}
                other => other.at(path, &format!("remove the attribute {}", stray.name))?,
            }
        }
    }
    let change = AttributesChange {
        mode: Some(mode),
        uid: Some(uid),
        gid: Some(gid),
        xattrs: xattrs.to_vec(),
    };
    self::change(to, path, &change)
}

/// Change what is to be changed. The owner comes first, because its change clears set-uid bits
/// and capabilities; an access ACL comes after the mode, which it refines.
pub(crate) fn change(node: &Node, path: &GuestPath, change: &AttributesChange) -> Result<()> {
    if change.uid.is_some() || change.gid.is_some() {
        let (uid, gid) = (change.uid.map(Uid::from_raw), change.gid.map(Gid::from_raw));
        chownat(node.fd(), "", uid, gid, AtFlags::EMPTY_PATH).at(path, "change the owner")?;
    }
    // A link has no mode of its own.
    if let Some(mode) = change.mode
        && node.kind() != FileKind::Symlink
    {
        chmod(&*node.proc_path(), Mode::from_raw_mode(mode & 0o7777))
            .at(path, "change the mode")?;
    }
    for xattr in &change.xattrs {
        setxattr(&*node.proc_path(), &*xattr.name, &xattr.value, XattrFlags::empty())
            .at(path, &format!("set the attribute {}", xattr.name))?;
    }
    Ok(())
}
