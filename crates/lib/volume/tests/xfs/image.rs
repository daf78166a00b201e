//! Image files with an XFS filesystem, and the structures found in them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use kiln_disk::Source;
use kiln_fixtures::mounted::{FileSource, Mounted, run};
use kiln_volume::Filesystem;

/// An image file in a directory of its own.
pub(crate) struct Image {
    directory: tempfile::TempDir,
}

impl Image {
    /// Run `mkfs.xfs` with `options` on a file of `size_mib`.
    pub(crate) fn make(options: &str, size_mib: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let image = Self { directory };
        std::fs::File::create(image.path()).unwrap().set_len(size_mib << 20).unwrap();
        let output = Command::new("/usr/sbin/mkfs.xfs")
            .args(["-q", "-f", "-L", "kiln"])
            .args(options.split_whitespace())
            .arg(image.path())
            // What the filesystem's own tests set to be allowed less than 300 MiB.
            .envs(["TEST_DIR", "TEST_DEV", "QA_CHECK_FS"].map(|name| (name, "1")))
            .output()
            .unwrap();
        assert!(output.status.success(), "{options}: {}", String::from_utf8_lossy(&output.stderr));
        image
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("image")
    }

    pub(crate) fn mount(&self, options: &str) -> Mounted {
        Mounted::new(&self.path(), options).unwrap()
    }

    pub(crate) fn source(&self) -> Source {
        FileSource::shared(&self.path()).unwrap()
    }

    pub(crate) fn open(&self) -> Arc<dyn Filesystem> {
        kiln_volume::open_xfs(self.source()).unwrap()
    }

    /// The image as it is now: a copy that stays while the image changes.
    pub(crate) fn copy(&self) -> Source {
        let copy = self.directory.path().join("copy");
        let [from, to] = [self.path(), copy.clone()].map(|path| path.display().to_string());
        run("cp", &["--sparse=always", &from, &to]).unwrap();
        FileSource::shared(&copy).unwrap()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.path()).unwrap()
    }

    /// What `xfs_db` prints for `commands`.
    pub(crate) fn db(&self, commands: &[&str]) -> String {
        let path = self.path().to_string_lossy().into_owned();
        let mut arguments = vec!["-r"];
        arguments.extend(commands.iter().flat_map(|command| ["-c", command]));
        arguments.push(&path);
        run("xfs_db", &arguments).unwrap()
    }
}

/// Run `script` in `directory`.
pub(crate) fn sh(script: &str, directory: &Path) {
    let output = Command::new("bash")
        .args(["-ec", script])
        .current_dir(directory)
        .output()
        .expect("bash runs");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A checksummed structure of a version 5 filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Structure {
    /// Where it begins in the image.
    pub(crate) at: usize,
    pub(crate) length: usize,
    /// Where in it the checksum is.
    pub(crate) crc_at: usize,
    /// Its magic; of the blocks whose magic is not at their start, too.
    pub(crate) magic: [u8; 2],
    /// The inode it belongs to, or is.
    pub(crate) owner: u64,
}

impl Structure {
    /// Write the checksum that fits the content.
    pub(crate) fn mend(&self, bytes: &mut [u8]) {
        bytes[self.crc_at..self.crc_at + 4].fill(0);
        let crc = crc32c(bytes);
        bytes[self.crc_at..self.crc_at + 4].copy_from_slice(&crc.to_le_bytes());
    }
}

/// Every structure of an image of 4 KiB blocks (of directories too) and 512-byte inodes.
pub(crate) fn structures(image: &[u8]) -> Vec<Structure> {
    let mut found = Vec::new();
    for (n, sector) in image.chunks_exact(512).enumerate() {
        let at = n * 512;
        let mut push = |length, crc_at, magic: &[u8], owner_at: usize| {
            let whole = Structure {
                at,
                length,
                crc_at,
                magic: [magic[0], magic[1]],
                owner: u64::from_be_bytes(sector[owner_at..owner_at + 8].try_into().unwrap()),
            };
            let mut bytes = image[at..at + length].to_vec();
            whole.mend(&mut bytes);
            // What is no more in use looks like a structure, but its checksum may be an old one.
            if bytes == image[at..at + length] {
                found.push(whole);
            }
        };
        match &sector[..4] {
            [b'I', b'N', ..] => push(512, 100, b"IN", 152),
            b"XFSB" if at == 0 => push(512, 224, b"XF", 56),
            b"XDB3" => push(4096, 4, b"DB", 40),
            b"XDD3" => push(4096, 4, b"DD", 40),
            b"BMA3" => push(4096, 64, b"BM", 56),
            b"XSLM" => push(4096, 12, b"SL", 32),
            b"XARM" => push(4096, 12, b"AR", 32),
            _ if matches!(sector[8..10], [0x3b, 0xee] | [0x3e, 0xbe]) => {
                push(4096, 12, &sector[8..10], 48);
            }
            _ => {}
        }
    }
    found
}

/// CRC32C by the definition, a bit at a time: the tests do not share the reader's.
fn crc32c(bytes: &[u8]) -> u32 {
    let table: Vec<u32> = (0..256_u32)
        .map(|byte| (0..8).fold(byte, |crc, _| (crc >> 1) ^ (0x82f6_3b78 * (crc & 1))))
        .collect();
    !bytes
        .iter()
        .fold(!0_u32, |crc, &byte| (crc >> 8) ^ table[usize::from(crc.to_le_bytes()[0] ^ byte)])
}

/// A small tree with one of everything, on a filesystem of 32 MiB in blocks of 4 KiB.
pub(crate) fn small() -> Image {
    let image = Image::make("-m crc=1,reflink=1 -i size=512 -b size=4096 -d agcount=2", 32);
    let mounted = image.mount("");
    sh(
        r#"
mkdir -p local/inner block leaf
touch local/inner/x; ln -s x short; ln -s $(printf 'a/%.0s' $(seq 450)) long
(cd block; seq -f 'name-%03g' 20 | xargs touch)
(cd leaf; seq -f "$(printf 'n%.0s' $(seq 200))-%03g" 40 | xargs touch)
for i in $(seq 0 2 600); do printf $i | dd of=tree bs=4096 seek=$i conv=notrunc status=none; done
touch attributes remote; setfattr -n user.small -v x local
for i in $(seq 20); do setfattr -n user.name$i -v $(printf 'v%.0s' $(seq 60)) attributes; done
setfattr -n user.big -v 0x$(head -c 9000 /dev/zero | od -An -v -tx1 | tr -d ' \n') remote
head -c 20000 /dev/urandom > file; chmod 644 file; setfacl -m u:7:rwx file
"#,
        mounted.path(),
    );
    drop(mounted);
    image
}
