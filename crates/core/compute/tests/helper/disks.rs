//! Disks with every filesystem, and what the host's tools say of them afterwards.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use kiln_compute::helper::{Disk, Format, MountOptions, Part, Segment, Session, Stripe, Volume};
use kiln_fixtures::mounted::{Mounted, run};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;
/// The parts of the system disk: number, start and size in MiB.
const EXT: (u32, u64, u64) = (1, 1, 60);
const ESP: (u32, u64, u64) = (2, 61, 34);
/// Where the logical volume lies: 8 MiB on the first disk, then 16 MiB in stripes over both.
const LINEAR_MIB: u64 = 8;
const STRIPED_MIB: u64 = 16;
const CHUNK_BYTES: u64 = 64 << 10;

/// The guest's tree, as the script of a mount of its root. Numbers stand for users.
const TREE: &str = r#"
mkdir -p etc/locked.d etc/old.d/deep boot xfs btrfs esp lv small
printf 'UUID=old / ext4 defaults 0 1\n' >etc/fstab
printf 'private\n' >etc/owned
chown 12:34 etc/owned; chmod 0640 etc/owned
setfacl -m u:7:r etc/owned
setfattr -n security.selinux -v 'system_u:object_r:etc_t:s0\000' etc/owned
setfattr -n user.note -v 'keep me' etc/owned
printf 'one of two\n' >etc/hard; ln etc/hard etc/hard-too
printf 'fixed\n' >etc/locked; chattr +i etc/locked
printf 'line\n' >etc/log; chattr +a etc/log
printf 'x\n' >etc/locked.d/file; chattr +i etc/locked.d
printf 'y\n' >etc/old.d/deep/file; chattr +i etc/old.d/deep/file
ln -s / escape; ln -s ../../../../etc/passwd etc/out; ln -s fstab etc/link; ln -s etc etc-link
head -c 3000000 /dev/zero | tr '\0' 'a' >big
mkdir many; (cd many && seq -f 'name-%05.0f' 5000 | xargs touch)
"#;

/// Files of disks, in a folder that goes with this value.
pub(crate) struct Disks {
    dir: TempDir,
}

impl Disks {
    pub(crate) fn make() -> Self {
        let disks = Self { dir: tempfile::tempdir().unwrap() };
        disks.script(
            "truncate -s 60M ext; mkfs.ext4 -q -b 4096 ext
             truncate -s 34M esp; mkfs.vfat -F 32 -n ESP esp >/dev/null
             mmd -i esp ::EFI; printf 'old\\n' | mcopy -i esp - ::EFI/grub.cfg
             truncate -s 320M xfs; mkfs.xfs -q xfs
             truncate -s 128M btrfs; mkfs.btrfs -q btrfs
             truncate -s 24M lv; mkfs.ext4 -q lv
             truncate -s 2M small; mkfs.ext4 -q small
             truncate -s 8M broken-ext; mkfs.ext4 -q broken-ext
             truncate -s 320M broken-xfs; mkfs.xfs -q broken-xfs
             truncate -s 96M system
             printf '2048,122880,L\\n124928,69632,U\\n' | sfdisk -q -X gpt system",
        );
        disks.in_mount("ext", TREE);
        disks.in_mount("btrfs", "btrfs subvolume create @ >/dev/null; echo old >@/file");
        disks.copy_into_system("ext", EXT);
        disks.copy_into_system("esp", ESP);
        disks.scatter();
        // The root directory's inode and its table; the free space of an allocation group.
        disks.spoil("broken-ext", 1024 + 56, &[0xFF; 2]);
        disks.spoil("broken-xfs", 512, &[0; 4]);
        disks
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn script(&self, script: &str) {
        let folder = self.dir.path().to_str().unwrap();
        run("sh", &["-euc", &format!("PATH=$PATH:/usr/sbin:/sbin; cd {folder}; {script}")])
            .unwrap();
    }

    pub(crate) fn in_mount(&self, name: &str, script: &str) -> String {
        let mounted = Mounted::new(&self.path(name), "rw").unwrap();
        let folder = mounted.path().to_str().unwrap();
        let script = format!("PATH=$PATH:/usr/sbin:/sbin; cd {folder}; {script}");
        run("sh", &["-euc", &script]).unwrap()
    }

    fn open(&self, name: &str) -> File {
        File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.path(name))
            .unwrap()
    }

    fn spoil(&self, name: &str, at: u64, bytes: &[u8]) {
        self.open(name).write_all_at(bytes, at).unwrap();
    }

    fn copy_into_system(&self, name: &str, (_, start, _): (u32, u64, u64)) {
        let bytes = fs::read(self.path(name)).unwrap();
        self.open("system").write_all_at(&bytes, start * MIB).unwrap();
    }

    fn copy_out_of_system(&self, name: &str, (_, start, size): (u32, u64, u64)) {
        let mut bytes = vec![0; (size * MIB) as usize];
        self.open("system").read_exact_at(&mut bytes, start * MIB).unwrap();
        fs::write(self.path(name), bytes).unwrap();
    }

    /// Each run of the logical volume: where it starts there, its disk, where it starts on that.
    fn runs() -> Vec<(u64, &'static str, u64)> {
        let mut runs: Vec<_> = (0..LINEAR_MIB).map(|n| (n * MIB, "pv0", (1 + n) * MIB)).collect();
        for n in 0..STRIPED_MIB * MIB / CHUNK_BYTES {
            let (disk, start) = if n % 2 == 0 { ("pv0", 1 + LINEAR_MIB) } else { ("pv1", 1) };
            let at = LINEAR_MIB * MIB + n * CHUNK_BYTES;
            runs.push((at, disk, start * MIB + n / 2 * CHUNK_BYTES));
        }
        runs
    }

    fn run_bytes(at: u64) -> usize {
        if at < LINEAR_MIB * MIB { MIB as usize } else { CHUNK_BYTES as usize }
    }

    /// Put the filesystem `lv` on its physical volumes.
    fn scatter(&self) {
        let whole = fs::read(self.path("lv")).unwrap();
        for (at, disk, on_disk) in Self::runs() {
            let bytes = &whole[at as usize..at as usize + Self::run_bytes(at)];
            self.open(disk).write_all_at(bytes, on_disk).unwrap();
        }
        for disk in ["pv0", "pv1"] {
            self.open(disk).set_len(20 * MIB).unwrap();
        }
    }

    fn gather(&self) {
        let mut whole = vec![0; ((LINEAR_MIB + STRIPED_MIB) * MIB) as usize];
        for (at, disk, on_disk) in Self::runs() {
            let bytes = &mut whole[at as usize..at as usize + Self::run_bytes(at)];
            self.open(disk).read_exact_at(bytes, on_disk).unwrap();
        }
        fs::write(self.path("lv"), whole).unwrap();
    }

    /// All of them as disks of a machine, each with its name as serial number.
    pub(crate) fn all(&self) -> Vec<Disk> {
        let names = ["system", "xfs", "btrfs", "pv0", "pv1", "small", "broken-ext", "broken-xfs"];
        names.iter().map(|name| Disk::file(name, self.path(name), Format::Raw)).collect()
    }

    pub(crate) fn whole(&self, name: &str) -> Part {
        let size_bytes = fs::metadata(self.path(name)).unwrap().len();
        Part { serial: name.to_owned(), partition: None, start_bytes: 0, size_bytes }
    }

    pub(crate) fn system_part(number: u32) -> Part {
        let (_, start, size) = if number == EXT.0 { EXT } else { ESP };
        Part {
            serial: "system".to_owned(),
            partition: Some(number),
            start_bytes: start * MIB,
            size_bytes: size * MIB,
        }
    }

    pub(crate) fn logical_volume(&self) -> Volume {
        let stripe =
            |disk: &str, mib: u64| Stripe { part: self.whole(disk), offset_bytes: mib * MIB };
        Volume::Joined(vec![
            Segment {
                length_bytes: LINEAR_MIB * MIB,
                chunk_bytes: 0,
                stripes: vec![stripe("pv0", 1)],
            },
            Segment {
                length_bytes: STRIPED_MIB * MIB,
                chunk_bytes: CHUNK_BYTES,
                stripes: vec![stripe("pv0", 1 + LINEAR_MIB), stripe("pv1", 1)],
            },
        ])
    }

    /// Mount everything that can be, the root first.
    pub(crate) fn mount(&self, session: &mut Session) {
        let plain = MountOptions::default();
        let mut mount = |volume, at, fstype, how: &MountOptions<'_>| {
            session.mount(volume, at, fstype, how).unwrap_or_else(|error| panic!("{at}: {error}"));
        };
        mount(Volume::Part(Self::system_part(1)), "/", "ext4", &plain);
        mount(Volume::Part(Self::system_part(2)), "/esp", "vfat", &plain);
        mount(Volume::Part(self.whole("xfs")), "/xfs", "xfs", &plain);
        let subvolume = MountOptions { subvolume: Some("@"), ..plain };
        mount(Volume::Part(self.whole("btrfs")), "/btrfs", "btrfs", &subvolume);
        mount(self.logical_volume(), "/lv", "ext4", &plain);
        mount(Volume::Part(self.whole("small")), "/small", "ext4", &plain);
    }

    /// FAT has no log: what a killed machine left marked as in use, its owner has to mend.
    pub(crate) fn mend_esp(&self) {
        self.copy_out_of_system("esp", ESP);
        self.script("fsck.vfat -a esp >report 2>&1 || [ $? = 1 ]");
        self.copy_into_system("esp", ESP);
    }

    /// What the host's tools say: nothing.
    pub(crate) fn check(&self) {
        self.copy_out_of_system("ext", EXT);
        self.copy_out_of_system("esp", ESP);
        self.gather();
        self.script(
            "for image in ext lv small; do e2fsck -fn $image >report 2>&1 || { cat report; exit 1; }; done
             xfs_repair -n xfs >report 2>&1 || { cat report; exit 1; }
             btrfs check --readonly btrfs >report 2>&1 || { cat report; exit 1; }
             fsck.vfat -n esp >report 2>&1 || { cat report; exit 1; }",
        );
    }
}
