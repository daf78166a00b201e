//! The kernel is the oracle: every path of a filesystem it wrote must read the same here.

use std::path::Path;
use std::process::Command;

use kiln_disk::{Kind, MemSource};

fn sh(script: &str, dir: &Path) {
    let output =
        Command::new("bash").args(["-ec", script]).current_dir(dir).output().expect("bash runs");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

const POPULATE: &str = r#"
cd m
for n in 20 400 4000; do mkdir d$n; (cd d$n; seq -f 'name-%05g' $n | xargs touch); done
touch $(printf 'x%.0s' $(seq 255)); ln -s 123456789 short; ln -s $(printf 'a/%.0s' $(seq 450)) long
head -c 3000000 /dev/urandom > file; ln file hard; mknod c c 5 300; mknod b b 8 1; mkfifo p
for i in $(seq 0 2 700); do printf $i | dd of=frag bs=4096 seek=$i conv=notrunc status=none; done
truncate -s 50M sparse; printf end >> sparse; fallocate -l 1M unwritten
setfattr -n user.a -v b file; setfattr -n security.selinux -v sys:obj frag
setfattr -n trusted.t -v q c
for i in $(seq 90); do setfattr -n user.name$i -v value$i unwritten; done
setfattr -n user.big -v 0x$(head -c 60000 /dev/urandom | od -An -v -tx1 | tr -d ' \n') sparse
cp --reflink=auto file copy; chattr +i hard
"#;

/// Make, fill, compare (`while_mounted` too), and unmount whatever happens.
fn image(options: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a directory");
    let make = format!("truncate -s 320M i; mkfs.xfs -q -L kiln {options} i; mkdir m");
    sh(&make, dir.path());
    sh("mount -o loop i m", dir.path());
    let script = format!("trap 'cd /; umount {0}/m' ERR; {POPULATE}", dir.path().display());
    sh(&script, dir.path());
    sh("sync -f m; cp --sparse=always i unclean; umount m; mount -o loop,ro i m", dir.path());
    let bytes = std::fs::read(dir.path().join("i")).expect("the image");
    let unclean = std::fs::read(dir.path().join("unclean")).expect("the copy");
    let result = std::panic::catch_unwind(|| compare(&bytes, &dir.path().join("m")));
    sh("chattr -f -R -i m || true; umount m", dir.path());
    result.expect("reads as the kernel does").expect("the same tree");
    let fs = kiln_volume::open_xfs(MemSource::shared(unclean)).expect("opens");
    assert!(fs.info().notes.iter().any(|note| note.starts_with("the log is not clean: ")));
    bytes
}

fn compare(bytes: &[u8], mounted: &Path) -> Result<(), String> {
    let fs = kiln_volume::open_xfs(MemSource::shared(bytes.to_vec())).map_err(|e| e.to_string())?;
    assert_eq!(fs.info().notes, [] as [String; 0]);
    assert_eq!(fs.info().label.as_deref(), Some("kiln"));
    let summary =
        kiln_fixtures::walk::compare(&*fs, mounted).map_err(|error| format!("{error:#}"))?;
    assert!(summary.n_entries > 4400, "{summary:?}");
    Ok(())
}

#[test]
fn reads_what_the_kernel_reads() {
    image("-i size=512");
    image("-m reflink=0,bigtime=0,inobtcount=0,rmapbt=0 -b size=1024 -n size=4096");
    image("-i size=2048 -n size=65536 -m rmapbt=1");
}

/// One byte of a sound superblock is spoiled at a time.
#[test]
fn a_spoiled_superblock_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    sh("truncate -s 320M i; mkfs.xfs -q i; truncate -s 1M i", dir.path());
    let sound = std::fs::read(dir.path().join("i")).expect("the image");
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

/// Seeded mutations of the metadata of a small image: no panic, and a quick end.
#[test]
fn mutated_images_end_without_a_panic() {
    let dir = tempfile::tempdir().expect("a directory");
    sh("truncate -s 320M i; mkfs.xfs -q -m crc=0 i; truncate -s 2M i", dir.path());
    let sound = std::fs::read(dir.path().join("i")).expect("the image");
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..300 {
        let mut image = sound.clone();
        for _ in 0..4 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let at = usize::try_from(seed % 65536).expect("small");
            image[at] = seed.to_le_bytes()[7];
        }
        if let Ok(fs) = kiln_volume::open_xfs(MemSource::shared(image)) {
            kiln_fixtures::walk::exercise(&*fs, 50);
        }
    }
}
