//! The kernel is the oracle: every path of a filesystem it wrote must read the same here.

use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;

use kiln_disk::{Kind, MemSource};
use kiln_fixtures::mounted::CountingSource;
use kiln_fixtures::walk::compare;
use kiln_volume::FsInfo;

use crate::image::{Image, sh};

const POPULATE: &str = r#"
for n in 20 400 20000; do mkdir d$n; (cd d$n; seq -f 'name-%05g' $n | xargs touch); done
touch $(printf 'x%.0s' $(seq 255)); ln -s 123456789 short; ln -s $(printf 'a/%.0s' $(seq 450)) long
head -c 3000000 /dev/urandom > file; ln file hard; mknod c c 5 300; mknod b b 8 1; mkfifo p
for i in $(seq 0 2 700); do printf $i | dd of=frag bs=4096 seek=$i conv=notrunc status=none; done
truncate -s 50M sparse; printf end >> sparse; fallocate -l 1M unwritten
setfattr -n user.a -v b file; setfattr -n security.selinux -v sys:obj frag
setfattr -n trusted.t -v q c
for i in $(seq 90); do setfattr -n user.name$i -v value$i unwritten; done
setfattr -n user.big -v 0x$(head -c 60000 /dev/urandom | od -An -v -tx1 | tr -d ' \n') sparse
setfacl -m u:1000:rw,g:77:r hard; setfacl -d -m u:3:rwx d20; setfacl -m u:5:x d20
touch -d 1931-05-06 old; touch -d 2120-03-04 new; chown 70000:80000 old; chmod 4751 old
"#;

const UNCLEAN: &str = "the log is not clean: the last changes are only in it and were not read";

/// Make, fill, compare, then again what was on the disk while it was still mounted.
fn same_as_the_kernel(options: &str, more: &str) -> FsInfo {
    let image = Image::make(options, 320);
    let filled = image.mount("");
    sh(&format!("{POPULATE}\n{more}\nchattr +i b2"), filled.path());
    // sync(1) only writes the log; a freeze writes what is in it to its place as well.
    sh("fsfreeze -f .", filled.path());
    let unclean = std::panic::catch_unwind(|| image.copy());
    sh("fsfreeze -u .", filled.path());
    drop(filled);
    let mounted = image.mount("ro");
    let fs = image.open();
    assert_eq!(fs.info().notes, [] as [String; 0]);
    assert_eq!(fs.info().label.as_deref(), Some("kiln"));
    let summary = compare(&*fs, mounted.path()).unwrap();
    assert!(summary.n_entries > 20_400 && summary.n_xattrs > 95, "{summary:?}");
    let node = |name: &[u8]| fs.lookup(fs.root(), name).unwrap().unwrap();
    assert!(fs.stat(node(b"b2")).unwrap().immutable);
    assert!(!fs.stat(node(b"file")).unwrap().immutable);
    for (name, list) in [(&b"hard"[..], "access"), (b"d20", "default")] {
        let name_of_list = format!("system.posix_acl_{list}");
        let xattrs = fs.xattrs(node(name)).unwrap();
        assert!(xattrs.iter().any(|xattr| xattr.name == name_of_list.as_bytes()), "{xattrs:?}");
    }
    for (name, field) in [(&b"frag"[..], "core.format"), (b"d20000", "core.size")] {
        let inode = format!("inode {}", node(name).ino);
        let text = image.db(&[&inode, &format!("p {field}")]);
        let is_large = |size: &str| size.trim().parse::<u64>().unwrap() > 400_000;
        assert!(
            text == "core.format = 3 (btree)\n"
                || text.strip_prefix("core.size = ").is_some_and(is_large),
            "{text}"
        );
    }
    let unclean = kiln_volume::open_xfs(unclean.unwrap()).unwrap();
    assert_eq!(unclean.info().notes, [UNCLEAN]);
    compare(&*unclean, mounted.path()).unwrap();
    fs.info().clone()
}

/// What is only in the log is not seen, the rest is, and the note says so.
#[test]
fn an_unclean_log_is_told() {
    let image = Image::make("", 320);
    sh("mkdir d; printf old > d/old", image.mount("").path());
    let mounted = image.mount("");
    sh("printf new > d/new; sync -f .", mounted.path());
    let fs = kiln_volume::open_xfs(image.copy()).unwrap();
    assert_eq!(fs.info().notes, [UNCLEAN]);
    let tree = kiln_volume::Tree::new(fs);
    assert_eq!(tree.read("/d/old", 100).unwrap().as_deref(), Some(&b"old"[..]));
    drop(mounted);
    let tree = kiln_volume::Tree::new(image.open());
    assert_eq!(tree.read("/d/new", 100).unwrap().as_deref(), Some(&b"new"[..]));
}

#[test]
fn the_defaults_with_shared_blocks_and_large_counters() {
    let more = "cp --reflink=always file b2; printf changed | dd of=b2 bs=4096 seek=3 conv=notrunc";
    let info = same_as_the_kernel("-i size=512,nrext64=1 -m bigtime=1,reflink=1", more);
    for feature in ["crc", "ftype", "bigtime", "nrext64", "reflink"] {
        assert!(info.features.iter().any(|name| name == feature), "{feature}: {info:?}");
    }
}

#[test]
fn small_blocks_without_newer_features() {
    let options = "-m reflink=0,bigtime=0,inobtcount=0,rmapbt=0 -b size=1024 -n size=4096";
    let info = same_as_the_kernel(options, "touch b2");
    assert!(!info.features.iter().any(|name| name == "bigtime" || name == "reflink"), "{info:?}");
}

#[test]
fn two_kib_blocks_and_directory_blocks_of_the_same_size() {
    same_as_the_kernel("-b size=2048 -n size=4096 -i size=1024", "touch b2");
}

#[test]
fn large_inodes_and_large_directory_blocks() {
    same_as_the_kernel("-i size=2048 -n size=65536 -m rmapbt=1", "cp --reflink=always file b2");
}

#[test]
fn inode_numbers_of_the_kernel() {
    let image = crate::image::small();
    let mounted = image.mount("ro");
    let fs = image.open();
    let mut n_entries = 0;
    fs.read_dir(fs.root(), &mut |entry| {
        let theirs = std::fs::symlink_metadata(mounted.join(entry.name_lossy())).unwrap().ino();
        assert_eq!(entry.node.ino, theirs);
        n_entries += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(n_entries, 9);
    compare(&*fs, mounted.path()).unwrap();
}

/// Which filesystem it is must cost little: a scan opens everything it finds.
#[test]
fn opening_reads_little() {
    for options in ["", "-l size=64m"] {
        let image = Image::make(options, 320);
        drop(image.mount(""));
        let source = CountingSource::new(image.source());
        let fs = kiln_volume::open_xfs(source.clone()).unwrap();
        fs.stat(fs.root()).unwrap();
        let (n_reads, n_bytes) = source.take_counts();
        assert!((1..100).contains(&n_reads), "{n_reads} reads");
        assert!(n_bytes < 256 << 10, "{n_bytes} bytes");
    }
}

/// One byte of a sound superblock is spoiled at a time.
#[test]
fn a_spoiled_superblock_is_named() {
    let mut sound = Image::make("", 320).bytes();
    sound.truncate(1 << 20);
    assert!(kiln_volume::open_xfs(MemSource::shared(sound.clone())).is_ok());
    for (at, value, kind, message) in [
        (0, 0, Kind::OtherFormat, "no xfs superblock at byte 0"),
        (101, 3, Kind::Unsupported, "xfs version 3 is neither 4 nor 5 (at byte 100)"),
        (200, 9, Kind::Corrupt, "xfs superblock: wrong checksum (at byte 224)"),
    ] {
        let mut image = sound.clone();
        image[at] = value;
        let error = kiln_volume::open_xfs(MemSource::shared(image)).expect_err("spoiled");
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, message));
    }
}
