//! Every way of looking and editing, and what the host sees of it afterwards.

use kiln_compute::helper::{Attributes, AttributesChange, FileKind, Session, Xattr};
use sha2::{Digest, Sha256};

use crate::disks::Disks;

const LABEL: &[u8] = b"system_u:object_r:etc_t:s0\0";

fn put(session: &mut Session, path: &str, content: &[u8]) -> kiln_compute::helper::Edited {
    session.put(path, content, content.len() as u64, Attributes::Keep).unwrap()
}

pub(crate) fn look(session: &mut Session) {
    let disks = session.disks().unwrap();
    let system = disks.iter().find(|disk| disk.serial == "system").unwrap();
    assert_eq!(system.partitions.len(), 2);
    assert_eq!((system.partitions[1].number, system.partitions[1].start_bytes), (2, 61 << 20));

    let owned = session.stat("/etc/owned").unwrap().unwrap();
    assert_eq!((owned.kind, owned.uid, owned.gid), (FileKind::File, 12, 34));
    let names: Vec<&str> = owned.xattrs.iter().map(|xattr| xattr.name.as_str()).collect();
    assert_eq!(names, ["security.selinux", "system.posix_acl_access", "user.note"]);
    assert_eq!(owned.xattrs[0].value, LABEL);
    let link = session.stat("/etc/link").unwrap().unwrap();
    assert_eq!((link.kind, &link.target.unwrap()[..]), (FileKind::Symlink, &b"fstab"[..]));
    let locked = session.stat("/etc/locked").unwrap().unwrap();
    assert!(locked.is_immutable && !locked.is_append_only);
    assert_eq!(session.stat("/no/such/file").unwrap(), None);

    let big = vec![b'a'; 3_000_000];
    assert_eq!(session.digest("/big").unwrap(), <[u8; 32]>::from(Sha256::digest(&big)));
    assert_eq!(session.read_all("/big", 3_000_000).unwrap(), big);
    assert_eq!(session.read("/big", 2_999_990, 100).unwrap(), b"aaaaaaaaaa");
    let space = session.free_space("/small").unwrap();
    assert!(space.available_bytes > 100_000 && space.available_bytes < space.total_bytes);
    assert_eq!(session.free_space("/btrfs").unwrap().available_inodes, u64::MAX);

    let (first, more) = session.list("/many", None).unwrap();
    assert!(more && first.is_sorted_by_key(|entry| entry.name.clone()));
    let (rest, more) = session.list("/many", Some(&first.last().unwrap().name)).unwrap();
    assert_eq!((first.len() + rest.len(), more), (5000, false));
}

pub(crate) fn replace(session: &mut Session) {
    let before = session.stat("/etc/owned").unwrap().unwrap();
    let edited = put(session, "/etc/owned", b"new private content\n");
    assert!(!edited.in_place && edited.unlocked.is_empty());
    let after = session.stat("/etc/owned").unwrap().unwrap();
    assert_eq!(
        (after.mode, after.uid, after.gid, &after.xattrs),
        (before.mode, before.uid, before.gid, &before.xattrs)
    );
    assert_eq!(after.size_bytes, 20);

    assert!(put(session, "/etc/hard", b"both\n").in_place);
    assert_eq!(session.read_all("/etc/hard-too", 100).unwrap(), b"both\n");
    assert_eq!(session.stat("/etc/hard").unwrap().unwrap().n_links, 2);

    // Longer than a frame, so that it comes in several.
    let long: Vec<u8> = (0..2_500_000_u32).map(|n| (n % 251) as u8).collect();
    put(session, "/etc/fstab", &long);
    assert_eq!(session.read_all("/etc/fstab", 3_000_000).unwrap(), long);
    put(session, "/etc/fstab", b"");
    assert_eq!(session.read_all("/etc/fstab", 100).unwrap(), b"");
    put(session, "/etc/fstab", b"UUID=new / ext4 defaults 0 1\n");
}

pub(crate) fn add(session: &mut Session) {
    let label = Xattr { name: "security.selinux".to_owned(), value: LABEL.to_vec() };
    let attributes = Attributes::New { mode: 0o600, uid: 5, gid: 6, xattrs: vec![label.clone()] };
    session.put("/etc/new", &b"1\n"[..], 2, attributes).unwrap();
    let new = session.stat("/etc/new").unwrap().unwrap();
    assert_eq!((new.mode, new.uid, new.gid, new.xattrs), (0o600, 5, 6, vec![label.clone()]));
    session.append("/etc/new", 2, &b"2\n"[..], 2).unwrap();
    assert_eq!(session.read_all("/etc/new", 100).unwrap(), b"1\n2\n");

    session.copy("/etc/owned", "/etc/owned.kiln-orig").unwrap();
    let (copy, original) = (
        session.stat("/etc/owned.kiln-orig").unwrap().unwrap(),
        session.stat("/etc/owned").unwrap().unwrap(),
    );
    assert_eq!((copy.mode, copy.uid, copy.xattrs), (original.mode, original.uid, original.xattrs));
    assert_eq!(session.read_all("/etc/owned.kiln-orig", 100).unwrap(), b"new private content\n");

    let change = AttributesChange { mode: Some(0o750), gid: Some(9), ..Default::default() };
    session.make_dir("/etc/dir", change).unwrap();
    let dir = session.stat("/etc/dir").unwrap().unwrap();
    assert_eq!((dir.kind, dir.mode, dir.uid, dir.gid), (FileKind::Directory, 0o750, 0, 9));
    let labelled = AttributesChange { xattrs: vec![label.clone()], ..Default::default() };
    session.symlink("/etc/dir/wants", "../unit.service", labelled).unwrap();
    let link = session.stat("/etc/dir/wants").unwrap().unwrap();
    assert_eq!((&link.target.unwrap()[..], link.xattrs), (&b"../unit.service"[..], vec![label]));
    let change = AttributesChange { mode: Some(0o4711), uid: Some(8), ..Default::default() };
    session.set_attributes("/etc/new", change).unwrap();
    assert_eq!(session.stat("/etc/new").unwrap().unwrap().mode, 0o4711);
}

pub(crate) fn take_away(session: &mut Session) {
    session.rename("/etc/new", "/boot/moved").unwrap();
    assert_eq!(session.stat("/etc/new").unwrap(), None);
    assert_eq!(session.read_all("/boot/moved", 100).unwrap(), b"1\n2\n");
    session.remove("/etc/link", false).unwrap();
    session.remove("/many", true).unwrap();
    assert_eq!(session.stat("/many").unwrap(), None);
    // A locked file in it goes, too.
    session.remove("/etc/old.d", true).unwrap();
    assert_eq!(session.stat("/etc/old.d").unwrap(), None);
}

pub(crate) fn unlock(session: &mut Session) {
    let unlocked = |edited: kiln_compute::helper::Edited| -> Vec<String> {
        edited.unlocked.iter().map(ToString::to_string).collect()
    };
    assert_eq!(unlocked(put(session, "/etc/locked", b"mended\n")), ["/etc/locked"]);
    assert!(session.stat("/etc/locked").unwrap().unwrap().is_immutable);
    let edited = session.append("/etc/log", 5, &b"more\n"[..], 5).unwrap();
    assert_eq!(unlocked(edited), ["/etc/log"]);
    assert!(session.stat("/etc/log").unwrap().unwrap().is_append_only);
    assert_eq!(unlocked(put(session, "/etc/locked.d/file", b"z\n")), ["/etc/locked.d"]);
    assert!(session.stat("/etc/locked.d").unwrap().unwrap().is_immutable);
}

pub(crate) fn other_filesystems(session: &mut Session) {
    put(session, "/esp/EFI/grub.cfg", b"new\n");
    // FAT has no owners: that they cannot be set is no reason not to write.
    let attributes = Attributes::New { mode: 0o600, uid: 0, gid: 0, xattrs: Vec::new() };
    session.put("/esp/EFI/fresh", &b"fresh\n"[..], 6, attributes).unwrap();
    put(session, "/btrfs/file", b"new\n");
    for at in ["/xfs", "/btrfs", "/lv"] {
        let path = format!("{at}/labelled");
        let xattrs = vec![Xattr { name: "security.selinux".to_owned(), value: LABEL.to_vec() }];
        let attributes = Attributes::New { mode: 0o644, uid: 1, gid: 2, xattrs };
        session.put(&path, &b"one\n"[..], 4, attributes).unwrap();
        put(session, &path, b"two\n");
        let found = session.stat(&path).unwrap().unwrap();
        assert_eq!((found.uid, found.xattrs[0].value.as_slice()), (1, LABEL), "{path}");
        session.copy(&path, format!("{at}/copied")).unwrap();
        assert_eq!(session.read_all(format!("{at}/copied"), 100).unwrap(), b"two\n");
        // From one filesystem to another.
        session.copy("/etc/owned", format!("{at}/from-the-root")).unwrap();
        let copied = session.read_all(format!("{at}/from-the-root"), 100).unwrap();
        assert_eq!(copied, b"new private content\n", "{at}");
    }
}

/// The host's kernel and tools, which know nothing of what was meant.
pub(crate) fn seen_from_the_host(disks: &Disks) {
    let seen = disks.in_mount(
        "ext",
        "cat etc/fstab etc/owned etc/hard-too etc/locked etc/log etc/locked.d/file boot/moved
         stat -c '%n %a %u:%g' etc/owned boot/moved etc/dir
         getfacl -cn etc/owned | grep user:7
         getfattr -n security.selinux --only-values etc/owned; echo
         lsattr -d etc/locked etc/log etc/locked.d | tr -d -- -
         ls etc -A; readlink etc/dir/wants",
    );
    let expected = "\
UUID=new / ext4 defaults 0 1
new private content
both
mended
line
more
z
1
2
etc/owned 640 12:34
boot/moved 4711 8:6
etc/dir 750 0:9
user:7:r--
system_u:object_r:etc_t:s0\0
ie etc/locked
ae etc/log
ie etc/locked.d
dir
fstab
hard
hard-too
locked
locked.d
log
out
owned
owned.kiln-orig
../unit.service
";
    assert_eq!(seen, expected);
    for (image, file) in [("xfs", "labelled"), ("btrfs", "@/file"), ("lv", "copied")] {
        let expected = if image == "btrfs" { "new\n" } else { "two\n" };
        assert_eq!(disks.in_mount(image, &format!("cat {file}")), expected, "{image}");
    }
    let esp = disks.path("esp");
    let esp = esp.to_str().unwrap();
    let read = |name: &str| kiln_fixtures::mounted::run("mtype", &["-i", esp, name]).unwrap();
    assert_eq!((read("::EFI/grub.cfg"), read("::EFI/fresh")), ("new\n".into(), "fresh\n".into()));
}
